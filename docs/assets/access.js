// Code that is wider than its box can be scrolled with the keyboard, and the search has a name for screen readers.
// The theme takes the tab stop away again on devices without a mouse, and boxes change their width.
const reach = (code) => {
  if (code.scrollWidth > code.clientWidth && !code.hasAttribute("tabindex")) code.tabIndex = 0;
};
document.addEventListener("DOMContentLoaded", () => {
  const reachAll = (changes) => changes.forEach((change) => reach(change.target));
  const widths = new ResizeObserver(reachAll);
  const stops = new MutationObserver(reachAll);
  for (const code of document.querySelectorAll("pre > code")) {
    widths.observe(code);
    stops.observe(code, { attributeFilter: ["tabindex"] });
  }
  document.querySelector(".md-search")?.setAttribute("aria-label", "search");
});
