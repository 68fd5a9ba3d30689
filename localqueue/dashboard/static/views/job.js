// Draw the page of a job: its status, its attempts, the response to one of them, its payload.

import * as clock from "../clock.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { icon, stateLabel } from "../icons.js";
import * as router from "../router.js";
import { state } from "../state.js";
import * as attempts from "./attempts.js";
import { button, spoken } from "./controls.js";
import { explain } from "./job_status.js";
import * as textBlock from "./text_block.js";

const UNFINISHED = ["queued", "running", "retrying"];

export function view() {
  const { open } = state;
  const back = h("a", { class: "back", href: router.href({ ...state.route, job: null }), title: "Back to the list (Esc)" }, "Jobs");
  if (open.error) return [back, missing(open)];
  if (open.job === null) return [back];
  const { job } = open;
  return [
    back,
    head(job),
    why(job),
    attempts.view(job, open.selected),
    h("div", { class: "pair" }, attempts.response(job, open.selected), payload(open)),
    facts(job),
  ];
}

function missing(open) {
  return h("div", { class: "empty" },
    h("h1", {}, open.error.code === "unknown_job" ? "No such job" : open.error.message),
    h("p", {}, open.error.code === "unknown_job" ? [h("code", {}, open.id), " may have been pruned, or deleted by a reset."] : open.error.hint));
}

function head(job) {
  const attempt = job.attempt ? `attempt ${job.attempt}/${job.maxAttempts}` : `up to ${format.count(job.maxAttempts, "attempt")}`;
  return h("header", { class: "job-head", "data-key": `head ${job.id}` },
    h("div", {},
      h("h1", {}, h("code", {}, job.shortId), " ", stateLabel(job.state)),
      h("p", { class: "dim" },
        h("a", { href: router.href({ namespace: job.namespace, queue: job.queue, job: job.id }) }, job.queue),
        h("span", {}, attempt), job.round > 1 ? h("span", {}, `round ${job.round}`) : null, replayed(job))),
    h("div", { class: "buttons" },
      UNFINISHED.includes(job.state) ? button("Cancel", "cancel", { id: job.id }) : button("Delete…", "delete", { id: job.id }),
      button("Replay…", "replay", { id: job.id }, { title: "Enqueue a copy as a new job; you can edit its payload" })));
}

function replayed(job) {
  if (job.replayOf === null) return null;
  return h("span", {}, "replay of ", h("a", { href: router.href({ ...state.route, job: job.replayOf }) }, h("code", {}, job.replayOf.slice(-8))));
}

function why(job) {
  const { head: what, rest, action } = explain(job, job.attempts ?? []);
  return h("div", { class: `why ${job.state}` }, h("div", {}, h("p", { class: "what" }, what), rest ? h("p", {}, rest) : null), action ?? null);
}

function payload(open) {
  const link = h("a", { href: `jobs/${encodeURIComponent(open.job.id)}/data`, download: `${open.job.shortId}.json` }, "Download");
  return h("div", {}, textBlock.block("Payload", open.text ?? "", { note: open.size, extra: link }), ignored(open));
}

/** Return a note about unknown keys of the request: its sender gets no warning. */
function ignored({ job, text }) {
  const keys = job.ignoredKeys ?? [];
  if (keys.length === 0) return null;
  return h("p", { class: "ignored" }, icon("warning"), " The request had unknown keys, which were ignored: ",
    keys.map((key, at) => [at ? ", " : "", h("code", {}, textBlock.foreign(JSON.stringify(key)))]), ". ",
    text === "null" ? ["Did you mean ", h("code", {}, "data"), "?"] : null);
}

function facts(job) {
  const at = (iso) => [h("code", {}, format.dateTime(iso)), " ", h("span", { class: "dim" }, clock.ticking("ago", format.ms(iso), iso))];
  const row = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return h("section", { class: "facts", "aria-label": "Facts" },
    h("dl", {},
      row("ID", h("span", { "data-copied": job.id }, h("code", {}, job.id), " ", button("Copy", "copy", {}, { kind: "quiet" }), spoken(" the ID"))),
      row("namespace", job.namespace),
      clock.isVirtual() ? null : row("times", [format.isUtc() ? "UTC " : "local ", button(format.isUtc() ? "Show local times" : "Show UTC", "utc", {}, { kind: "quiet", title: "Show times in UTC, or local times (u)" })]),
      row("enqueued", at(job.createdAt)),
      job.finishedAt ? row("finished", at(job.finishedAt)) : row("due", h("code", {}, format.dateTime(job.dueAt))),
      replays(job)));
}

/** Return links to the replays of this job in the list. */
function replays(job) {
  const jobs = state.list.jobs.filter((other) => other.replayOf === job.id);
  if (jobs.length === 0) return null;
  const links = jobs.map((replay) => h("a", { href: router.href({ ...state.route, job: replay.id }) }, h("code", {}, replay.shortId), ` ${replay.state}`));
  return [h("dt", {}, "replayed as"), h("dd", { class: "links" }, links)];
}
