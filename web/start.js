"use strict";
// Runs before all else, and in old browsers too (ECMAScript 5): shows the notice that is true, one at a time.
function showNotice(name) {
  var notices = document.getElementById("notices").children;
  for (var i = 0; i < notices.length; i++) notices[i].hidden = notices[i].id !== name;
}
var pageStarted = false; // set by page.js
(function () {
  // The newest thing that the page needs, and no polyfill: what has it can read all the syntax of the other scripts.
  var young = "DecompressionStream" in window;
  showNotice(young ? "loading" : "old");
  if (young) addEventListener("load", function () { if (!pageStarted) showNotice("damaged"); });
})();
