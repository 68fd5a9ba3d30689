// Show short messages that disappear by themselves.

import { changed, state } from "./state.js";

const SHOWN_MS = 6000;
let number = 0;

/** Show a message; `kind` is done, warning or error. */
export function toast(text, kind = "done", hint = "") {
  number += 1;
  const mine = { number, text, kind, hint };
  state.toasts = [...state.toasts.slice(-2), mine];
  if (kind !== "error") setTimeout(() => dismiss(mine.number), SHOWN_MS);
  changed();
}

/** Show an error with its hint. */
export function fail(error) {
  toast(error.message, "error", error.hint ?? "");
}

export function dismiss(which) {
  state.toasts = state.toasts.filter(({ number }) => number !== Number(which));
  changed();
}
