// Make the buttons and links that all views use.

import { h } from "../dom.js";
import { busyName, state } from "../state.js";

/**
 * Return a button that runs an action. It never turns into the button of another action, and while its own runs it
 * does nothing; `disabled` would take the focus away from it.
 */
export function button(label, action, dataset = {}, { kind = "", title = null } = {}) {
  const isBusy = state.busy.has(busyName(action, dataset));
  const key = `${action} ${Object.values(dataset).join(" ")}`;
  return h("button", { type: "button", class: kind, title, "aria-disabled": isBusy && "true", "data-key": key, "data-do": action, ...data(dataset) }, label);
}

/** Return a checkbox that runs an action. */
export function checkbox(label, isOn, action, dataset = {}, { isMixed = false } = {}) {
  const box = h("input", { type: "checkbox", "aria-label": label, checked: isOn, "data-do": action, ...data(dataset) });
  box.indeterminate = isMixed;
  return h("label", { class: "pick" }, box);
}

function data(dataset) {
  return Object.fromEntries(Object.entries(dataset).map(([name, value]) => [`data-${name}`, value]));
}

/** Return text that only a screen reader says. */
export function spoken(text) {
  return h("span", { class: "spoken" }, text);
}

/** Return lines to copy, with a button that copies them. */
export function copyable(text) {
  return h("div", { class: "copyable", "data-copied": text }, h("pre", { tabindex: 0 }, h("code", {}, text)), button("Copy", "copy"));
}
