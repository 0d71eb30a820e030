"use strict";
// Runs before all other scripts, also in old browsers (ECMAScript 5). Shows the one notice that applies.
function showNotice(name) {
  var notices = document.getElementById("notices").children;
  for (var i = 0; i < notices.length; i++) notices[i].hidden = notices[i].id !== name;
}
// The newest feature that the page needs: a browser with it knows all the syntax of the other scripts.
var browserIsOld = !("DecompressionStream" in window);
var pageStarted = false; // set by page.js
showNotice(browserIsOld ? "old" : "loading");
if (!browserIsOld) addEventListener("load", function () { if (!pageStarted) showNotice("damaged"); });
