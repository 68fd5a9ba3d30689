// Follow the server's clock, and update every text that counts up or down.

import * as format from "./format.js";
import { state } from "./state.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const WORDS = {
  until: (at) => (at > now() ? `in ${format.countdown(at - now())}` : "now"),
  soon: (at) => (at > now() ? `in ${format.short(at - now())}` : "now"),
  since: (at) => format.duration(Math.max(0, now() - at)),
  ago: (at) => format.ago(Math.max(0, now() - at)),
};
let serverAheadMs = 0; // the server's time minus the browser's

/** Set the server's time; virtual time stays there until it is set again. */
export function set({ mode, now: iso, offsetMs = state.clock?.offsetMs ?? 0 }) {
  const at = format.ms(iso);
  serverAheadMs = at - Date.now();
  state.clock = { mode, at, iso, offsetMs };
}

/** Follow an advance of the clock; its event may be a little old, so in real time only the distance counts. */
export function move(reading) {
  if (reading.mode === "virtual" || state.clock === null) set(reading);
  else {
    serverAheadMs += reading.offsetMs - state.clock.offsetMs;
    state.clock = { ...state.clock, offsetMs: reading.offsetMs };
  }
}

export function isVirtual() {
  return state.clock?.mode === "virtual";
}

/** Return the server's time in ms. */
export function now() {
  return isVirtual() ? state.clock.at : Date.now() + serverAheadMs;
}

/** Return the server's time in ISO 8601. */
export function iso() {
  return new Date(now()).toISOString();
}

/** Return a <time> that counts: `how` is until, soon, since or ago. */
export function ticking(how, at, iso) {
  const node = document.createElement("time");
  node.setAttribute("data-tick", how);
  node.setAttribute("data-at", at);
  if (iso) node.setAttribute("title", format.dateTime(iso));
  node.textContent = WORDS[how](at);
  return node;
}

/** Start counting; with reduced motion once a second. `also` is called each time. */
export function start(also) {
  let ticks = 0;
  setInterval(() => {
    ticks += 1;
    if (document.hidden || (calm.matches && ticks % 10)) return;
    for (const node of document.querySelectorAll("[data-tick]")) {
      const text = WORDS[node.dataset.tick](Number(node.dataset.at));
      if (node.firstChild.nodeValue !== text) node.firstChild.nodeValue = text;
    }
    also(ticks);
  }, 100);
}
