"use strict";
// Whether a URL that is being typed can still become right: then nobody wants to hear what it lacks.

const Typing = (rules, data) => {
  // What may follow, of whatever length: the rest of a host, a port, an address, a setting, a password, a path.
  const ENDS = ["x", "/x", "x/x", "1", "1/x", ".1/x", ".1.1/x", ".1.1.1/x", "1.1/x", "1.1.1/x", "1.1.1.1/x", "@x/x", "{filename}"];
  const IN_ADDRESS = [":1]/x", "::1]/x", "]/x", "1]/x", ".1]/x", ".1.1]/x", ".1.1.1]/x", "1.1]/x", "1.1.1]/x", "x]/x"];
  const IN_SETTING = ["}", "}}", "x}", "x}}"];
  const bootable = data.schemes.filter((scheme) => scheme.boot);
  const starts = bootable.map((scheme) => `${scheme.name}:${scheme.fields.length ? "" : "//"}`);

  const isRight = (text) => {
    try {
      return rules.parse(text).warnings.length === 0;
    } catch {
      return false;
    }
  };

  // Return whether something may be typed behind `text` so that it is right and without a warning.
  return (text) => {
    if (starts.some((start) => start.startsWith(text.toLowerCase()))) return true;
    const disk = bootable.find((scheme) => scheme.fields.length && text.toLowerCase().startsWith(`${scheme.name}:`));
    const tails = disk ? Array.from(disk.example, (_, at) => disk.example.slice(at)) : ENDS;
    const ends = ["", ...tails, ...(text.includes("[") ? IN_ADDRESS : [])];
    const open = text.lastIndexOf("${");
    const inSetting = open >= 0 && text.indexOf("}", open) < 0;
    const closed = inSetting || text.endsWith("$") ? IN_SETTING.map((end) => (text.endsWith("$") ? `{x${end}` : end)) : [""];
    return closed.some((first) => ends.some((end) => isRight(text + first + end)));
  };
};
