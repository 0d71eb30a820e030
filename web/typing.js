"use strict";
// Whether a URL that is being typed can still become right: then nobody wants to hear what it lacks.

const Typing = (rules, data) => {
  // What may follow, of whatever length: a path, the rest of a host, of a port, of a password, of an IPv6 address.
  const ENDS = ["/x", "x/x", "1/x", "@x/x"];
  const IN_ADDRESS = ["", "2", ":2", "::2"];
  const bootable = data.schemes.filter((scheme) => scheme.boot);
  const starts = bootable.map((scheme) => `${scheme.name}:${scheme.fields.length ? "" : "//"}`);

  // Return how much is wrong: 0 nothing, 1 what is warned of, 2 all.
  const fault = (text) => {
    try {
      return Math.min(rules.parse(text).warnings.length, 1);
    } catch {
      return 2;
    }
  };

  // Return whether something may be typed behind `text` so that less is wrong.
  return (text) => {
    const now = fault(text);
    if (now === 0) return true;
    if (starts.some((start) => start.startsWith(text.toLowerCase()))) return true;
    const disk = bootable.find((scheme) => scheme.fields.length && text.toLowerCase().startsWith(`${scheme.name}:`));
    const tails = disk ? Array.from(disk.example, (_, at) => disk.example.slice(at)) : ENDS;
    const inAddress = text.lastIndexOf("[") > text.lastIndexOf("]");
    const behind = disk ? tails.filter((tail) => tail.startsWith(":")) : ["/x"];
    const closing = inAddress ? IN_ADDRESS.flatMap((end) => behind.map((tail) => `${end}]${tail}`)) : [];
    const ends = ["", ...tails, ...closing];
    // Settings that are not closed yet, one inside the other.
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
