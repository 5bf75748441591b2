// What is wider than the screen is a stop of the Tab key, so that arrow keys scroll it.
new ResizeObserver(() => {
  const boxes = "pre > code, .md-typeset__scrollwrap, .md-typeset :is(p, td):has(img[src$='.svg'])";
  for (const box of document.querySelectorAll(boxes)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}).observe(document.body);

// A button to copy, and a part of the contents of a page, are no places of their own.
addEventListener("load", () => {
  const inner = ".md-code__nav, .md-nav--secondary li > nav";
  for (const place of document.querySelectorAll(inner)) {
    place.removeAttribute("aria-label");
    place.role = "none";
  }
  document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search");
  for (const head of document.querySelectorAll("th:empty")) head.replaceWith(document.createElement("td"));
});
