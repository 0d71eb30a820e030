"use strict";
// The page: what stands in the field is checked as it is typed; Enter or the button saves the image.

// SHA-256 (FIPS 180-4), for where the browser's own is not to be had: pages from plain http.
const sha256InScript = (bytes) => {
  const constants = new Uint32Array(64);
  const state = new Uint32Array(8);
  const fraction = (value) => ((value - Math.floor(value)) * 2 ** 32) | 0;
  for (let candidate = 2, count = 0; count < 64; candidate++) {
    let prime = true;
    for (let factor = 2; factor * factor <= candidate; factor++) prime = prime && candidate % factor !== 0;
    if (!prime) continue;
    if (count < 8) state[count] = fraction(Math.sqrt(candidate));
    constants[count++] = fraction(Math.cbrt(candidate));
  }
  const tail = new Uint8Array((bytes.length % 64 < 56 ? 64 : 128));
  const full = bytes.length - (bytes.length % 64);
  tail.set(bytes.subarray(full));
  tail[bytes.length % 64] = 0x80;
  new DataView(tail.buffer).setUint32(tail.length - 8, Math.floor(bytes.length / 2 ** 29));
  new DataView(tail.buffer).setUint32(tail.length - 4, (bytes.length << 3) >>> 0);
  const words = new Int32Array(64);
  const blocks = (data, end) => {
    for (let at = 0; at < end; at += 64) {
      for (let i = 0; i < 16; i++) {
        const j = at + 4 * i;
        words[i] = (data[j] << 24) | (data[j + 1] << 16) | (data[j + 2] << 8) | data[j + 3];
      }
      for (let i = 16; i < 64; i++) {
        const x = words[i - 15], y = words[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
      }
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0;
        const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
      }
      state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
    }
  };
  blocks(bytes, full);
  blocks(tail, tail.length);
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
};

const sha256 = async (bytes) => {
  if (!globalThis.crypto?.subtle) return sha256InScript(bytes);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join("");
};

const data = JSON.parse(document.getElementById("rules").textContent);
const rules = BakeRules(data);
const element = (id) => document.getElementById(id);
let template = null;

const unpack = async (text) => {
  const binary = atob(text);
  const packed = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) packed[i] = binary.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  if ((await sha256(bytes)) !== data.template_sha256) throw new Error("its SHA-256 is not what it should be");
  return bytes;
};

const bake = (parsed) => {
  const script = new TextEncoder().encode(rules.render(parsed));
  const padded = new Uint8Array(data.slot_size).fill(10);
  padded.set(script);
  const image = template.slice();
  image.set(padded, data.slot_offset);
  return image;
};

const say = (text, kind) => {
  element("verdict").textContent = text;
  element("verdict").className = kind;
};

// Show the SHA-256 of the image for a URL when the typing pauses; for null, that there is none.
let pause = 0;
const showDigest = (parsed) => {
  clearTimeout(pause);
  pause = 0;
  element("sha256").textContent = parsed ? "..." : "of which URL?";
  if (!parsed) return;
  const mine = setTimeout(async () => {
    const digest = await sha256(bake(parsed));
    if (mine === pause) element("sha256").textContent = digest;
  }, 250);
  pause = mine;
};

const SECRET = "The image holds the URL's user name and password: keep it to yourself.";

// Check what stands in the field and show it; return it parsed, or null.
const check = () => {
  const field = element("url");
  showDigest(null);
  element("take").hidden = element("link").hidden = true;
  try {
    const parsed = rules.parse(field.value);
    rules.render(parsed); // refuses one that is too long
    const script = rules.redact(parsed);
    element("script").textContent = script.split("\n").filter((line) => line && !line.startsWith("# ")).join("\n");
    const how = `iPXE boots it with ${parsed.scheme.boot}, over ${parsed.scheme.transport}.`;
    const secret = parsed.public !== parsed.url;
    const lines = [how, ...parsed.warnings.map((warning) => `Warning: ${warning}.`)];
    say([...lines, ...(secret ? [SECRET] : [])].join("\n"), parsed.warnings.length ? "warned" : "good");
    element("link").hidden = secret;
    field.removeAttribute("aria-invalid");
    showDigest(parsed);
    return parsed;
  } catch (error) {
    if (!(error instanceof UrlError)) throw error;
    element("script").textContent = "";
    say(field.value ? error.message : "Type the URL that the machine is to boot from.", field.value ? "bad" : "");
    if (field.value) field.setAttribute("aria-invalid", "true");
    if (error.suggestion) {
      element("take").textContent = `Take ${rules.withoutUserinfo(error.suggestion)}`;
      element("take").onclick = () => enter(error.suggestion);
      element("take").hidden = false;
    }
    return null;
  }
};

// Put a URL into the field, as if it were typed there.
const enter = (url) => {
  element("url").value = url;
  element("url").focus();
  check();
};

// boots-from.html#url=http://bootserver/boot fills the field, and does nothing else. What a browser may have escaped
// is exact when the whole of it is, which begins with the scheme's colon or with the "${" of a setting.
const enterFromFragment = () => {
  const found = /^#url=(.*)$/s.exec(location.hash);
  if (!found) return;
  let url = found[1];
  try {
    if (/^(?:[A-Za-z0-9_]+%3A|%24%7B)/i.test(url)) url = decodeURIComponent(url);
  } catch {
    // Not escaped as a whole: as it stands.
  }
  enter(url);
};

// "Copied" stands for 2 s after what was copied last.
let copied = 0;
const copy = async (button) => {
  const url = `${location.href.split("#")[0]}#url=${encodeURIComponent(element("url").value)}`;
  const text = button.id === "link" ? url : element(button.dataset.of).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // From plain http there is no clipboard but by this older way.
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "offscreen" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  element("copied").textContent = "Copied";
  button.classList.add("done");
  clearTimeout(copied);
  copied = setTimeout(() => {
    element("copied").textContent = "";
    for (const done of document.querySelectorAll(".done")) done.classList.remove("done");
  }, 2000);
};

const save = async (event) => {
  event.preventDefault();
  const parsed = check();
  if (!parsed) {
    if (!element("url").value) say(rules.empty, "bad");
    element("url").focus();
    return;
  }
  clearTimeout(pause); // the saved image's is shown
  pause = 0;
  const started = performance.now();
  const image = bake(parsed);
  const digest = await sha256(image);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([image], { type: "application/x-iso9660-image" }));
  link.download = data.output;
  link.click();
  performance.measure("bake", { start: started });
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  element("sha256").textContent = digest;
  const secret = parsed.public !== parsed.url;
  say(`Saved ${data.output}, which boots from ${parsed.public}${secret ? `\n${SECRET}` : ""}`, "good");
};

for (const scheme of data.schemes.filter((row) => row.boot)) {
  element("schemes").append(
    Object.assign(document.createElement("dt"), { textContent: scheme.transport }),
    Object.assign(document.createElement("dd"), { textContent: scheme.form }),
  );
}

document.addEventListener("DOMContentLoaded", async () => {
  try {
    template = await unpack(element("template").textContent);
  } catch (error) {
    say(`This file is damaged (${error.message}). Download it again.`, "bad");
    return;
  }
  element("url").disabled = element("bake").disabled = false;
  element("url").addEventListener("input", check);
  element("form").addEventListener("submit", save);
  addEventListener("hashchange", enterFromFragment);
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));
  check();
  element("url").focus();
  enterFromFragment();
  performance.mark("ready");
});
