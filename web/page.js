"use strict";
// The page: checks the URL in the field while it is typed, and saves the image at Enter or a click.

const rules = BakeRules(data);
const canBecomeRight = Typing(rules, data);
const element = (id) => document.getElementById(id);
const field = element("url");
const typed = () => field.value.trim();
let template = null; // a Blob, which the browser stores outside the page

// Unpack the template from base64 and gzip, whose CRC-32 detects damage.
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

// Return the image, as a Blob of the parts of the template and the script, without copying.
const bake = (parsed) => {
  const padded = new Uint8Array(data.slot_size).fill(10);
  padded.set(new TextEncoder().encode(rules.render(parsed)));
  const end = data.slot_offset + data.slot_size;
  const parts = [template.slice(0, data.slot_offset), padded, template.slice(end)];
  return new Blob(parts, { type: "application/x-iso9660-image" });
};

// Return whether the sandbox of a frame allows downloads; null if the frame of another site does not tell.
const mayDownload = () => {
  for (let frame = window; frame !== frame.parent; frame = frame.parent) {
    const outside = frame.frameElement;
    if (!outside) return null;
    if (outside.hasAttribute("sandbox") && !outside.sandbox.contains("allow-downloads")) return false;
  }
  // A server may also send a sandbox, as a header.
  return self.origin === "null" && location.protocol.startsWith("http") ? null : true;
};

const SECRET = "The image holds the user name and password of the URL. Keep the file private.";

// Return what to show about a URL: { parsed, ready, lines, warned }, or { parsed: null, error, suggestion }.
const judge = (url) => {
  try {
    const parsed = rules.parse(url);
    rules.render(parsed); // throws if the URL is too long
    const { name, boot, transport } = parsed.scheme;
    const [load, file] = boot === "sanboot" ? ["boot", "disk"] : ["load", "file"];
    const over = transport.split(";")[0];
    const what = name ? `${load} ${parsed.public} over ${over}` : `${load} the ${file} that ${parsed.public} names`;
    const warnings = parsed.warnings.map((warning) => `Warning: ${warning}.`);
    const secret = parsed.public !== parsed.url ? [SECRET] : [];
    return { parsed, ready: `Ready: the machine will ${what}.`, lines: [...warnings, ...secret], warned: warnings.length > 0 };
  } catch (error) {
    if (!(error instanceof UrlError)) throw error;
    return { parsed: null, error: error.message, suggestion: error.suggestion };
  }
};

// Let screen readers read a text, once until it changes.
const hear = (text) => {
  if (element("heard").textContent !== text) element("heard").textContent = text;
};

const HINT = "Type the URL, or start from an example.";
const PAUSE = 600; // milliseconds without a key
let pause = 0;

// Check the URL, show the result, and return the parsed URL, or null. While the user types, show at once that the URL is
// right. Show an error when the typing pauses; but if the URL can still become right, only when the user leaves the field.
const check = (finished = true) => {
  clearTimeout(pause);
  const url = typed();
  const { parsed, ready, lines, warned, error, suggestion } = judge(url);
  const show = (complete) => {
    const shown = parsed ? [ready, ...(complete ? lines : [])] : complete && url ? [error] : [];
    element("verdict").textContent = shown.join("\n") || (url ? "" : HINT);
    element("verdict").className = parsed ? (complete && warned ? "warned" : "good") : url ? "bad" : "quiet";
    field.toggleAttribute("aria-invalid", false);
    if (shown.length && !parsed) field.setAttribute("aria-invalid", "true");
    element("take").hidden = !(complete && suggestion);
    if (suggestion) element("take").textContent = `Use ${rules.withoutUserinfo(suggestion)}`;
    return shown;
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

// Put a URL into the field, as if the user had pasted it.
const enter = (url) => {
  field.value = url;
  field.focus();
  check();
};

// Fill the field from a link such as boots-from.html#url=http://boot.example.com/boot, and do nothing else. Decode the URL
// only if it is escaped as a whole, which shows in an escaped colon after the scheme, or in an escaped "${" at its start.
const enterFromFragment = () => {
  const found = /^#url=(.*)$/.exec(location.hash);
  if (!found) return;
  let url = found[1];
  try {
    if (/^(?:[A-Za-z0-9_]+%3A|%24%7B)/i.test(url)) url = decodeURIComponent(url);
  } catch {
    // Not escaped as a whole: take it as it is.
  }
  enter(url);
};

// Remove the URL of a link from the address when the field changes.
const forgetFragment = () => {
  if (!location.hash.startsWith("#url=")) return;
  try {
    history.replaceState(null, "", location.href.split("#")[0]);
  } catch {
    // In a sandbox the address cannot change.
  }
};

// Enable a copy button only if its text is complete.
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
    // Pages from plain http can copy only in this older way.
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "offscreen" });
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
};

// The note about a copy is shown for 2 s.
let copied = 0;
const copy = async (button) => {
  const link = () => `${location.href.split("#")[0]}#url=${encodeURIComponent(saved)}`;
  const done = await writeClipboard(button.id === "link" ? link() : element(button.dataset.of).textContent);
  button.focus();
  element("copied").textContent = done ? "Copied" : "Your browser does not let this page copy. Select the text and copy it yourself.";
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
  hear(`Your browser has received ${data.output}. The next steps are below.`);
  readyToCopy();
  const digest = await sha256(image);
  performance.measure("bake", { start: started });
  if (saved !== parsed.url) return; // another image was saved in the meantime
  fillIn(".digest", digest);
  readyToCopy();
};

// Show the steps for the chosen place.
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
  event.preventDefault(); // otherwise screen readers get the result of a change event instead of that of saving
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
// Reset the state that a saved copy of the page, or the browser, may have kept.
element("bake").disabled = true;
choose();
check();
if (window === parent) field.focus();
enterFromFragment();
pageStarted = true; // for start.js: every script has run

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
