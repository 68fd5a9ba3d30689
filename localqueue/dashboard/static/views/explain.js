// Say in a sentence how a job is, why, and what can be done now.

import * as clock from "../clock.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { heldBy, queueOf, state } from "../state.js";
import { button } from "./controls.js";

const CODES = {
  timeout: ["timeout", (attempt) => `no whole answer within ${format.setting(attempt.durationMs)}`],
  connect_refused: ["refused", () => "connection refused"],
  connect_failed: ["no way", () => "could not connect"],
  connection_reset: ["reset", () => "connection reset"],
  closed_no_response: ["closed", () => "closed without an answer"],
  broken_response: ["cut short", () => "answer cut short"],
  protocol: ["not HTTP", () => "not an HTTP answer"],
};

/** Word how an attempt ended in a word or two: `500`, `refused`. */
export function outcomeWord(attempt) {
  const code = attempt.error?.code ?? attempt.code;
  return String(CODES[code]?.[0] ?? attempt.status ?? code ?? attempt.outcome);
}

/** Word how an attempt ended: `500 Internal Server Error`, `connection refused`. */
export function ending(attempt) {
  if (attempt.outcome === "interrupted" || attempt.outcome === "cancelled") return attempt.outcome;
  const [, word] = CODES[attempt.error?.code] ?? [];
  if (word) return word(attempt);
  return attempt.status === null ? (attempt.error?.code ?? attempt.outcome) : `${attempt.status} ${format.statusText(attempt.status)}`.trim();
}

/** Return {head, rest, action}: what is the matter, what follows, and the button for it. */
export function explain(job, attempts) {
  const last = attempts.filter((each) => each.round === job.round).at(-1) ?? null;
  const found = STATES[job.state](job, last, attempts);
  const isNobodyThere = last?.error?.code === "connect_refused" && job.state !== "completed";
  return isNobodyThere ? { ...found, rest: [startService(job, last), found.rest] } : found;
}

const STATES = {
  completed: (job, last, attempts) => ({
    head: last ? `Your handler answered ${ending(last)}` : "Completed",
    rest: attempts.length > 1 ? `on attempt ${job.attempt} of ${job.maxAttempts}${job.round > 1 ? ` of round ${job.round}` : ""}.` : "at the first attempt.",
  }),
  failed: (job, last) => ({
    head: `Failed: ${last ? ending(last) : "no retries left"}`,
    rest: `${allMade(job.maxAttempts)}, none is left. ${last?.error?.code === "connect_refused" ? "Then retry" : "Fix the handler, then retry"}: a new round begins at once.`,
    action: button("Retry now", "retry", { id: job.id }, { kind: "primary", title: "Start a new round (r)" }),
  }),
  retrying: (job, last) => ({
    head: [last ? `${capital(ending(last))}. ` : "", "Next try ", clock.ticking("until", format.ms(job.dueAt), job.dueAt)],
    rest: ["At ", h("code", {}, format.time(job.dueAt)), `, attempt ${job.attempt + 1} of ${job.maxAttempts}. `, heldBy(job) ? waits(job) : "Try now moves the clock there, and makes what else is due by then."],
    action: heldBy(job) ? held(job) : tryButton(job, "Try now"),
  }),
  running: (job) => ({
    head: [`Attempt ${job.attempt} of ${job.maxAttempts} is under way`, job.startedAt && [" for ", clock.ticking("since", format.ms(job.startedAt), job.startedAt)]],
    rest: timeout(job),
  }),
  queued: (job) => {
    if (heldBy(job)) return { head: waits(job), rest: "", action: held(job) };
    if (clock.isVirtual()) {
      return { head: "Due now", rest: "The virtual clock stands still: nothing is delivered until you say so.", action: tryButton(job, "Deliver now") };
    }
    return { head: "Waiting for a slot", rest: slots(job) };
  },
  cancelled: (job) => ({
    head: "Cancelled by hand",
    rest: "Nothing more happens to it by itself. A retry starts a new round.",
    action: button("Retry now", "retry", { id: job.id }, { kind: "primary", title: "Start a new round (r)" }),
  }),
};

function allMade(most) {
  if (most <= 2) return most === 1 ? "The only attempt was made" : "Both attempts were made";
  return `All ${most} attempts were made`;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function waits(job) {
  if (heldBy(job) === "paused") return "The queue is paused: nothing starts until it is resumed.";
  return "No catalog declares its queue any more: the job is held until it is back.";
}

function held(job) {
  return heldBy(job) === "paused" ? button("Resume queue", "resume", { namespace: job.namespace, queue: job.queue }, { kind: "primary" }) : null;
}

function tryButton(job, label) {
  const title = "Move the clock to its due time; what is due before then is made too (r)";
  return button(label, "try", { id: job.id, due: job.dueAt }, { kind: "primary", title });
}

function slots(job) {
  const queue = queueOf(job);
  return queue?.concurrency ? `${format.count(queue.concurrency, "job")} at once; jobs that were due earlier go first.` : "";
}

function timeout(job) {
  const queue = queueOf(job);
  return queue?.timeoutMs ? `It is given up after ${format.setting(queue.timeoutMs)}.` : "";
}

/** Tell a newcomer that the service is not there. */
function startService(job, last) {
  const target = state.services.find((each) => each.namespace === job.namespace)?.target ?? new URL(last.request.url).origin;
  return h("span", {}, "Nothing listens on ", h("code", {}, target), `. Start ${job.namespace} there, or tell localqueue where it is: `, h("code", {}, `localqueue up --target URL`), ". ");
}
