// Remember in the browser what somebody prefers; all tabs follow.

import { changed, state } from "./state.js";

const UTC = "localqueue.utc";

/** Use what was remembered, and follow other tabs. */
export function start() {
  state.isUtc = read(UTC) === "1";
  addEventListener("storage", ({ key, newValue }) => {
    if (key !== UTC) return;
    state.isUtc = newValue === "1";
    changed();
  });
}

/** Show times in UTC, or local times. */
export function toggleUtc() {
  state.isUtc = !state.isUtc;
  write(UTC, state.isUtc ? "1" : "0");
}

function read(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // the browser allows no storage
  }
}

function write(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // The choice then lasts as long as the page.
  }
}
