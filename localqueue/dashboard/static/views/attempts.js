// Draw the attempts of a job on a time axis, round by round, and the response to the selected one.

import * as clock from "../clock.js";
import { h, s } from "../dom.js";
import * as format from "../format.js";
import { icon, outcomeShape } from "../icons.js";
import { pageText } from "../html_text.js";
import { changed, heldBy, state } from "../state.js";
import * as compared from "./compared.js";
import { button, spoken } from "./controls.js";
import { ending, outcomeWord } from "./job_status.js";
import * as textBlock from "./text_block.js";

const STEPS = [1, 2, 5].flatMap((n) => [1, 10, 100, 1000].map((size) => n * size))
  .concat([15, 30].map((n) => n * 1000), [10_000, 20_000], [1, 2, 5, 10, 15, 30].map((n) => n * 60_000), [1, 2, 3, 6, 12, 24, 48, 168].map((n) => n * 3_600_000))
  .sort((one, other) => one - other);
const MOST_TICKS = 5;
const SHOWN = 60;
const REDRAWN = 2; // ticks

/** Return the rounds, the latest one open. */
export function view(job, selected) {
  const all = (job.attempts ?? []).map((attempt, index) => ({ ...attempt, index }));
  const chosen = choose(all, selected);
  const rounds = [...new Set([...all.map((attempt) => attempt.round), job.round])].sort((one, other) => one - other);
  return h("section", { class: "attempts", "aria-label": "Attempts" }, rounds.map((round) => roundView(job, round, all, chosen)));
}

function choose(all, selected) {
  return selected !== null && selected < all.length ? selected : all.length - 1;
}

function roundView(job, round, all, chosen) {
  const made = all.filter((attempt) => attempt.round === round);
  const attempts = made.slice(-SHOWN);
  const isLatest = round === job.round;
  const waiting = isLatest ? pendingRow(job, attempts) : null;
  const isToCome = waiting?.kind === "running" || waiting?.at > clock.now();
  if (attempts.length === 0 && !isToCome) return null;
  const scale = makeScale(attempts, waiting);
  const rows = [
    made.length > SHOWN ? h("p", { class: "dim" }, `The latest ${SHOWN} of ${format.number(made.length)} attempts.`) : null,
    axis(scale),
    h("ol", {}, attempts.map((attempt, at) => h("li", {}, attemptRow(attempt, attempts[at - 1], scale, attempt.index === chosen))),
      waiting ? h("li", { class: "pending" }, waitingRow(waiting, attempts.at(-1), scale)) : null),
  ];
  if (job.round === 1) return h("div", { class: "round", "data-key": `${job.id} only` }, rows);
  return h("details", { class: "round", "data-key": `${job.id} ${round}`, open: isLatest || attempts.some((attempt) => attempt.index === chosen) },
    h("summary", {}, `Round ${round}`, h("span", { class: "dim" }, ` ${format.count(made.length, "attempt")}`)), rows);
}

/** Return the running attempt or the next one of this round, or null: {kind, number, most, at}. */
function pendingRow(job, attempts) {
  if (job.state === "running") return { kind: "running", number: job.attempt, most: job.maxAttempts, at: startOf(job) };
  if (job.state !== "retrying" && job.state !== "queued") return null;
  const number = job.state === "queued" && attempts.at(-1)?.outcome === "interrupted" ? job.attempt : job.attempt + 1;
  return { kind: "due", number, most: job.maxAttempts, at: format.ms(job.dueAt), iso: job.dueAt, held: heldBy(job) };
}

function startOf(job) {
  return format.ms(job.startedAt ?? job.dueAt);
}

function makeScale(attempts, waiting) {
  const starts = attempts.map((attempt) => format.ms(attempt.dueAt));
  const ends = attempts.map((attempt) => format.ms(attempt.endedAt));
  const from = Math.min(...starts, waiting?.at ?? Infinity);
  const to = Math.max(...ends, waiting?.at ?? -Infinity, waiting?.kind === "running" ? clock.now() : -Infinity);
  return { from, span: Math.max(to - from, 1), isPending: waiting !== null };
}

/** Return where an instant lies on the axis, in percent; the ends leave room for the marks. */
function place({ from, span }, at) {
  return 2 + (Math.min(Math.max(at - from, 0), span) / span) * 95;
}

const percent = (value) => `${value.toFixed(2)}%`;

function axis(scale) {
  const step = STEPS.find((ms) => scale.span / ms <= MOST_TICKS) ?? scale.span;
  const ticks = Array.from({ length: Math.floor(scale.span / step) + 1 }, (_, at) => at * step);
  return h("div", { class: "attempt axis", "aria-hidden": "true" }, h("span", {}), s("svg", { class: "track" },
    ticks.map((tick) => {
      const x = percent(place(scale, scale.from + tick));
      return [s("line", { x1: x, x2: x, y1: 15, y2: 20, class: "tick" }), s("text", { x, y: 11, class: tick ? "middle" : "" }, tick ? `+${format.duration(tick)}` : "0")];
    })), h("span", {}));
}

function attemptRow(attempt, before, scale, isChosen) {
  const shape = outcomeShape(attempt.outcome);
  return h("button", { type: "button", class: `attempt ${shape}`, "data-do": "attempt", "data-index": attempt.index, "aria-pressed": String(isChosen) },
    label(attempt.number, attempt.maxAttempts, icon(shape), outcomeWord(attempt)),
    s("svg", { class: "track", "aria-hidden": "true" }, s("title", {}, story(attempt, before)),
      before ? bar("wait", scale, format.ms(before.endedAt), format.ms(attempt.dueAt)) : null,
      bar("slot", scale, format.ms(attempt.dueAt), format.ms(attempt.startedAt)),
      bar(`run ${shape}`, scale, format.ms(attempt.startedAt), format.ms(attempt.endedAt)),
      nowLine(scale)),
    h("span", { class: "took" }, spoken("took "), format.duration(attempt.durationMs)));
}

function label(number, most, mark, word) {
  return h("span", { class: "label" }, h("span", { class: "number" }, spoken("attempt "), `${number}/${most}`), mark, h("span", { class: "word" }, word));
}

function story(attempt, before) {
  const delay = before ? `due ${format.duration(format.ms(attempt.dueAt) - format.ms(before.endedAt))} after the previous attempt ended; ` : "";
  return `${delay}started ${format.time(attempt.startedAt)}, took ${format.duration(attempt.durationMs)}`;
}

function waitingRow(waiting, before, scale) {
  const isRunning = waiting.kind === "running";
  const marks = isRunning
    ? bar("run running", scale, waiting.at, clock.now())
    : [before ? bar("wait", scale, format.ms(before.endedAt), waiting.at) : null, diamond(percent(place(scale, waiting.at)))];
  const took = isRunning ? clock.ticking("since", waiting.at) : waiting.held ? "held" : clock.ticking("soon", waiting.at, waiting.iso);
  return h("div", { class: `attempt ${waiting.kind}` },
    label(waiting.number, waiting.most, icon(isRunning ? "running" : "due"), isRunning ? "running" : "due"),
    s("svg", { class: "track", "aria-hidden": "true" }, marks, isRunning ? null : nowLine(scale)),
    h("span", { class: "took" }, took));
}

function bar(kind, scale, from, to) {
  if (kind !== "run" && !kind.startsWith("run ") && to <= from) return null;
  return s("line", { class: kind, x1: percent(place(scale, from)), x2: percent(place(scale, to) + 0.01), y1: "50%", y2: "50%" });
}

function diamond(x) {
  return s("svg", { x, y: "50%", class: "mark" }, s("path", { d: "M0-5.5L5.5 0 0 5.5-5.5 0z", class: "due-mark" }));
}

/** Return the line that marks the current time, if an attempt is running or due. */
function nowLine(scale) {
  if (!scale.isPending) return null;
  const x = percent(place(scale, clock.now()));
  return s("line", { class: "now", x1: x, x2: x, y1: 0, y2: "100%", "data-from": scale.from, "data-span": scale.span });
}

/** Move the line of the current time; while an attempt is running, redraw the whole axis. */
export function tick(count) {
  if (count % REDRAWN === 0 && state.open?.job?.state === "running") changed();
  for (const line of document.querySelectorAll("line.now")) {
    const x = percent(place({ from: Number(line.dataset.from), span: Number(line.dataset.span) }, clock.now()));
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  }
}

/** Return the response to the selected attempt. */
export function response(job, selected) {
  const all = job.attempts ?? [];
  const chosen = choose(all, selected);
  const attempt = all[chosen];
  if (!attempt) return null;
  const title = `Response to attempt ${attempt.number} of ${attempt.maxAttempts}${job.round > 1 ? `, round ${attempt.round}` : ""}`;
  const { response } = attempt;
  const same = compared.sameAs(all, chosen);
  const heading = [h("h2", {}, title), h("strong", { class: outcomeShape(attempt.outcome) }, ending(attempt))];
  return h("section", { class: "response", "data-key": `response ${job.id} ${chosen}`, "aria-label": title },
    response ? null : h("div", { class: "section-head" }, heading),
    attempt.error && saysMore(attempt) ? h("p", { class: "error" }, textBlock.foreign(format.sentence(attempt.error.message))) : null,
    response ? responseBody(heading, response, same && { label: same, open: selected === null }) : null,
    same ? null : compared.changes(all, chosen),
    response ? headers(response.headers) : null,
    h("p", { class: "dim reason" }, attempt.injected ? ["Scripted outcome ", h("code", {}, attempt.injected)] : ["Sent to ", h("code", {}, attempt.request.url)], `, started `, h("code", {}, format.time(attempt.startedAt)), `, took ${format.duration(attempt.durationMs)}. `, format.sentence(attempt.reason)),
    h("p", {},
      button("Copy as curl", "copyCurl", { index: attempt.index ?? chosen }, { kind: "quiet", title: "The delivery: it calls the handler" }),
      button("Copy as enqueue", "copyEnqueue", {}, { kind: "quiet", title: "The command that enqueues the same payload" })));
}

/** Return whether the message says more than the status: the target of a redirect does. */
function saysMore({ error, status }) {
  return error.message !== `the service responded ${status}`;
}

/** Show a body; of an HTML page, which frameworks send for an exception, the text first. A known body can be folded. */
function responseBody(heading, response, folded) {
  const note = response.truncated ? "first 64 KiB" : null;
  const words = pageText(response);
  const isWords = words !== null && !state.isSourceShown;
  const toggle = words === null ? null : button(isWords ? "Show source" : "Show as text", "source", {}, { kind: "quiet" });
  return textBlock.block(heading, isWords ? words : response.body, { name: "Body", empty: "Empty body.", note, extra: [type(response), toggle], folded });
}

function type(response) {
  return h("span", { class: "dim" }, textBlock.foreign(response.headers["content-type"] ?? "no content type"));
}

function headers(received) {
  const names = Object.keys(received);
  if (names.length === 0) return null;
  return h("details", { class: "headers" }, h("summary", {}, format.count(names.length, "header")),
    h("dl", {}, names.map((name) => [h("dt", {}, textBlock.foreign(name)), h("dd", {}, textBlock.foreign(received[name]))])));
}
