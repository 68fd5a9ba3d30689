// Draw the list of jobs: its queue, its filter by state, its rows.

import * as clock from "../clock.js";
import { h, keep, onPage } from "../dom.js";
import * as format from "../format.js";
import { icon, stateLabel, STATES } from "../icons.js";
import * as router from "../router.js";
import { isAmbiguous, isSearch, total } from "../scope.js";
import * as selection from "../selection.js";
import { heldBy, state } from "../state.js";
import * as causes from "./causes.js";
import { button, checkbox, spoken } from "./controls.js";
import * as emptyState from "./empty_state.js";
import { outcomeWord } from "./job_status.js";
import * as queuePanel from "./queue_panel.js";
import * as selectionBar from "./selection_bar.js";
import { foreign } from "./text_block.js";

let drawn = new Map(); // rows by id, with what they show

export function view() {
  const queue = openQueue();
  return [queueHead(queue), tabs(), causes.view(), selectionBar.view(), unseen(), list(queue)];
}

/** Call `showUnseen` when the list with unseen rows is scrolled back to its top. */
export function listen(showUnseen) {
  document.addEventListener("scroll", (event) => {
    if (event.target.id === "rows" && event.target.scrollTop === 0 && state.list.unseen.size) showUnseen();
  }, true);
}

function openQueue() {
  const { namespace, queue } = state.route;
  return state.queues?.find((known) => known.namespace === namespace && known.name === queue) ?? null;
}

function queueHead(queue) {
  const { route } = state;
  return h("header", { class: "queue-head" },
    h("div", {},
      route.namespace === null ? null : h("a", { class: "back", href: "#/" }, "All queues"),
      h("h1", {}, route.queue ?? route.namespace ?? "All queues"),
      queue ? queuePanel.view(queue) : null),
    h("div", { class: "buttons" },
      unfolding("Queues", "nav", state.isNavOpen),
      isSearch() ? null : [retryAll(route), deleteFinished(route)],
      queue ? pause(queue) : null,
      route.namespace === null && !isSearch() ? button("Reset…", "reset", {}, { kind: extra(), title: "Delete all jobs and restore the initial state" }) : null,
      unfolding("More", "moreActions", state.isMoreOpen)),
  );
}

function pause({ namespace, name: queue, held }) {
  if (held === "paused") return button([icon("up"), "Resume"], "resume", { namespace, queue }, { title: "Resume the queue (p)" });
  return held === null ? button([icon("paused"), "Pause"], "pause", { namespace, queue }, { title: "Pause the queue; running attempts finish (p)" }) : null;
}

/** Return a button that shows on a narrow screen what is always there on a wide one. */
function unfolding(label, action, isOpen) {
  const node = button(label, action, {}, { kind: "narrow-only" });
  node.setAttribute("aria-expanded", isOpen);
  return node;
}

/** Return the class of a button that a narrow screen has only when somebody asks for more. */
function extra() {
  return `extra ${state.isMoreOpen ? "is-open" : ""}`;
}

function retryAll({ namespace, queue }) {
  const failed = total("failed");
  if (failed === 0) return null;
  const place = Object.fromEntries(Object.entries({ namespace, queue }).filter(([, value]) => value !== null));
  return button([icon("retrying"), `Retry ${format.number(failed)} failed`], "retryAll", place);
}

function deleteFinished({ namespace, queue }) {
  const finished = selection.ACTIONS.delete.reduce((sum, name) => sum + total(name), 0);
  if (finished === 0) return null;
  const place = Object.fromEntries(Object.entries({ namespace, queue }).filter(([, value]) => value !== null));
  return button(`Delete ${format.number(finished)} finished…`, "deleteFinished", place, { kind: extra() });
}

function tabs() {
  const { route } = state;
  const all = STATES.reduce((sum, name) => sum + total(name), 0);
  const tab = (name, label, n) =>
    h("a", { class: `tab ${n ? "" : "none"}`, href: router.href({ ...route, state: name }), "aria-current": route.state === name && "page" },
      label, h("span", { class: "n" }, format.number(n)));
  return h("nav", { class: "tabs", "aria-label": "Jobs by state" },
    tab(null, "All", all), STATES.map((name) => tab(name, stateLabel(name), total(name))));
}

function unseen() {
  const { size } = state.list.unseen;
  const label = size >= 1000 ? "1,000 or more new jobs" : format.count(size, "new job");
  return h("div", { class: "unseen" }, size ? button(label, "unseen") : null);
}

function list(queue) {
  const { jobs, isLoading, error, next, isLoadingMore } = state.list;
  if (error) return h("div", { id: "rows" }, emptyState.broken(error));
  if (jobs.length === 0) return h("div", { id: "rows", "data-key": "empty" }, isLoading || state.queues === null ? null : emptyState.view(queue));
  const rows = jobs.map(row);
  drawn = new Map(rows.map((entry) => [entry.id, entry]));
  return h("div", { id: "rows", "data-key": "rows" },
    rows.map((entry) => (entry.isDrawn ? keep(entry.node) : entry.node)),
    next === null ? null : button(isLoadingMore ? "Loading…" : "Older jobs", "more", {}, { kind: "more" }));
}

function row(job) {
  const isOpen = state.open?.job?.id === job.id || state.route.job === job.id;
  const isPicked = selection.isPicked(job.id);
  const shown = [isOpen, heldBy(job), isAmbiguous(job), format.isUtc(), router.href(state.route)].join(" ");
  const known = drawn.get(job.id);
  if (known && known.job === job && known.shown === shown) {
    if (known.isPicked !== isPicked) markPicked(onPage(known.node), isPicked);
    return { ...known, isPicked, isDrawn: true };
  }
  return { id: job.id, job, shown, isPicked, node: line(job, isOpen, isPicked) };
}

function line(job, isOpen, isPicked) {
  return h("div", { class: `line ${isPicked ? "is-picked" : ""}`, "data-key": job.id }, checkbox(`Select job ${job.shortId}`, isPicked, "pick", { id: job.id }), rowLink(job, isOpen));
}

/** Select a row that is drawn: drawing hundreds of them again takes too long. */
function markPicked(node, isPicked) {
  node.classList.toggle("is-picked", isPicked);
  node.querySelector("input").checked = isPicked;
}

function rowLink(job, isOpen) {
  const { last } = job;
  return h("a", { class: "row", "data-id": job.id, href: router.href({ ...state.route, job: job.id }), "aria-current": isOpen && "true" },
    stateLabel(job.state),
    h("span", { class: "c-queue" }, job.queue, isAmbiguous(job) ? h("span", { class: "dim" }, ` ${job.namespace}`) : null),
    h("span", { class: "c-data", title: job.summary }, job.summary ? h("span", { class: "is-bad" }, foreign(job.summary)) : null, h("code", {}, preview(job))),
    h("span", { class: "c-attempt" }, job.attempt ? [spoken("attempt "), `${job.attempt}/${job.maxAttempts}`] : null),
    h("span", { class: `c-last ${last && last.outcome !== "completed" ? "is-bad" : ""}` }, last ? outcomeWord(last) : null),
    h("span", { class: "c-when" }, when(job)),
    h("code", { class: "c-id" }, job.shortId));
}

/** Return the start of the payload, which distinguishes one job from the next. */
function preview(job) {
  return job.preview ? foreign(job.preview.replace(/\s+/g, " ")) : null;
}

function when(job) {
  const held = heldBy(job);
  if (held) return held === "paused" ? [icon("paused"), "paused"] : [icon("warning"), "held"];
  if (job.state === "retrying") return ["next try ", clock.ticking("soon", format.ms(job.dueAt), job.dueAt)];
  if (job.state === "queued") return "due now";
  if (job.state === "running") return job.startedAt ? ["for ", clock.ticking("since", format.ms(job.startedAt), job.startedAt)] : "running";
  return clock.ticking("ago", format.ms(job.finishedAt), job.finishedAt);
}
