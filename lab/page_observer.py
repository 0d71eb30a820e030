"""JavaScript that observes the web page while it is used."""

# Collects in `heard` each text that a screen reader would announce, and "invalid" for each field that becomes invalid.
HEARD = """
window.heard = [];
const listen = (changes) => {
  for (const { target, attributeName } of changes) {
    const element = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
    if (attributeName === "aria-invalid" && element.hasAttribute("aria-invalid")) heard.push("invalid");
    const region = element.closest("[role=status], [role=alert], [aria-live]");
    if (region && !attributeName) heard.push(region.textContent);
  }
};
new MutationObserver(listen).observe(document.body, {
  subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["aria-invalid"],
});
"""

# Collects in `gaps` the milliseconds between two turns of the event loop, until an image and its SHA-256 are ready.
GAPS = """
window.gaps = [];
let before = performance.now();
const tick = () => {
  const now = performance.now();
  gaps.push(now - before);
  before = now;
  if (!performance.getEntriesByName("bake").length) setTimeout(tick);
};
tick();
"""
