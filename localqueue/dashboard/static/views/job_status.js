// Describe the status of a job: what happened, why, and what to do.

import * as clock from "../clock.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { heldBy, queueOf, state } from "../state.js";
import { button } from "./controls.js";
import * as textBlock from "./text_block.js";

const CODES = {
  timeout: ["timeout", (attempt) => `timed out after ${format.duration(attempt.durationMs)}`],
  connect_refused: ["refused", () => "connection refused"],
  connect_failed: ["connect failed", () => "connection failed"],
  connection_reset: ["reset", () => "connection reset"],
  closed_no_response: ["closed", () => "connection closed without a response"],
  broken_response: ["cut short", () => "response cut short"],
  protocol: ["not HTTP", () => "not an HTTP response"],
  lost_ack: ["lost ack", () => "response lost"],
};

/** Return how an attempt ended, in a word or two: `500`, `refused`. */
export function outcomeWord(attempt) {
  const code = attempt.error?.code ?? attempt.code;
  return String(CODES[code]?.[0] ?? attempt.status ?? code ?? attempt.outcome);
}

/** Return how an attempt ended: `500 Internal Server Error`, `connection refused (injected)`. */
export function ending(attempt) {
  return attempt.injected ? `${words(attempt)} (injected)` : words(attempt);
}

function words(attempt) {
  if (attempt.outcome === "interrupted" || attempt.outcome === "cancelled") return attempt.outcome;
  const [, word] = CODES[attempt.error?.code] ?? [];
  if (word) return word(attempt);
  return attempt.status === null ? (attempt.error?.code ?? attempt.outcome) : `${attempt.status} ${format.statusText(attempt.status)}`.trim();
}

/** Return {head, rest, action}: what happened, what follows, and the button for it. */
export function explain(job, attempts) {
  const last = attempts.filter((attempt) => attempt.round === job.round).at(-1) ?? null;
  const status = STATES[job.state](job, last, attempts);
  return { ...status, rest: [explanation(job, last), status.rest] };
}

const STATES = {
  completed: (job, last, attempts) => ({
    head: last ? `${last.injected ? "Scripted outcome:" : "Your handler responded"} ${ending(last)}` : "Completed",
    rest: attempts.length > 1 ? `On attempt ${job.attempt} of ${job.maxAttempts}${job.round > 1 ? ` of round ${job.round}` : ""}.` : "On the first attempt.",
  }),
  failed: (job, last) => ({
    head: `Failed: ${last ? ending(last) : "no retries left"}`,
    rest: `${allFailed(job.maxAttempts)}. ${last?.explanation ? "Retry" : "Fix the handler, then retry"} to start a new round.`,
    action: button("Retry now", "retry", { id: job.id }, { kind: "primary", title: "Start a new round (r)" }),
  }),
  retrying: (job, last) => ({
    head: [last ? `${format.capital(ending(last))}. ` : "", heldBy(job) ? "The next try waits" : ["Next try ", clock.ticking("until", format.ms(job.dueAt), job.dueAt)]],
    rest: [heldBy(job) ? "Due at " : "At ", h("code", {}, format.time(job.dueAt)), `, attempt ${job.attempt + 1} of ${job.maxAttempts}. `, heldBy(job) ? waits(job) : "“Try now” skips ahead to that time; anything else due by then runs too."],
    action: heldBy(job) ? held(job) : tryButton(job, "Try now"),
  }),
  running: (job) => ({
    head: [`Attempt ${job.attempt} of ${job.maxAttempts} is running`, job.startedAt && [", for ", clock.ticking("since", format.ms(job.startedAt), job.startedAt)]],
    rest: job.held === "no_timeout" ? "It isn't cut off after timeoutMs; production would do that." : timeout(job),
    action: job.held === "no_timeout"
      ? button("Release", "release", { id: job.id }, { title: "Cut it off after its timeoutMs, from now on" })
      : button("Hold", "hold", { id: job.id }, { title: "Don't cut it off after timeoutMs, for a debugger" }),
  }),
  queued: (job) => {
    if (heldBy(job)) return { head: waits(job), rest: "", action: held(job) };
    if (clock.isVirtual()) {
      return { head: "Due now", rest: "Virtual time is paused: jobs run when you advance it.", action: tryButton(job, "Deliver now") };
    }
    return { head: "Waiting for a slot", rest: slots(job) };
  },
  cancelled: (job) => ({
    head: "Cancelled by hand",
    rest: "A retry starts a new round.",
    action: button("Retry now", "retry", { id: job.id }, { kind: "primary", title: "Start a new round (r)" }),
  }),
};

function allFailed(most) {
  if (most <= 2) return most === 1 ? "The only attempt failed" : "Both attempts failed";
  return `All ${most} attempts failed`;
}

function waits(job) {
  if (heldBy(job) === "paused") return "The queue is paused. The job starts when you resume it.";
  if (heldBy(job) === "service_down") return `Nothing is listening on the target of ${job.namespace} yet. The job starts when the service does.`;
  return "This queue is no longer in any catalog. The job is on hold until it's declared again.";
}

function held(job) {
  return heldBy(job) === "paused" ? button("Resume queue", "resume", { namespace: job.namespace, queue: job.queue }, { kind: "primary" }) : null;
}

function tryButton(job, label) {
  const title = "Advance the clock to its due time; anything else due by then runs too (r)";
  return button(label, "try", { id: job.id, due: job.dueAt }, { kind: "primary", title });
}

function slots(job) {
  const queue = queueOf(job);
  return queue?.concurrency ? `The queue runs ${format.count(queue.concurrency, "job")} at once; jobs that were due earlier go first.` : "";
}

function timeout(job) {
  const queue = queueOf(job);
  return queue?.timeoutMs ? `Times out after ${format.duration(queue.timeoutMs)}.` : "";
}

/** Return the command that points localqueue at another target. */
export function upWithTarget(namespace) {
  const isOnly = state.services.length <= 1;
  return `localqueue up --target ${isOnly ? "" : `${namespace}=`}URL`;
}

/** Return what the end of the latest attempt means, and a command that helps; [] where the status says it all. */
function explanation(job, last) {
  if (!last?.explanation) return [];
  const { text, command, condition } = last.explanation;
  const shown = condition === "service_down" ? upWithTarget(job.namespace) : command.includes(job.shortId) ? null : command;
  return [h("span", { class: "explanation" }, textBlock.foreign(format.sentence(text)), " ", shown ? [h("code", {}, textBlock.foreign(shown)), " "] : null)];
}
