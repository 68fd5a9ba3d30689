// Handle the keyboard. The focused row is the selected one, so the browser shows it and reads it out.

import { run } from "./actions.js";
import * as router from "./router.js";
import * as selection from "./selection.js";
import { afterDrawing, state } from "./state.js";

const HANDLERS = {
  j: () => step(1),
  k: () => step(-1),
  "[": () => stepAttempt(-1),
  "]": () => stepAttempt(1),
  r: () => act("retry"),
  e: () => run("enqueue"),
  p: () => press(".queue-head [data-do=pause], .queue-head [data-do=resume]"),
  n: () => run("next"),
  x: pick,
  a: () => afterDrawing(() => document.querySelector(".selection button")?.focus()),
  u: () => run("utc"),
  "/": () => document.querySelector("#find").focus(),
  "?": () => run("help"),
  Escape: leave,
};

const REPEATED = ["j", "k", "[", "]"];

export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.repeat && event.key === "Enter" && event.target.matches("button")) event.preventDefault(); // it would click again
    const isTyping = event.target.matches("input:not([type=checkbox]), textarea, select");
    const isAltGr = event.getModifierState("AltGraph"); // types [ and ] on many keyboards
    const isOtherCommand = event.metaKey || ((event.ctrlKey || event.altKey) && !isAltGr);
    if (isOtherCommand || document.querySelector("dialog[open]")) return;
    if (isTyping && event.key !== "Escape") return;
    if (!Object.hasOwn(HANDLERS, event.key)) return;
    event.preventDefault();
    if (event.repeat && !REPEATED.includes(event.key)) return; // a key that is held down acts once
    HANDLERS[event.key](event);
  });
}

function rows() {
  return [...document.querySelectorAll("#rows a.row")];
}

function step(by) {
  const all = rows();
  const from = all.findIndex((row) => row === document.activeElement);
  const at = from === -1 ? all.findIndex((row) => row.getAttribute("aria-current")) : from;
  const row = all[at === -1 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)];
  if (!row) return;
  row.focus();
  row.scrollIntoView({ block: "nearest" });
  if (state.route.job !== null) router.go({ ...state.route, job: row.dataset.id }, { replace: true });
}

/** Select the attempt beside the focused one, else beside the selected one. */
function stepAttempt(by) {
  const all = [...document.querySelectorAll("#job button.attempt")];
  const focused = all.indexOf(document.activeElement);
  const from = focused === -1 ? all.findIndex((row) => row.getAttribute("aria-pressed") === "true") : focused;
  const row = all[from + by];
  if (!row) return;
  const round = row.closest("details");
  if (round) round.open = true;
  row.click();
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}

/** Run an action on the open job, else on the focused one. */
function act(name) {
  if (state.route.job !== null) press(`#job [data-do=${name}], #job [data-do=try]`);
  else if (selection.count(selection.ACTIONS.retry)) run("onSelection", { action: "retry" });
  else {
    const id = document.activeElement?.dataset?.id;
    const job = state.list.jobs.find((listed) => listed.id === id);
    if (job?.state === "retrying") run("try", { id, due: job.dueAt });
    else if (job) run("retry", { id });
  }
}

function pick() {
  const id = state.route.job === null ? document.activeElement?.closest(".line")?.dataset.key : state.open?.job?.id;
  if (state.list.jobs.some((job) => job.id === id)) run("pick", { id });
}

function press(selector) {
  document.querySelector(selector)?.click();
}

function leave(event) {
  if (state.editing !== null) run("editNone");
  else if (event.target.matches("#find")) {
    event.target.value = "";
    event.target.blur();
    router.go({ ...state.route, id: null });
  } else if (state.isClockOpen) run("clock");
  else if (state.route.job !== null) {
    const { job } = state.route;
    router.go({ ...state.route, job: null });
    rows().find((row) => row.dataset.id === job)?.focus();
  } else run("pickNone");
}
