// Code and tables that are wider than their boxes can be scrolled with the keyboard, and the search has a name for
// screen readers. The theme takes the tab stop of code away on devices without a mouse, and boxes change their width.
const reach = (box) => {
  if (box.scrollWidth > box.clientWidth && !box.hasAttribute("tabindex")) box.tabIndex = 0;
};
window.addEventListener("load", () => {
  const reachAll = (changes) => changes.forEach((change) => reach(change.target));
  const widths = new ResizeObserver(reachAll);
  const stops = new MutationObserver(reachAll);
  for (const box of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    widths.observe(box);
    stops.observe(box, { attributeFilter: ["tabindex"] });
  }
  document.querySelector(".md-search")?.setAttribute("aria-label", "search");
});
