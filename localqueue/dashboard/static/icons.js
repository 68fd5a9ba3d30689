// Draw states as icons: a shape each, so that color is not needed to tell them apart.

import { h, s } from "./dom.js";

const RING = () => s("circle", { cx: 8, cy: 8, r: 5.5, class: "stroke" });
const SHAPES = {
  queued: () => [RING()],
  running: () => [RING(), s("path", { d: "M8 2.5a5.5 5.5 0 0 1 0 11z", class: "fill" })],
  retrying: () => [
    s("path", { d: "M13.2 8a5.2 5.2 0 1 1-1.6-3.8", class: "stroke" }),
    s("path", { d: "M12.4 1.6v3h-3", class: "stroke" }),
  ],
  completed: () => [s("path", { d: "M3 8.6l3.3 3.4L13 4.6", class: "stroke" })],
  failed: () => [s("path", { d: "M3.8 3.8l8.4 8.4M12.2 3.8l-8.4 8.4", class: "stroke" })],
  cancelled: () => [RING(), s("path", { d: "M4.4 11.6l7.2-7.2", class: "stroke" })],
  paused: () => [s("path", { d: "M5.2 3.2v9.6M10.8 3.2v9.6", class: "stroke wide" })],
  warning: () => [s("path", { d: "M8 2.4l6 11H2z", class: "stroke" }), s("path", { d: "M8 6.4v3.4M8 11.6v.1", class: "stroke" })],
  down: () => [s("path", { d: "M5 5l6 6M11 5l-6 6", class: "stroke" }), RING()],
  up: () => [s("circle", { cx: 8, cy: 8, r: 3.5, class: "fill" })],
  due: () => [s("path", { d: "M8 2.5L13.5 8 8 13.5 2.5 8z", class: "stroke" })],
};

export const STATES = ["queued", "running", "retrying", "failed", "completed", "cancelled"];

/** Return the icon of a state. */
export function icon(name) {
  return s("svg", { class: `icon ${name}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, SHAPES[name]());
}

/** Return a state as icon and word. */
export function stateLabel(state) {
  return h("span", { class: `state ${state}` }, icon(state), h("span", {}, state));
}

/** Return the icon of the outcome of an attempt. */
export function outcomeShape(outcome) {
  if (outcome === "completed" || outcome === "cancelled") return outcome;
  return outcome === "interrupted" ? "paused" : "failed";
}
