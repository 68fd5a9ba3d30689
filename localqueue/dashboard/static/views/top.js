// Draw the bar at the top: search, clock, connection.

import * as clock from "../clock.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { glyph } from "../glyphs.js";
import * as load from "../load.js";
import * as router from "../router.js";
import { state } from "../state.js";
import { button, spoken } from "./controls.js";

const TYPING_MS = 150;
let typing = null;

const LINKS = {
  connecting: ["queued", "connecting"],
  live: ["up", "live"],
  asleep: ["paused", "asleep"],
  lost: ["down", "not connected"],
  stopping: ["paused", "stopping"],
  refused: ["warning", "not live"],
};

export function view() {
  return [
    h("div", { class: "bar" },
      h("a", { class: "brand", href: "#/" }, "localqueue"),
      search(),
      h("span", { class: "link", title: state.version && `localqueue ${state.version}` }, glyph(LINKS[state.link][0]), LINKS[state.link][1]),
      clock.isVirtual() ? null : clockButton(),
      button("Enqueue", "enqueue", {}, { kind: "primary", title: "Enqueue a job (e)" }),
      button("?", "help", {}, { kind: "round", title: "Help and keys (?)" }),
    ),
    clock.isVirtual() || state.isClockOpen ? clockBar() : null,
  ];
}

function search() {
  return h("form", { id: "search", role: "search" },
    h("label", {}, spoken("Find a job by its id"),
      h("input", { id: "find", type: "search", placeholder: "Job id", autocomplete: "off", spellcheck: "false", maxlength: 64 })),
    h("kbd", { "aria-hidden": "true" }, "/"),
  );
}

/** Show the jobs whose ids begin as what is typed; Enter opens the one that is left. */
export function listen() {
  document.addEventListener("input", (event) => {
    if (event.target.id !== "find") return;
    clearTimeout(typing);
    typing = setTimeout(() => find(event.target.value), TYPING_MS);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "search") return;
    event.preventDefault();
    clearTimeout(typing);
    choose(document.querySelector("#find"));
  });
}

async function choose(input) {
  find(input.value);
  await load.list();
  const [first, ...others] = state.list.jobs;
  if (first && others.length === 0) {
    input.blur();
    router.go({ ...state.route, id: null, job: first.id });
  } else document.querySelector("#rows a.row")?.focus();
}

function find(text) {
  const id = text.trim().toLowerCase() || null;
  const route = { ...state.route, id, job: null };
  load.follow(route);
  router.go(route, { replace: true });
}

/** Let the search show what the address names, unless somebody is typing. */
export function settle() {
  const input = document.querySelector("#find");
  if (input && document.activeElement !== input) input.value = state.route.id ?? "";
}

function clockButton() {
  const node = button(ahead() ? `Clock, ${ahead()}` : "Clock", "clock", {}, { title: "Move the clock forward" });
  node.setAttribute("aria-expanded", state.isClockOpen);
  return node;
}

/** Word how far the wall clock was moved, in whole seconds: moving it takes a moment. */
function ahead() {
  const seconds = Math.round((state.clock?.offsetMs ?? 0) / 1000);
  return seconds ? `${format.setting(seconds * 1000)} ahead` : "";
}

function clockBar() {
  return h("div", { class: "clock-bar", role: "group", "aria-label": "Clock" },
    h("span", { class: "clock-now" }, ...(clock.isVirtual() ? virtualTime() : wallTime())),
    h("span", { class: "clock-buttons" },
      button("+1 s", "second"),
      button("+1 min", "minute"),
      button("To next", "next", {}, { title: "Move to the next due time and make what is due (n)" }),
      button(state.busy.has("drain") ? "Draining…" : "Drain", "drain", {}, { title: "Go on until nothing is queued, running or retrying" })),
  );
}

function virtualTime() {
  return [
    h("strong", {}, "Virtual clock"), " ",
    h("code", {}, format.dateTime(state.clock.iso)),
    h("span", { class: "dim" }, " stands still: jobs are delivered when you move it"),
  ];
}

function wallTime() {
  return [
    h("strong", {}, "Wall clock"),
    h("span", { class: "dim" }, ahead() ? `, ${ahead()} until the next start` : "", ". Move it, and what is due by then is made at once. Drain waits until nothing is left to do."),
  ];
}
