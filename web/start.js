"use strict";
// Runs before all else, and in old browsers too (ECMAScript 5): shows the notice that is true, one at a time.
function showNotice(name) {
  var notices = document.getElementById("notices").children;
  for (var i = 0; i < notices.length; i++) notices[i].hidden = notices[i].id !== name;
}
// The newest thing that the page needs: a browser that has it can read all the syntax of the other scripts.
var browserIsOld = !("DecompressionStream" in window);
var pageStarted = false; // set by page.js
showNotice(browserIsOld ? "old" : "loading");
if (!browserIsOld) addEventListener("load", function () { if (!pageStarted) showNotice("damaged"); });
