// Draw the header: search, connection and clock.

import * as clock from "../clock.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { icon } from "../icons.js";
import * as fetching from "../fetching.js";
import * as router from "../router.js";
import { state } from "../state.js";
import { button, spoken } from "./controls.js";

const TYPING_MS = 150;
let typing = null;

const LINKS = {
  connecting: ["queued", "connecting"],
  live: ["up", "live"],
  lost: ["down", "disconnected"],
  stopping: ["paused", "stopping"],
  refused: ["warning", "not updating"],
};

export function view() {
  return [
    h("div", { class: "bar" },
      h("a", { class: "brand", href: "#/" }, "localqueue"),
      search(),
      h("span", { class: "link", title: state.version && `localqueue ${state.version}` }, icon(LINKS[state.link][0]), LINKS[state.link][1]),
      clock.isVirtual() ? null : clockButton(),
      button("Enqueue", "enqueue", {}, { kind: "primary", title: "Enqueue a job (e)" }),
      button("?", "help", {}, { kind: "round", title: "Help and keyboard shortcuts (?)" }),
    ),
    clock.isVirtual() || state.isClockOpen ? clockBar() : null,
  ];
}

const PART_OF_ID = /^[0-9a-f-]{1,36}$/i;

function search() {
  return h("form", { id: "search", role: "search" },
    h("label", {}, spoken("Find jobs by ID, payload or response"),
      h("input", { id: "find", type: "search", placeholder: "Job ID or text", autocomplete: "off", spellcheck: "false", maxlength: 200 })),
    h("kbd", { "aria-hidden": "true" }, "/"),
  );
}

/** Show the jobs whose IDs start with the typed text, or that have it in payload or response; Enter opens the only match. */
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
  await fetching.list();
  const [first, ...others] = state.list.jobs;
  if (first && others.length === 0) {
    input.blur();
    router.go({ ...state.route, id: null, q: null, job: first.id });
  } else document.querySelector("#rows a.row")?.focus();
}

function find(text) {
  const typed = text.trim();
  const isId = PART_OF_ID.test(typed);
  const route = { ...state.route, id: isId ? typed.toLowerCase() : null, q: isId ? null : unquoted(typed) || null, job: null };
  fetching.follow(route);
  router.go(route, { replace: true });
}

/** Return a text without quotes around it: they are for digits that aren't the beginning of an ID. */
function unquoted(text) {
  return /^".+"$/.test(text) ? text.slice(1, -1) : text;
}

/** Show what the address searches for in the search field, unless somebody is typing. */
export function settle() {
  const input = document.querySelector("#find");
  if (input && document.activeElement !== input) input.value = state.route.id ?? state.route.q ?? "";
}

function clockButton() {
  const node = button(ahead() ? `Clock, ${ahead()}` : "Clock", "clock", {}, { title: "Advance the clock" });
  node.setAttribute("aria-expanded", state.isClockOpen);
  return node;
}

/** Return how far real time was advanced, in whole seconds: advancing takes a moment. */
function ahead() {
  const seconds = Math.round((state.clock?.offsetMs ?? 0) / 1000);
  return seconds ? `${format.duration(seconds * 1000)} ahead` : "";
}

function clockBar() {
  return h("div", { class: "clock-bar", role: "group", "aria-label": "Clock" },
    h("span", { class: "clock-now" }, ...(clock.isVirtual() ? virtualTime() : wallTime())),
    h("span", { class: "clock-buttons" },
      button("+1 s", "second"),
      button("+1 min", "minute"),
      button("To next", "next", {}, { title: "Advance to the next due time and run what is due (n)" }),
      button(state.busy.has("drain") ? "Draining…" : "Drain", "drain", {}, { title: "Run until all jobs are finished" })),
  );
}

function virtualTime() {
  return [
    h("strong", {}, "Virtual time"), " ",
    h("code", {}, format.dateTime(state.clock.iso)),
    h("span", { class: "dim" }, "paused; jobs run when you advance it"),
  ];
}

function wallTime() {
  return [
    h("strong", {}, "Real time"),
    h("span", { class: "dim" }, ahead() ? `, ${ahead()} until the next start` : "", ". Skip ahead to run everything due by then now. Drain waits until all jobs are finished."),
  ];
}
