// What scrolls can be reached with the keyboard, and the buttons that copy code are no landmarks.
const mend = () => {
  for (const part of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) part.tabIndex = 0;
  for (const part of document.querySelectorAll(".md-code__nav")) part.setAttribute("role", "none");
};
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
