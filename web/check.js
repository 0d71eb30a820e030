"use strict";
// Checks a URL and renders its script: the same as boot_url.py and boot_script.py.
//
// `rules` holds the data of those modules: the schemes, fields, warnings, messages, patterns, and the text of the script.
// This file has only the order of the checks. A test compares both on URLs that hypothesis makes.

class UrlError extends Error {
  constructor(message, suggestion = "") {
    super(message);
    this.suggestion = suggestion;
  }
}

const BakeRules = (rules) => {
  const byName = new Map(rules.schemes.map((scheme) => [scheme.name, scheme]));
  const pattern = (source, flags = "") => new RegExp(source, flags);
  const whole = (source, text) => pattern(`^(?:${source})$`).test(text);
  const mask = (text, by = "x") => {
    const masked = text.replace(pattern(rules.setting, "g"), (setting) => by.repeat(setting.length));
    return masked === text ? text : mask(masked, by);
  };
  const maskInside = (text) => text.slice(0, 2) + mask(text.slice(2));
  const fill = (line, parts) => line.replace(/\{(\w+)\}/g, (_, name) => parts[name]);
  const { messages } = rules;
  const text = ({ fact, remedy, asks }, offset = 0, parts = {}) => {
    const how = asks && parts.url ? messages.MEANT : remedy;
    const at = `at character ${offset + 1} of the URL`;
    return fill(how ? `${fact}: ${how}` : fact, { at, ...messages.EXAMPLES, ...parts });
  };

  // A refusal whose suggested URL has not been checked yet. After the first check every URL is ASCII, where Python and
  // JavaScript count characters in the same way.
  class Refusal extends Error {
    constructor(message, offset, parts, suggestion) {
      super();
      Object.assign(this, { refused: message, offset, parts, suggestion });
    }
  }
  const refusal = (message, offset = 0, parts = {}, suggestion = "") => new Refusal(message, offset, parts, suggestion);

  const hidesUserinfoOnly = (url) => !url.includes("@") || pattern(`^${rules.userinfo}`, "i").test(mask(url));
  const schemeAndSlashes = pattern(`^(?:(?:${rules.schemes.map((row) => row.name).join("|")}):)?/*`, "i");
  const withoutUserinfo = (url) => {
    const last = url.lastIndexOf("@");
    if (last < 0) return url;
    return schemeAndSlashes.exec(url)[0] + (hidesUserinfoOnly(url) ? url.slice(last + 1) : "..." + url.slice(last));
  };

  const shown = (part, offset, publicFrom) => (offset >= publicFrom ? ` "${part}"` : "");

  const slips = (url) =>
    rules.slips.flatMap(([source, atEnd, warning]) => {
      const slip = pattern(source).exec(mask(url));
      return slip ? [text(warning, slip.index + (atEnd ? slip[0].length - 1 : 0))] : [];
    });

  const escaped = (part) =>
    Array.from(new TextEncoder().encode(part), (octet) => "%" + octet.toString(16).toUpperCase()).join("");

  const refuseUnsafeCharacters = (url) => {
    const stripped = url.replace(/^ +| +$/g, "");
    if (stripped !== url) throw refusal(messages.SPACE_AROUND, 0, {}, stripped);
    const visible = url.replace(pattern(`^[${rules.spaces}]+|[${rules.spaces}]+$`, "g"), "");
    if (visible !== url) throw refusal(messages.INVISIBLE, 0, {}, visible);
    const assigned = pattern(`^${rules.assigned}`, "i").exec(url);
    if (assigned) throw refusal(messages.ASSIGNED, 0, {}, url.slice(assigned[0].length));
    const opened = pattern(`^${rules.opening}`).exec(url);
    if (opened) {
      let inside = url.slice(opened[0].length);
      for (const _ of opened[0]) if (inside && rules.closing.includes(inside.at(-1))) inside = inside.slice(0, -1);
      throw refusal(messages.QUOTED, 0, {}, inside);
    }
    const quotes = `[${rules.quotes}]*$`;
    if (/[^\x00-\x7f]/.test(pattern(quotes).exec(url)[0])) {
      throw refusal(messages.QUOTED, 0, {}, url.replace(pattern(quotes), ""));
    }
    let bad = /[\x00-\x20\x7f]/.exec(url);
    const place = () => Array.from(url.slice(0, bad.index)).length;
    if (bad) {
      if (bad[0] === " ") throw refusal(messages.SPACE, place(), {}, url.replace(/ /g, "%20"));
      const code = bad[0].charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
      throw refusal(messages.CONTROL, place(), { code });
    }
    bad = /[^\x00-\x7f]+/.exec(url);
    if (!bad) return;
    const authority = /^([A-Za-z0-9+._-]+:\/\/(?:[^/?#]*@)?)([^/?#:@]*)/.exec(url);
    if (authority && authority[1].length <= bad.index && bad.index < authority[0].length) {
      throw refusal(messages.NON_ASCII_HOST, place());
    }
    const suggestion = url.replace(/[^\x00-\x7f]+/g, escaped);
    if (bad.index < url.lastIndexOf("@")) throw refusal(messages.NON_ASCII_HIDDEN, place(), {}, suggestion);
    throw refusal(messages.NON_ASCII, place(), { escaped: escaped(bad[0]) }, suggestion);
  };

  // Return whether `word` is `known` with one letter missing, added, replaced (not the first), or two swapped.
  const isNear = (word, known) => {
    let same = 0;
    while (same < Math.min(word.length, known.length) && word[same] === known[same]) same++;
    const [rest, target] = [word.slice(same), known.slice(same)];
    const replaced = same > 0 && rest.slice(1) === target.slice(1);
    const swapped = rest.slice(1, 2) + rest.slice(0, 1) + rest.slice(2);
    return replaced || rest === target.slice(1) || rest.slice(1) === target || swapped === target;
  };

  const schemeOf = (url) => {
    const found = pattern(`^${rules.scheme}`).exec(url);
    const name = found ? found[1].toLowerCase() : "";
    const rest = found ? url.slice(found[0].length) : "";
    const scheme = byName.get(name);
    if (scheme) {
      if (!scheme.boot) throw refusal(messages.LACKING, 0, scheme);
      if (!scheme.fields.length && !rest.startsWith("//")) {
        const slashes = rest.startsWith("/") ? "only one slash" : "no slashes";
        const fixed = `${name}://${rest.replace(/^[/:]+/, "")}`;
        throw refusal(messages.SLASHES, name.length + 1, { slashes, ...scheme }, fixed);
      }
      return scheme;
    }
    if (url.startsWith("${") && !mask(url).startsWith("${")) {
      return pattern(`^${rules.root_path}`).test(maskInside(url)) ? rules.from_root_path : rules.from_setting;
    }
    if (url.startsWith("${")) throw refusal(messages.UNCLOSED);
    if (pattern(`^(?:${rules.local_path})`, "i").test(url)) throw refusal(messages.LOCAL_PATH, 0, { over: rules.over });
    if (found && !/^(?:[0-9]|[^/]*@|\$\{)/.test(rest) && !pattern(`^${rules.bare_ipv6}`).test(url)) {
      const bootable = rules.schemes.filter((row) => row.boot).map((row) => row.name);
      const near = bootable.find((known) => isNear(name, known));
      const fixed = near ? near + url.slice(name.length) : "";
      const parts = { shown: shown(found[1], 0, url.lastIndexOf("@") + 1), bootable: bootable.join(", ") };
      throw refusal(messages.UNKNOWN_SCHEME, 0, parts, fixed);
    }
    const fixed = url.replace(pattern(`^${rules.no_colon}`), (_, kept) => `${kept || "http"}://`);
    throw refusal(messages.NO_SCHEME, 0, {}, fixed);
  };

  const checkSetting = (scheme, rest, publicFrom) => {
    const isAddress = pattern(`^${rules.address}`).test(maskInside(rest)) && !publicFrom;
    return { warnings: isAddress ? [text(messages.ADDRESS, 0, { url: acceptable(`http://${rest}`) })] : [] };
  };

  // Return whether the text is an IPv6 address without brackets that cannot be an address and a port.
  const isPlainIpv6 = (part) => {
    const colon = part.lastIndexOf(":");
    const maybePort = /^[0-9]+$/.test(part.slice(colon + 1)) && whole(rules.ipv6, part.slice(0, colon));
    return whole(rules.ipv6, part) && !maybePort;
  };

  const isIpv6 = (host) => {
    if (!host.endsWith("]")) return false;
    const inside = host.slice(1, -1);
    const percent = inside.indexOf("%");
    const address = percent < 0 ? inside : inside.slice(0, percent);
    if (percent >= 0 && !whole(rules.host, mask(inside.slice(percent + 1)))) return false;
    const masked = mask(address, "0");
    return whole(masked === address ? rules.ipv6 : rules.ipv6_settings, masked);
  };

  const checkHost = (host, offset, publicFrom) => {
    const parts = { shown: shown(host, offset, publicFrom) };
    if (host.startsWith("[")) {
      if (!isIpv6(host)) throw refusal(messages.BAD_IPV6, offset, parts);
    } else if (whole(rules.dotted, host)) {
      if (!whole(rules.ipv4, host)) throw refusal(messages.BAD_IPV4, offset, parts);
    } else if (!whole(rules.host, mask(host))) {
      const good = pattern(`^(?:${rules.host})`).exec(mask(host));
      const end = good ? good[0].length : 0;
      throw refusal(host[end] === "{" ? messages.BAD_HOST_SETTING : messages.BAD_HOST, offset + end, parts);
    }
    return rules.host_slips.flatMap(([source, warning]) =>
      pattern(`^(?:${source})$`, "i").test(host) ? [text(warning, offset)] : [],
    );
  };

  // Check a field; return its warnings. `offset` is the place of its text in the URL.
  const checkField = (scheme, field, part, offset, publicFrom) => {
    if (!part) {
      if (field.needed) throw refusal(messages.MISSING, offset, { missing: field.name, ...scheme });
      return [];
    }
    if (!field.pattern) return checkHost(part, offset, publicFrom);
    if (whole(field.pattern, part)) return [];
    const parts = { field: field.name, shown: shown(part, offset, publicFrom), ...scheme };
    if (field.warned) return [text(field.bad, offset, parts)];
    throw refusal(field.bad, offset, parts);
  };

  // Split at colons outside [...] (IPv6) and ${...} (settings) into at most `most` pieces; the last has the rest.
  const split = (part, most) => {
    const masked = mask(part).replace(/\[[^\]]*\]?/g, (literal) => "x".repeat(literal.length));
    const pieces = [];
    let start = 0, colon;
    while (pieces.length < most - 1 && (colon = masked.indexOf(":", start)) >= 0) {
      pieces.push(part.slice(start, colon));
      start = colon + 1;
    }
    return [...pieces, part.slice(start)];
  };

  const checkAuthority = (scheme, rest, publicFrom) => {
    const masked = mask(rest);
    const beforeQuery = masked.split("?", 1)[0].slice(2);
    const slash = beforeQuery.indexOf("/");
    const authority = slash < 0 ? beforeQuery : beforeQuery.slice(0, slash);
    const path = slash < 0 ? "" : beforeQuery.slice(slash);
    const start = 2 + authority.indexOf("@") + 1;
    const hostPort = rest.slice(start, 2 + authority.length);
    const offset = scheme.name.length + 1 + start;
    const [host, port] = split(hostPort, 2);
    const nul = (masked.slice(0, start) + "x".repeat(hostPort.length) + (scheme.path ? path : "")).indexOf("%00");
    if (nul >= 0) throw refusal(messages.NUL, scheme.name.length + 1 + nul);
    const stray = offset < publicFrom ? refusal(messages.NOT_USERINFO, publicFrom - 1) : null;
    if (stray && authority.includes("@")) throw stray;
    const warnings = [];
    try {
      warnings.push(...checkField(scheme, rules.host_field, host, offset, publicFrom));
      if (port !== undefined) {
        if (!host.startsWith("[") && mask(port).includes(":")) {
          const meant = `${scheme.name}:${rest.slice(0, start)}[${hostPort}]${rest.slice(start + hostPort.length)}`;
          throw refusal(messages.TWO_COLONS, offset, {}, isPlainIpv6(hostPort) ? meant : "");
        }
        checkField(scheme, rules.port_field, port, offset + host.length + 1, publicFrom);
      }
    } catch (error) {
      throw stray || error;
    }
    if (scheme.path) warnings.push(...checkField(scheme, scheme.path, path, offset + hostPort.length, publicFrom));
    const given = {
      "user name and password": authority.includes("@"), port: port !== undefined, query: masked.includes("?"),
    };
    const protocol = scheme.name.toUpperCase();
    const ignored = scheme.ignores.filter((what) => given[what]);
    warnings.push(...ignored.map((what) => text(messages.IGNORED, 0, { protocol, what })));
    const fileStart = start + hostPort.length + 1;
    const file = scheme.is_pxe ? rest.slice(fileStart, fileStart + path.length - 1) : "";
    return { host, file: file.includes("${") ? "" : file, warnings };
  };

  // Check the fields of a disk URL, from left to right.
  const checkFields = (scheme, rest, publicFrom) => {
    let offset = scheme.name.length + 1;
    if (rest.startsWith("/")) throw refusal(messages.DISK_SLASH, offset, scheme);
    const found = split(rest, scheme.fields.length);
    let host = "";
    const warnings = found.flatMap((part, number) => {
      const field = scheme.fields[number];
      const warned = checkField(scheme, field, part, offset, publicFrom);
      if (!field.pattern) host = part;
      offset += part.length + 1;
      return warned;
    });
    const missing = scheme.fields.slice(found.length).map((field) => field.name);
    if (missing.length) throw refusal(messages.MISSING, offset - 1, { missing: missing.join(":"), ...scheme });
    return { host, warnings };
  };

  const parseOnce = (url) => {
    if (!url) throw refusal(messages.EMPTY);
    refuseUnsafeCharacters(url);
    const scheme = schemeOf(url);
    const start = scheme.name ? scheme.name.length + 1 : 0;
    const fragment = mask(url).indexOf("#");
    const rest = url.slice(start, fragment < 0 ? undefined : fragment);
    const publicFrom = url.lastIndexOf("@") + 1;
    const check = scheme.fields.length ? checkFields : scheme.name ? checkAuthority : checkSetting;
    const parts = check(scheme, rest, publicFrom);
    const warnings = [...(fragment < 0 ? [] : [text(messages.FRAGMENT, fragment)]), ...parts.warnings];
    const shownUrl = withoutUserinfo(url);
    if (!hidesUserinfoOnly(url)) warnings.push(text(messages.HIDDEN, publicFrom - 1));
    warnings.push(...slips(url));
    return { url, scheme, public: shownUrl, warnings, host: parts.host || "", file: parts.file || "" };
  };

  // Return the URL, corrected a few more times if necessary; empty if it still has an error or a warning.
  const acceptable = (url) => {
    for (let corrections = 0; corrections < 5 && url; corrections++) {
      try {
        return parseOnce(url).warnings.length ? "" : url;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        url = error.suggestion;
      }
    }
    return "";
  };

  // Return { url, scheme, public, warnings, host, file }; throw UrlError if iPXE cannot boot from the URL.
  const parse = (url) => {
    try {
      return parseOnce(url);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const meant = acceptable(error.suggestion);
      throw new UrlError(text(error.refused, error.offset, { ...error.parts, url: withoutUserinfo(meant) }), meant);
    }
  };

  const fillIn = ({ url, scheme, public: name, host, file }) => {
    const [boot, then] = rules.boot[scheme.boot];
    const words = {
      URL: url,
      SHOWN: name.length <= rules.shown ? name : name.slice(0, rules.shown - 3) + "...",
      SCHEME: scheme.name || "none",
      FAMILY: host.startsWith("[") ? "ipv6" : "ipv4",
      ADDRESS: /^[0-9.]+$/.test(host) ? host : "",
      FILE: file,
      BOOT: boot,
      THEN: then,
    };
    return rules.script.replace(/@([A-Z]+)@/g, (_, word) => words[word]);
  };

  // Return the script; throw UrlError if it is longer than the slot.
  const render = (parsed) => {
    const script = fillIn(parsed);
    const { url, file } = parsed;
    if (script.length > rules.slot_size) {
      let over = script.length - rules.slot_size;
      const behindPath = /[?#].*/.exec(mask(url));
      if (file) over -= Math.floor(Math.max(0, over - (behindPath ? behindPath[0].length : 0)) / 2);
      throw new UrlError(text(messages.TOO_LONG, 0, { length: url.length, over, limit: url.length - over }));
    }
    return script;
  };

  // Return the script without user information, so that it may be shown.
  const redact = (parsed) => {
    // Otherwise the host and the file may be pieces of a password.
    const kept = hidesUserinfoOnly(parsed.url) ? parsed : { ...parsed, host: "", file: parsed.file && "..." };
    return fillIn({ ...kept, url: parsed.public });
  };

  return { parse, render, redact, withoutUserinfo, empty: text(messages.EMPTY) };
};
