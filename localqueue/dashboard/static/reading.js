// Tell whether somebody is reading a part of the page, so that it must not change under the eyes.

import { state } from "./state.js";

const SCROLLED = 30;
const FAST = 20; // new rows in one drawing; more would move the list under the pointer

/** Return whether somebody reads the list or selects rows of it, while rows are about to be added. */
export function isListRead(added = 0) {
  const rows = document.querySelector("#rows");
  if (!rows) return false;
  const isScrolled = rows.scrollTop > SCROLLED || (rows.offsetParent !== null && scrollY > SCROLLED && rows.scrollHeight > innerHeight);
  const isSelecting = state.selection.ids.size > 0 || state.selection.counts !== null;
  return isScrolled || isSelecting || (added > FAST && rows.matches(":hover, :focus-within"));
}

/** Return whether somebody reads the response: has scrolled in it, selected text of it, or has the focus in it. */
export function isResponseRead() {
  const response = document.querySelector("#job .response");
  if (!response) return false;
  const isScrolled = [...response.querySelectorAll("pre")].some((text) => text.scrollTop > 0);
  const selected = getSelection();
  return isScrolled || response.contains(document.activeElement) || (!selected.isCollapsed && response.contains(selected.anchorNode));
}
