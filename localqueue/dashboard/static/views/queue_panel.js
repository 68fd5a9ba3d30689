// Draw the settings of a queue, which can be changed in place, and its last minute.

import { h, s } from "../dom.js";
import * as format from "../format.js";
import { changed, state } from "../state.js";
import { button } from "./controls.js";

const SECONDS = 60;
const [WIDTH, HEIGHT] = [4, 22]; // of a second, and of the highest one
const TICKS = 10; // a second

/** What stands before the value of each setting, and how the value reads. */
const READ = {
  target: ["", (value) => value],
  concurrency: ["concurrency ", format.number],
  retries: ["", (value) => (value === 0 ? "no retries" : format.count(value, "retry", "retries"))],
  retryDelayMs: ["retry delay ", format.duration],
  timeoutMs: ["timeout ", format.duration],
};

/** Return the panel of a queue. */
export function view(queue) {
  if (queue.held === "queue_missing") return h("p", { class: "dim" }, "This queue is no longer in any catalog. Its jobs are on hold until it's declared again.");
  return h("div", { class: `panel ${state.isMoreOpen ? "is-open" : ""}`, "data-key": `panel ${queue.namespace} ${queue.name}` },
    h("div", { class: "settings" }, setting(queue, "target", (label) => h("code", {}, "POST ", label, queue.endpoint)),
      ["concurrency", "retries", "retryDelayMs", "timeoutMs"].map((name) => setting(queue, name))),
    recent(queue));
}

function setting(queue, name, around = (label) => label) {
  const dataset = { namespace: queue.namespace, queue: queue.name, setting: name };
  const { editing } = state;
  if (editing?.setting === name && editing.queue === queue.name && editing.namespace === queue.namespace) return field(queue[name], name, editing.problem);
  const isChanged = Object.hasOwn(queue.changed, name);
  const [before, read] = READ[name];
  const label = button([before, read(queue[name])], "edit", dataset, { kind: "quiet", title: `Change ${name} until reset` });
  return h("span", { class: `setting ${isChanged ? "is-changed" : ""}`, "data-key": name }, around(label),
    isChanged ? [` changed until reset, was ${read(queue.changed[name])} `, button("Undo", "undoSetting", dataset, { kind: "quiet", title: `Undo the change of ${name}` })] : null);
}

function field(value, name, problem) {
  const input = h("input", { name: "value", value, autocomplete: "off", spellcheck: "false", inputmode: name === "target" ? "url" : "numeric", "aria-describedby": "edit-problem", "aria-invalid": problem && "true" });
  return h("form", { class: `edit ${name}`, "data-key": `edit ${name}` },
    h("label", {}, name, " ", input),
    h("button", { class: "primary" }, "Save"), button("Discard", "editNone"),
    h("span", { id: "edit-problem", class: "problem", role: "status" }, problem));
}

/** Return how many attempts completed and failed in each of the last seconds, and how long they took. */
function recent(queue) {
  const minute = state.recent;
  if (minute?.namespace !== queue.namespace || minute.queue !== queue.name) return null;
  const [completed, failed] = [minute.completed, minute.failed].map((counts) => shifted(counts, minute.at));
  const [good, bad] = [completed, failed].map((counts) => counts.reduce((sum, count) => sum + count, 0));
  const said = good + bad === 0 ? "no attempts in the last 60 s" : `${format.number(good)} completed, ${format.number(bad)} failed in the last 60 s`;
  return h("div", { class: "recent" }, sparkline(completed, failed, said), h("span", {}, said), durations(minute.durations));
}

/** Return the counts as of now: what is fetched ages, and an event brings what is new. */
function shifted(counts, at) {
  const passed = Math.min(SECONDS, Math.floor((performance.now() - at) / 1000));
  return [...counts.slice(passed), ...Array(passed).fill(0)];
}

function sparkline(completed, failed, label) {
  const most = Math.max(1, ...completed.map((count, at) => count + failed[at]));
  const height = (count) => (count / most) * HEIGHT;
  const bars = (counts, below) => counts.map((count, at) => (count ? `M${at * WIDTH} ${(HEIGHT - height(below[at])).toFixed(1)}v${-height(count).toFixed(1)}h${WIDTH - 1}V${(HEIGHT - height(below[at])).toFixed(1)}z` : "")).join("");
  return s("svg", { class: "sparkline", preserveAspectRatio: "none", viewBox: `0 0 ${SECONDS * WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Attempts by second: ${label}` },
    s("path", { class: "completed", d: bars(completed, completed.map(() => 0)) }),
    s("path", { class: "failed", d: bars(failed, completed) }),
    s("path", { class: "base", d: `M0 ${HEIGHT}h${SECONDS * WIDTH}` }));
}

function durations({ count, p50Ms, p95Ms }) {
  if (count === 0) return null;
  const title = `Half of the latest ${format.count(count, "attempt")} took no longer than the first, 95 % no longer than the second`;
  return h("span", { title }, `p50 ${format.duration(p50Ms)}, p95 ${format.duration(p95Ms)}`);
}

/** Let the sparkline move on once a second, while there is anything on it. */
export function tick(count) {
  if (count % TICKS === 0 && state.recent && performance.now() - state.recent.at < (SECONDS + 1) * 1000) changed();
}
