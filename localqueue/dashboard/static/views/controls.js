// Make the buttons and links that all views use.

import { h } from "../dom.js";
import { busyName, state } from "../state.js";

/** Return a button that runs an action; it is disabled while the action runs. */
export function button(label, action, given = {}, { kind = "", title = null } = {}) {
  const data = Object.fromEntries(Object.entries(given).map(([name, value]) => [`data-${name}`, value]));
  const isBusy = state.busy.has(busyName(action, given));
  return h("button", { type: "button", class: kind, title, disabled: isBusy, "data-do": action, ...data }, label);
}

/** Return text that only a screen reader says. */
export function spoken(text) {
  return h("span", { class: "spoken" }, text);
}

/** Return lines to copy, with a button that copies them. */
export function copyable(text) {
  return h("div", { class: "copyable", "data-copied": text }, h("pre", { tabindex: 0 }, h("code", {}, text)), button("Copy", "copy"));
}
