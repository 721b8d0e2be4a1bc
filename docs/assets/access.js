// Code that is wider than its box can be scrolled with the keyboard, and the search has a name for screen readers.
document.addEventListener("DOMContentLoaded", () => {
  for (const code of document.querySelectorAll("pre > code")) code.tabIndex = 0;
  document.querySelector(".md-search")?.setAttribute("aria-label", "search");
});
