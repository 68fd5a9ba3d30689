// Remember in the browser what somebody prefers; all tabs follow.

import { changed, state } from "./state.js";

const UTC = "localqueue.utc";
const DISMISSED = "localqueue.dismissed";

/** Use what was remembered, and follow other tabs. */
export function start() {
  take(UTC, read(UTC));
  take(DISMISSED, read(DISMISSED));
  addEventListener("storage", ({ key, newValue }) => {
    take(key, newValue);
    changed();
  });
}

function take(name, value) {
  if (name === UTC) state.isUtc = value === "1";
  if (name === DISMISSED) state.dismissed = parsed(value);
}

/** Return what was dismissed; nothing if another page of this origin has written something else. */
function parsed(value) {
  try {
    return Object(JSON.parse(value ?? "{}"));
  } catch {
    return {};
  }
}

/** Show times in UTC, or local times. */
export function toggleUtc() {
  state.isUtc = !state.isUtc;
  write(UTC, state.isUtc ? "1" : "0");
}

/** Return the refused requests that aren't dismissed: of a dismissed reason, another one was refused. */
export function rejections() {
  return state.rejections.filter((rejection) => rejection.count > (state.dismissed[reasonOf(rejection)] ?? 0));
}

/** Dismiss the refused requests that are shown. */
export function dismissRejections() {
  remember(Object.fromEntries(state.rejections.map((rejection) => [reasonOf(rejection), rejection.count])));
}

/** Forget what was dismissed if fewer requests have been refused: the server was reset or restarted meanwhile. */
export function checkDismissed(refused) {
  const dismissed = Object.values(state.dismissed).reduce((sum, count) => sum + count, 0);
  if (dismissed > refused) forgetDismissed();
}

/** Forget what was dismissed: after a reset, the first refused request is a new one. */
export function forgetDismissed() {
  remember({});
}

function remember(dismissed) {
  state.dismissed = dismissed;
  write(DISMISSED, JSON.stringify(dismissed));
}

/** Return the name of a reason on this server and since its reset; a virtual clock starts at the same time again. */
function reasonOf({ code, namespace, queue, security, firstAt }) {
  return JSON.stringify([state.pid, code, namespace, queue, security, firstAt]);
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
