"use strict";
// The page: what stands in the field is checked as it is typed; Enter or the button saves the image.

const rules = BakeRules(data);
const canBecomeRight = Typing(rules, data);
const element = (id) => document.getElementById(id);
const field = element("url");
const typed = () => field.value.trim();
let template = null; // a Blob, which the browser holds beside the page

// The gzip inside tells damage by its CRC-32.
const unpack = async (text) => {
  const packed = new Uint8Array((text.length / 4) * 3);
  let end = 0;
  for (let at = 0; at < text.length; at += CHUNK) {
    const binary = atob(text.slice(at, at + CHUNK));
    for (let i = 0; i < binary.length; i++) packed[end++] = binary.charCodeAt(i);
    await turn();
  }
  const stream = new Blob([packed.subarray(0, end)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).blob();
};

// The image is put together of parts of the template, and nothing is copied.
const bake = (parsed) => {
  const padded = new Uint8Array(data.slot_size).fill(10);
  padded.set(new TextEncoder().encode(rules.render(parsed)));
  const end = data.slot_offset + data.slot_size;
  const parts = [template.slice(0, data.slot_offset), padded, template.slice(end)];
  return new Blob(parts, { type: "application/x-iso9660-image" });
};

// Return whether a frame's sandbox lets files be saved; null where another site's frame does not say.
const mayDownload = () => {
  for (let frame = window; frame !== frame.parent; frame = frame.parent) {
    const outside = frame.frameElement;
    if (!outside) return null;
    if (outside.hasAttribute("sandbox") && !outside.sandbox.contains("allow-downloads")) return false;
  }
  // A server may send a sandbox too.
  return self.origin === "null" && location.protocol.startsWith("http") ? null : true;
};

const SECRET = "The image holds the URL's user name and password: keep it to yourself.";

// Return { parsed, lines, error, suggestion }: what is to be said of a URL.
const judge = (url) => {
  try {
    const parsed = rules.parse(url);
    rules.render(parsed); // refuses one that is too long
    const { name, boot, transport } = parsed.scheme;
    const disk = boot === "sanboot" ? "boot the disk" : "load";
    const what = name ? `${disk} ${parsed.public} over ${transport.split(";")[0]}` : `${disk} that ${parsed.public} names`;
    const warnings = parsed.warnings.map((warning) => `Warning: ${warning}.`);
    const secret = parsed.public !== parsed.url ? [SECRET] : [];
    return { parsed, ready: `Ready: the machine will ${what}.`, lines: [...warnings, ...secret], warned: warnings.length > 0 };
  } catch (error) {
    if (!(error instanceof UrlError)) throw error;
    return { parsed: null, error: error.message, suggestion: error.suggestion };
  }
};

// For screen readers: said once, and not again while it stays.
const hear = (text) => {
  if (element("heard").textContent !== text) element("heard").textContent = text;
};

const HINT = "Type the URL, or start from an example.";
const PAUSE = 600; // ms without a key
let pause = 0;

// Show what is to be said of the URL, and return it parsed, or null. While it is typed only that it is right is said at
// once; what is wrong when the typing pauses, and not before the field is left if it can still become right.
const check = (finished = true) => {
  clearTimeout(pause);
  const url = typed();
  const { parsed, ready, lines, warned, error, suggestion } = judge(url);
  const show = (complete) => {
    const said = parsed ? [ready, ...(complete ? lines : [])] : complete && url ? [error] : [];
    element("verdict").textContent = said.join("\n") || (url ? "" : HINT);
    element("verdict").className = parsed ? (complete && warned ? "warned" : "good") : url ? "bad" : "quiet";
    field.toggleAttribute("aria-invalid", false);
    if (said.length && !parsed) field.setAttribute("aria-invalid", "true");
    element("take").hidden = !(complete && suggestion);
    if (suggestion) element("take").textContent = `Use ${rules.withoutUserinfo(suggestion)}`;
    return said;
  };
  const tell = () => url === saved || hear(parsed ? ["Ready to save.", ...lines].join(" ") : url ? error : "");
  element("take").onclick = () => enter(suggestion);
  const script = parsed ? rules.redact(parsed).split("\n").filter((line) => line && !line.startsWith("# ")) : [];
  element("script").textContent = script.join("\n");
  element("no-script").hidden = Boolean(parsed);
  element("saved").hidden = !parsed || url !== saved;
  if (finished) {
    show(true);
    tell();
  } else {
    show(false);
    if (!canBecomeRight(url)) pause = setTimeout(() => { show(true); tell(); }, PAUSE);
    else if (parsed) pause = setTimeout(() => hear("Ready to save."), PAUSE);
    else if (!url) hear("");
  }
  readyToCopy();
  return parsed;
};

// Put a URL into the field, as if it were pasted there.
const enter = (url) => {
  field.value = url;
  field.focus();
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

// The address names the URL of a link only while that stands in the field.
const forgetFragment = () => {
  if (!location.hash.startsWith("#url=")) return;
  try {
    history.replaceState(null, "", location.href.split("#")[0]);
  } catch {
    // A sandbox keeps its address.
  }
};

// A button copies only what is there as a whole.
const readyToCopy = () => {
  for (const button of document.querySelectorAll("[data-of]")) {
    const source = element(button.dataset.of);
    button.disabled = !source.textContent || source.querySelector(".digest:empty") !== null;
  }
};

const writeClipboard = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // From plain http there is no clipboard but by this older way.
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "offscreen" });
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
};

// What is said of a copy stands for 2 s.
let copied = 0;
const copy = async (button) => {
  const link = () => `${location.href.split("#")[0]}#url=${encodeURIComponent(saved)}`;
  const done = await writeClipboard(button.id === "link" ? link() : element(button.dataset.of).textContent);
  button.focus();
  element("copied").textContent = done ? "Copied" : "Your browser does not let this page copy: select the text and copy it.";
  clearTimeout(copied);
  copied = setTimeout(() => { element("copied").textContent = ""; }, 2000);
};

let saved = null; // the URL of the last image
const fillIn = (name, text) => {
  for (const place of document.querySelectorAll(name)) place.textContent = text;
};

const save = async () => {
  const parsed = check();
  if (!parsed) {
    if (!typed()) {
      element("verdict").textContent = rules.empty;
      element("verdict").className = "bad";
      hear(rules.empty);
    }
    field.focus();
    return;
  }
  if (!template || mayDownload() === false) return;
  const started = performance.now();
  const image = bake(parsed);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(image);
  link.download = data.output;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  saved = parsed.url;
  fillIn(".saved-url", parsed.public);
  fillIn(".digest", "");
  element("link").hidden = parsed.public !== parsed.url;
  element("saved").hidden = false;
  element("saved").scrollIntoView({ block: "nearest" });
  hear(`${data.output} was handed to your browser. What to do with it is below.`);
  readyToCopy();
  const digest = await sha256(image);
  performance.measure("bake", { start: started });
  if (saved !== parsed.url) return; // another was saved since
  fillIn(".digest", digest);
  readyToCopy();
};

// Show the steps of what was chosen.
const choose = () => {
  for (const steps of document.querySelectorAll("[data-for]")) {
    steps.hidden = !element(steps.dataset.for).checked;
  }
};

field.addEventListener("input", (event) => {
  forgetFragment();
  check(event.inputType === "insertFromPaste" || event.inputType === "insertFromDrop");
});
field.addEventListener("change", () => check());
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault(); // a change, which would be said in place of the saving
  save();
});
element("bake").addEventListener("click", save);
element("saved").addEventListener("change", choose);
for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));
for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", () => {
    forgetFragment();
    enter(example.textContent);
  });
}
addEventListener("hashchange", enterFromFragment);
// What a saved copy of the page, or the browser's memory, may have left.
element("bake").disabled = true;
choose();
check();
if (window === parent) field.focus();
enterFromFragment();
pageStarted = true; // with all that it takes

addEventListener("DOMContentLoaded", async () => {
  if (browserIsOld) return;
  try {
    template = await unpack(element("template").firstChild.data);
  } catch (error) {
    console.error(error);
    showNotice("damaged");
    return;
  }
  const may = mayDownload();
  element("bake").disabled = may === false;
  showNotice(may === false ? "sandbox" : may === null ? "frame" : "");
  performance.mark("ready");
});
