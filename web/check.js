"use strict";
// Whether iPXE can boot from a URL, and its script: what chain_url.py and boot_script.py do.
//
// The table of schemes, the messages, the patterns and the script's text come from there, as `rules`; here is only
// the order of the checks. A test compares both on URLs that hypothesis makes.

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
  const hasSetting = (text) => pattern(rules.setting).test(text);
  const mask = (text) => text.replace(pattern(rules.setting, "g"), (setting) => "x".repeat(setting.length));
  const fill = (text, parts) => text.replace(/\{(\w+)\}/g, (_, name) => parts[name]);
  const message = (name, offset = 0, parts = {}) =>
    fill(rules.messages[name], { at: `at character ${offset + 1} of the URL`, ...rules.examples, ...parts });

  // Everything behind the first check is ASCII, where both languages count alike.
  const refusal = (name, offset = 0, parts = {}, suggestion = "") =>
    new UrlError(message(name, offset, parts), /^[!-~]+$/.test(suggestion) ? suggestion : "");

  const isUserinfo = (url) => pattern(`^${rules.userinfo}`, "i").test(mask(url));
  const schemeAndSlashes = pattern(`^(?:(?:${rules.schemes.map((row) => row.name).join("|")}):)?/*`, "i");
  const withoutUserinfo = (url) => {
    const last = url.lastIndexOf("@");
    if (last < 0) return url;
    return schemeAndSlashes.exec(url)[0] + (isUserinfo(url) ? url.slice(last + 1) : "..." + url.slice(last));
  };

  const shown = (text, offset, hidden) => (offset >= hidden ? ` "${text}"` : "");

  const slips = (url) =>
    rules.slips.flatMap(([source, name]) => {
      const slip = pattern(source).exec(mask(url));
      return slip ? [message(name, slip.index + (name === "nothing after" ? slip[0].length - 1 : 0))] : [];
    });

  const escaped = (text) =>
    Array.from(new TextEncoder().encode(text), (octet) => "%" + octet.toString(16).toUpperCase().padStart(2, "0")).join("");

  const refuseUnsafeCharacters = (url) => {
    const stripped = url.replace(/^ +| +$/g, "");
    if (stripped !== url) throw refusal("space around", 0, {}, stripped);
    const quotes = rules.quotes;
    if (pattern(`^${quotes}`).test(url) || pattern(`(?![!-~])${quotes}$`).test(url)) {
      throw refusal("quotes", 0, {}, url.replace(pattern(`^${quotes}|${quotes}$`, "g"), ""));
    }
    let bad = /[\x00-\x20\x7f]/.exec(url);
    const place = () => Array.from(url.slice(0, bad.index)).length;
    if (bad) {
      if (bad[0] === " ") throw refusal("space", place(), {}, url.replace(/ /g, "%20"));
      const code = bad[0].charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
      throw refusal("control", place(), { code });
    }
    bad = /[^\x00-\x7f]+/.exec(url);
    if (!bad) return;
    const authority = /^([A-Za-z0-9+._-]+:\/\/(?:[^/?#]*@)?)([^/?#:@]*)/.exec(url);
    if (authority && authority[1].length <= bad.index && bad.index < authority[0].length) {
      throw refusal("non-ASCII", place(), { mend: message("no host name") });
    }
    const hidden = bad.index < url.lastIndexOf("@");
    const mend = hidden ? message("write its bytes") : message("write it", 0, { escaped: escaped(bad[0]) });
    throw refusal("non-ASCII", place(), { mend }, url.replace(/[^\x00-\x7f]+/g, escaped));
  };

  // One letter of what is known is missing, too many, another (but the first), or two are swapped.
  const isNear = (word, known) => {
    let same = 0;
    while (same < Math.min(word.length, known.length) && word[same] === known[same]) same++;
    const [rest, wanted] = [word.slice(same), known.slice(same)];
    const replaced = same > 0 && rest.slice(1) === wanted.slice(1);
    const swapped = rest.slice(1, 2) + rest.slice(0, 1) + rest.slice(2);
    return replaced || rest === wanted.slice(1) || rest.slice(1) === wanted || swapped === wanted;
  };

  const schemeOf = (url) => {
    const found = pattern(`^${rules.scheme}`).exec(url);
    const name = found ? found[1].toLowerCase() : "";
    const rest = found ? url.slice(found[0].length) : "";
    const scheme = byName.get(name);
    if (scheme) {
      if (!scheme.boot) throw refusal("lacking", 0, { name, instead: scheme.instead });
      if (scheme.boot === "chain" && !rest.startsWith("//")) {
        const slashes = rest.startsWith("/") ? "one slash" : "no slashes";
        const fixed = `${name}://${rest.replace(/^\/+/, "")}`;
        throw refusal("slashes", name.length + 1, { slashes, name, url: withoutUserinfo(fixed) }, fixed);
      }
      return scheme;
    }
    if (pattern(`^${rules.setting}`).test(url)) {
      return pattern(`^${rules.root_path}`).test(url) ? rules.from_root_path : rules.from_setting;
    }
    if (url.startsWith("${")) throw refusal("unclosed");
    if (pattern(`^(?:${rules.local_path})`, "i").test(url)) throw refusal("local path");
    if (found && !/^(?:[0-9]|[^/]*@|\$\{)/.test(rest) && !url.startsWith("[")) {
      const parts = { shown: shown(found[1], 0, url.lastIndexOf("@") + 1) };
      const bootable = rules.schemes.filter((row) => row.boot).map((row) => row.name);
      const near = bootable.find((known) => isNear(name, known));
      if (near) {
        const fixed = near + url.slice(name.length);
        throw refusal("near scheme", 0, { ...parts, url: withoutUserinfo(fixed) }, fixed);
      }
      throw refusal("unknown scheme", 0, { ...parts, bootable: bootable.join(", ") });
    }
    const fixed = url.replace(/^(?:(https?|tftp|nfs)(?=\/\/))?\/*/, (_, kept) => `${kept || "http"}://`);
    throw refusal("no scheme", 0, { url: withoutUserinfo(fixed) }, fixed);
  };

  const checkSetting = (scheme, rest, hidden) => {
    const isAddress = pattern(`^${rules.address}`).test(rest) && !hidden;
    return { warnings: isAddress ? [message("address", 0, { url: `http://${rest}` })] : [] };
  };

  const isPort = (text) => hasSetting(text) || (/^[1-9][0-9]{0,4}$/.test(text) && text <= 65535);

  const isIpv6 = (host) => {
    if (!host.endsWith("]")) return false;
    const inside = host.slice(1, -1);
    const percent = inside.indexOf("%");
    const address = percent < 0 ? inside : inside.slice(0, percent);
    if (whole(rules.setting, address)) return true;
    // No more digits than an address has: URL takes "0::00001", Python does not.
    if (!/^[0-9A-Fa-f:.]+$/.test(address) || /[0-9A-Fa-f]{5}/.test(address.replace(/[0-9.]+$/, ""))) return false;
    if (/(?:^|\.)0[0-9]+(?:\.|$)/.test(address.slice(address.lastIndexOf(":") + 1)) && address.includes(".")) return false;
    try {
      new URL(`http://[${address}]/`);
    } catch {
      return false;
    }
    return percent < 0 || whole(rules.host, inside.slice(percent + 1));
  };

  const checkHost = (host, here, hidden) => {
    const parts = { shown: shown(host, here, hidden) };
    if (host.startsWith("[")) {
      if (!isIpv6(host)) throw refusal("bad IPv6", here, parts);
    } else if (/^[0-9]+(\.[0-9]+){3}$/.test(host) && host.split(".").some((part) => Number(part) > 255)) {
      throw refusal("bad IPv4", here, parts);
    } else if (!whole(rules.host, host)) {
      const good = pattern(`^(?:${rules.host})`).exec(host);
      const end = good ? good[0].length : 0;
      const mend = here < hidden ? "user information" : host[end] === "{" ? "a setting" : "a host";
      throw refusal("bad host", here + end, { ...parts, mend: message(mend) });
    }
    const named = { "this host": rules.loopback, octal: rules.octal };
    return Object.entries(named).flatMap(([name, source]) =>
      pattern(`^(?:${source})$`, "i").test(host) ? [message(name, here)] : [],
    );
  };

  const checkAuthority = (scheme, rest, hidden) => {
    const masked = mask(rest);
    const beforeQuery = masked.split("?", 1)[0].slice(2);
    const slash = beforeQuery.indexOf("/");
    const authority = slash < 0 ? beforeQuery : beforeQuery.slice(0, slash);
    const path = slash < 0 ? "" : beforeQuery.slice(slash);
    const atSign = authority.includes("@");
    const start = 2 + authority.indexOf("@") + 1;
    const hostPort = rest.slice(start, 2 + authority.length);
    let here = scheme.name.length + 1 + start;
    const secret = here < hidden;

    const literal = mask(hostPort).replace(/\[[^\]]*\]|\[.*/g, (text) => "x".repeat(text.length));
    const colon = literal.indexOf(":");
    const host = colon < 0 ? hostPort : hostPort.slice(0, colon);
    const port = colon < 0 ? "" : hostPort.slice(colon + 1);
    if (!hostPort.startsWith("[") && mask(port).includes(":")) {
      throw refusal("two colons", here, { mend: message(secret ? "user information" : "brackets") });
    }
    if (!host) throw refusal("no host", here, { how: scheme.how });
    const warnings = checkHost(host, here, hidden);
    if (colon >= 0 && !isPort(port)) {
      const what = port ? `bad port${shown(port, here, hidden)}` : "no port after the colon";
      const mend = message(secret ? "user information" : "port");
      throw refusal("bad port", here + host.length + 1, { what, mend });
    }
    if (atSign && secret) throw refusal("two at signs", hidden - 1, { mend: message("user information") });

    here += hostPort.length;
    const nfs = scheme.name === "nfs";
    const lacking = scheme.needs.includes("path") && path === "";
    if (lacking || (nfs && path.replace(/\//g, "") === "")) throw refusal("no path", here, { how: scheme.how });
    const last = here + path.length - 1;
    if (nfs && path.endsWith("/")) throw refusal("no file", last, { name: scheme.name });
    if (scheme.name === "tftp" && path.endsWith("/")) warnings.push(message("no name", last, { name: scheme.name }));
    if (nfs || scheme.name === "tftp") {
      const parts = { "user name and password": atSign, port: nfs && colon >= 0, query: masked.includes("?") };
      const protocol = scheme.name.toUpperCase();
      const given = Object.keys(parts).filter((what) => parts[what]);
      warnings.push(...given.map((what) => message("ignores", 0, { protocol, what })));
    }
    const fileStart = start + hostPort.length + 1;
    const file = scheme.name === "tftp" ? rest.slice(fileStart, fileStart + path.length - 1) : "";
    return { host, file, warnings };
  };

  // Split at colons outside [...] and ${...}.
  const fieldsOf = (text) => {
    const masked = text.replace(pattern(`\\[[^\\]]*\\]|${rules.setting}`, "g"), (found) => "x".repeat(found.length));
    let end = -1;
    return masked.split(":").map((field) => {
      const start = end + 1;
      end = start + field.length;
      return text.slice(start, end);
    });
  };

  const checkIscsi = (scheme, rest, hidden) => {
    let here = "iscsi:".length;
    if (rest.startsWith("/")) throw refusal("iscsi slash", here, { how: scheme.how });
    const fields = fieldsOf(rest);
    if (fields.length < 5) {
      const missing = scheme.form.split(":").slice(1 + fields.length).join(":");
      throw refusal("missing", here + rest.length, { fields: missing, how: scheme.how });
    }
    const [server, protocol, port, lun] = fields;
    const target = fields.slice(4).join(":");
    if (!server) throw refusal("missing", here, { fields: "server", how: scheme.how });
    const warnings = checkHost(server, here, hidden);
    here += server.length + 1;
    if (protocol !== "" && protocol !== "6") warnings.push(message("PROTOCOL", here));
    here += protocol.length + 1;
    if (port && !isPort(port)) {
      throw refusal("bad PORT", here, { shown: shown(port, here, hidden), mend: message("port") });
    }
    here += port.length + 1;
    if (lun && !hasSetting(lun) && !whole(rules.iscsi_lun, lun)) {
      throw refusal("bad LUN", here, { shown: shown(lun, here, hidden) });
    }
    here += lun.length + 1;
    if (!target) throw refusal("missing", here, { fields: "target", how: scheme.how });
    if (!hasSetting(target) && !whole(rules.iscsi_target, target)) warnings.push(message("target", here));
    return { host: server, warnings };
  };

  const checkAoe = (scheme, rest) => {
    const address = pattern(`^(?:${rules.aoe})$`).exec(rest);
    const known = address !== null && Number(address[1]) < 0xffff && Number(address[2]) < 0xff;
    if (!known && !hasSetting(rest)) {
      throw refusal("bad AoE", "aoe:".length, { form: scheme.form, example: scheme.example });
    }
    return {};
  };

  const checkIbSrp = (scheme, rest, hidden) => {
    let here = "ib_srp:".length;
    const fields = fieldsOf(rest);
    if (fields.length !== rules.ib_srp_fields.length) {
      throw refusal("fields", here, { count: fields.length, wanted: rules.ib_srp_fields.length, how: scheme.how });
    }
    rules.ib_srp_fields.forEach(([name, octets], number) => {
      const text = fields[number];
      if (scheme.needs.includes(name.toLowerCase()) && !text) {
        throw refusal("missing", here, { fields: name, how: scheme.how });
      }
      const digits = octets ? `{${2 * octets}}` : "{1,16}";
      if (text && !hasSetting(text) && !whole(`[0-9A-Fa-f]${digits}`, text)) {
        throw refusal("bad field", here, { name, shown: shown(text, here, hidden), digits: 2 * octets || "1 to 16" });
      }
      here += text.length + 1;
    });
    return {};
  };

  const checks = { "": checkSetting, iscsi: checkIscsi, aoe: checkAoe, ib_srp: checkIbSrp };

  // Return { url, scheme, public, warnings, host, file }; throw UrlError if iPXE could not boot from it.
  const parse = (url) => {
    if (!url) throw refusal("empty");
    refuseUnsafeCharacters(url);
    const scheme = schemeOf(url);
    const start = scheme.name ? scheme.name.length + 1 : 0;
    const warnings = [];
    const fragment = mask(url).indexOf("#");
    if (fragment >= 0) warnings.push(message("fragment dropped", 0, { number: fragment + 1 }));
    const hidden = url.lastIndexOf("@") + 1;
    const check = checks[scheme.name] || checkAuthority;
    const parts = check(scheme, url.slice(start, fragment < 0 ? undefined : fragment), hidden);
    warnings.push(...(parts.warnings || []));
    const shownUrl = withoutUserinfo(url);
    if (shownUrl !== url && !isUserinfo(url)) warnings.push(message("path at", hidden - 1));
    warnings.push(...slips(url));
    return { url, scheme, public: shownUrl, warnings, host: parts.host || "", file: parts.file || "" };
  };

  // Return the script; throw UrlError if it is longer than the slot.
  const render = (parsed) => {
    const { url, scheme, public: name, host, file } = parsed;
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
    const script = rules.script.replace(/@([A-Z]+)@/g, (_, word) => words[word]);
    if (script.length > rules.slot_size) {
      const copies = file ? 2 : 1;
      const over = Math.ceil((script.length - rules.slot_size) / copies);
      throw new UrlError(message("too long", 0, { length: url.length, over, limit: url.length - over }));
    }
    return script;
  };

  // What may be shown of a script: without user information.
  const redact = (script, { url, public: shown, file }) => {
    const text = script.split(url).join(shown);
    return file.includes("@") ? text.split(file).join(file.slice(file.lastIndexOf("@"))) : text;
  };

  return { parse, render, redact, withoutUserinfo };
};
