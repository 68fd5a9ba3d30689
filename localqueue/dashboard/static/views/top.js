// Draw the bar at the top: search, clock, connection.

import * as api from "../api.js";
import * as clock from "../clock.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { glyph } from "../glyphs.js";
import { fail } from "../notices.js";
import * as router from "../router.js";
import { state } from "../state.js";
import { button, spoken } from "./controls.js";

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

/** Open the job whose id, or short id, was entered. */
export function listen() {
  document.addEventListener("submit", async (event) => {
    if (event.target.id !== "search") return;
    event.preventDefault();
    const input = document.querySelector("#find");
    const id = input.value.trim().toLowerCase();
    if (id === "") return;
    try {
      const found = await api.get(api.jobPath(id));
      input.value = "";
      input.blur();
      router.go({ ...state.route, job: found.id });
    } catch (error) {
      fail(error);
    }
  });
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
