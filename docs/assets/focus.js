// Code that is wider than its box can be scrolled with the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  for (const code of document.querySelectorAll("pre > code")) code.tabIndex = 0;
});
