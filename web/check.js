"use strict";
// Whether iPXE can boot from a URL, and its script: what chain_url.py and boot_script.py do.
//
// The table of schemes, the messages, the patterns and the script's text come from there, as `rules`; here is only
// the order of the checks. A test compares both on URLs that hypothesis makes.

class UrlError extends Error {}

const BakeRules = (rules) => {
  const byName = new Map(rules.schemes.map((scheme) => [scheme.name, scheme]));
  const pattern = (source, flags = "") => new RegExp(source, flags);
  const whole = (source, text) => pattern(`^(?:${source})$`).test(text);
  const hasSetting = (text) => pattern(rules.setting).test(text);
  const mask = (text) => text.replace(pattern(rules.setting, "g"), (setting) => "x".repeat(setting.length));
  const fill = (text, parts) => text.replace(/\{(\w+)\}/g, (_, name) => parts[name]);
  const message = (name, parts = {}) => fill(rules.messages[name], parts);

  // Everything behind the first check is ASCII, where both languages count alike.
  const refusal = (name, offset = 0, parts = {}) =>
    new UrlError(message(name, { at: `at character ${offset + 1} of the URL`, ...parts }));

  const withoutUserinfo = (url) => {
    const found = /^((?:[A-Za-z0-9+._-]+:)??\/*)[^/?#]*@/.exec(mask(url));
    return found ? url.slice(0, found[1].length) + url.slice(found[0].length) : url;
  };

  const escaped = (text) =>
    Array.from(new TextEncoder().encode(text), (octet) => "%" + octet.toString(16).toUpperCase().padStart(2, "0")).join("");

  // IDNA 2003, as Python has it: label by label, for the browser takes "é.1" for a bad IPv4 address.
  const asciiHost = (host) => {
    if (!pattern(`^(?:${rules.name})$`).test(host)) throw new TypeError("not a name");
    const labels = host.split(/[.\u3002\uff0e\uff61]/);
    return labels
      .map((label, number) => {
        // Browsers keep these two letters.
        const old = label.replace(/ß/g, "ss").replace(/ς/g, "σ");
        const ascii = /^[\x00-\x7f]*$/.test(label) ? label : new URL(`http://${old}.x/`).hostname.slice(0, -2);
        const last = number > 0 && number === labels.length - 1;
        if (ascii.length > 63 || (ascii === "" && !last)) throw new TypeError("bad label");
        return ascii;
      })
      .join(".");
  };

  const asciiMend = (url, start, bad) => {
    const authority = /^([A-Za-z0-9+._-]+:\/\/(?:[^/?#]*@)?)([^/?#:@]*)/.exec(url);
    if (authority && authority[1].length <= start && start < authority[0].length) {
      try {
        return message("write the host", { host: asciiHost(authority[2]) });
      } catch {
        return message("no host name");
      }
    }
    return message("write it", { escaped: escaped(bad) });
  };

  const refuseUnsafeCharacters = (url) => {
    let bad = /[\x00-\x20\x7f]/.exec(url);
    const place = () => Array.from(url.slice(0, bad.index)).length;
    if (bad) {
      if (bad[0] === " " && url.replace(/^ +| +$/g, "") !== url) throw refusal("space around");
      if (bad[0] === " ") throw refusal("space", place());
      const code = bad[0].charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
      throw refusal("control", place(), { code });
    }
    bad = /[^\x00-\x7f]+/.exec(url);
    if (bad) throw refusal("non-ASCII", place(), { mend: asciiMend(url, bad.index, bad[0]) });
  };

  const schemeOf = (url) => {
    const found = pattern(`^${rules.scheme}`).exec(url);
    const name = found ? found[1].toLowerCase() : "";
    const scheme = byName.get(name);
    if (scheme) {
      if (!scheme.boot) throw refusal("lacking", 0, { name, instead: scheme.instead });
      return scheme;
    }
    if (found && !/^(?:[0-9]|[^/]*@|\$\{)/.test(url.slice(found[0].length)) && !url.startsWith("[")) {
      const bootable = rules.schemes.filter((row) => row.boot).map((row) => row.name).join(", ");
      throw refusal("unknown scheme", 0, { name: found[1], bootable });
    }
    const bare = withoutUserinfo(url).replace(/^(?:(https?|tftp|nfs)(?=\/\/))?\/*/, (_, kept) => `${kept || "http"}://`);
    throw refusal("no scheme", 0, { url: bare });
  };

  const isPort = (text) => hasSetting(text) || (/^[0-9]{1,5}$/.test(text) && text >= 1 && text <= 65535);

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

  const checkHost = (host, here, secret = false) => {
    const shown = secret ? "" : ` "${host}"`;
    if (host.startsWith("[")) {
      if (!isIpv6(host)) throw refusal("bad IPv6", here, { shown });
    } else if (/^[0-9]+(\.[0-9]+){3}$/.test(host) && host.split(".").some((part) => Number(part) > 255)) {
      throw refusal("bad IPv4", here, { shown });
    } else if (!whole(rules.host, host)) {
      const good = pattern(`^(?:${rules.host})`).exec(host);
      const mend = rules.messages[secret ? "user information" : "a host"];
      throw refusal("bad host", here + (good ? good[0].length : 0), { shown, mend });
    }
  };

  const checkAuthority = (scheme, rest) => {
    let here = scheme.name.length + 1;
    if (!rest.startsWith("//")) {
      const slashes = rest.startsWith("/") ? "one slash" : "no slashes";
      const url = withoutUserinfo("//" + rest.replace(/^\/+/, ""));
      throw refusal("slashes", here, { slashes, name: scheme.name, url });
    }
    const masked = mask(rest);
    const beforeQuery = masked.split("?", 1)[0].slice(2);
    const slash = beforeQuery.indexOf("/");
    const authority = slash < 0 ? beforeQuery : beforeQuery.slice(0, slash);
    const path = slash < 0 ? "" : beforeQuery.slice(slash);
    const start = 2 + authority.indexOf("@") + 1;
    const hostPort = rest.slice(start, 2 + authority.length);
    here += start;
    const secret = masked.split("@").length - 1 > (authority.includes("@") ? 1 : 0);

    const literal = mask(hostPort).replace(/\[[^\]]*\]|\[.*/g, (text) => "x".repeat(text.length));
    const colon = literal.indexOf(":");
    const host = colon < 0 ? hostPort : hostPort.slice(0, colon);
    const port = colon < 0 ? "" : hostPort.slice(colon + 1);
    if (!hostPort.startsWith("[") && mask(port).includes(":")) {
      throw refusal("two colons", here, { mend: rules.messages[secret ? "user information" : "brackets"] });
    }
    if (!host) throw refusal("no host", here, { how: scheme.how });
    checkHost(host, here, secret);
    if (colon >= 0 && !isPort(port)) {
      const what = secret ? "bad port" : port ? `bad port "${port}"` : "no port after the colon";
      const mend = rules.messages[secret ? "user information" : "port"];
      throw refusal("bad port", here + host.length + 1, { what, mend });
    }
    here += hostPort.length;
    if (scheme.needs.includes("path") && path.replace(/\//g, "") === "") throw refusal("no path", here, { how: scheme.how });
    if (scheme.needs.includes("path") && path.endsWith("/")) {
      throw refusal("no file", here + path.length - 1, { name: scheme.name });
    }
    if (scheme.name === "nfs" && (colon >= 0 || masked.includes("?"))) {
      return [message("NFS ignores", { what: colon >= 0 ? "port" : "query" })];
    }
    return [];
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

  const checkIscsi = (scheme, rest) => {
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
    checkHost(server, here);
    here += server.length + 1;
    if (protocol !== "" && protocol !== "6") throw refusal("bad PROTOCOL", here, { text: protocol });
    here += protocol.length + 1;
    if (port && !isPort(port)) throw refusal("bad PORT", here, { text: port, mend: rules.messages.port });
    here += port.length + 1;
    if (lun && !hasSetting(lun) && !whole(rules.iscsi_lun, lun)) throw refusal("bad LUN", here, { text: lun });
    here += lun.length + 1;
    if (!target) throw refusal("missing", here, { fields: "target", how: scheme.how });
    if (!hasSetting(target) && !whole(rules.iscsi_target, target)) throw refusal("bad TARGET", here, { text: target });
    return [];
  };

  const checkAoe = (scheme, rest) => {
    const address = pattern(`^(?:${rules.aoe})$`).exec(rest);
    const known = address !== null && Number(address[1]) < 0xffff && Number(address[2]) < 0xff;
    if (!known && !hasSetting(rest)) {
      throw refusal("bad AoE", "aoe:".length, { form: scheme.form, example: scheme.example });
    }
    return [];
  };

  const checkIbSrp = (scheme, rest) => {
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
        throw refusal("bad field", here, { name, text, digits: 2 * octets || "1 to 16" });
      }
      here += text.length + 1;
    });
    return [];
  };

  const checks = { iscsi: checkIscsi, aoe: checkAoe, ib_srp: checkIbSrp };

  // Return { url, scheme, public, warnings }; throw UrlError if iPXE could not boot from it.
  const parse = (url) => {
    if (!url) throw refusal("empty", 0, { example: rules.schemes[0].example });
    refuseUnsafeCharacters(url);
    const scheme = schemeOf(url);
    let rest = url.slice(scheme.name.length + 1);
    const warnings = [];
    const fragment = mask(url).indexOf("#");
    if (fragment >= 0) {
      warnings.push(message("fragment dropped", { number: fragment + 1 }));
      rest = url.slice(scheme.name.length + 1, fragment);
    }
    const check = checks[scheme.name] || checkAuthority;
    warnings.push(...check(scheme, rest));
    return { url, scheme, public: check === checkAuthority ? withoutUserinfo(url) : url, warnings };
  };

  // Return the script; throw UrlError if it is longer than the slot.
  const render = (parsed) => {
    const name = parsed.public;
    const shown = name.length <= rules.shown ? name : name.slice(0, rules.shown - 3) + "...";
    const literal6 = name.includes("//[") || name.startsWith("iscsi:[");
    const kind = `${parsed.scheme.boot} ${literal6 ? "IPv6" : "IPv4"} ${parsed.scheme.name === "https" ? "https" : "plain"}`;
    // In one pass, so that nothing in the URL is taken for a place to fill in.
    const script = rules.scripts[kind].replace(/\u0001|\u0002/g, (place) => (place === "\u0001" ? shown : parsed.url));
    const over = script.length - rules.slot_size;
    if (over > 0) {
      const length = parsed.url.length;
      throw new UrlError(message("too long", { length, over, limit: length - over }));
    }
    return script;
  };

  // What may be shown of a script: without user information.
  const redact = (script, parsed) => script.split(parsed.url).join(parsed.public);

  return { parse, render, redact };
};
