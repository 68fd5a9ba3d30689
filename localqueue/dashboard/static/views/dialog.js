// Open a dialog.

import { h } from "../dom.js";

/** Return an empty dialog with this title; the caller fills and shows it. There is one at a time. */
export function open(title, role = null) {
  document.querySelector("dialog")?.remove();
  const dialog = h("dialog", { role, "aria-labelledby": "dialog-title" }, h("h2", { id: "dialog-title" }, title));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  return dialog;
}
