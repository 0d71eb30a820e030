"use strict";
// Decides whether an unfinished URL can still become right. While it can, the page shows no error.

const Typing = (rules, data) => {
  // Text that may follow, one of each kind: a path, the rest of a host, a port, a password, an IPv6 address.
  const ENDS = ["/x", "x/x", "1/x", "@x/x"];
  const IN_ADDRESS = ["", "2", ":2", "::2"];
  const bootable = data.schemes.filter((scheme) => scheme.boot);
  const starts = bootable.map((scheme) => `${scheme.name}:${scheme.fields.length ? "" : "//"}`);

  // Return how wrong a URL is: 0 right, 1 with a warning, 2 refused.
  const fault = (text) => {
    try {
      return Math.min(rules.parse(text).warnings.length, 1);
    } catch {
      return 2;
    }
  };

  // Return whether more text after `text` can make it less wrong.
  return (text) => {
    const now = fault(text);
    if (now === 0) return true;
    if (starts.some((start) => start.startsWith(text.toLowerCase()))) return true;
    const disk = bootable.find((scheme) => scheme.fields.length && text.toLowerCase().startsWith(`${scheme.name}:`));
    const tails = disk ? Array.from(disk.example, (_, at) => disk.example.slice(at)) : ENDS;
    const inAddress = text.lastIndexOf("[") > text.lastIndexOf("]");
    const after = disk ? tails.filter((tail) => tail.startsWith(":")) : ["/x"];
    const closing = inAddress ? IN_ADDRESS.flatMap((end) => after.map((tail) => `${end}]${tail}`)) : [];
    const ends = ["", ...tails, ...closing];
    // Count the unclosed settings, which may be nested.
    let rest = text;
    for (let before = ""; before !== rest; ) {
      before = rest;
      rest = rest.replace(/\$\{[^{}]*\}/g, "");
    }
    const begun = text.endsWith("$");
    const open = rest.split("${").length - 1 + begun;
    const closed = (begun ? "{" : "") + "}".repeat(open);
    return ends.some((end) => fault(text + closed + end) < now);
  };
};
