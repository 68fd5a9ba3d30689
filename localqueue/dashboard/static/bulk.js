// Retry, cancel or delete many jobs. What can't be undone is confirmed first.

import * as api from "./api.js";
import * as fetching from "./fetching.js";
import * as format from "./format.js";
import * as router from "./router.js";
import { filterOf } from "./scope.js";
import * as selection from "./selection.js";
import { state } from "./state.js";
import { toast } from "./toasts.js";
import { confirm } from "./views/confirm.js";

const AT_ONCE = 4; // a browser has six connections to a server, and one is for events
const DONE = { retry: "retried", cancel: "cancelled", delete: "deleted" };
const WHAT_FOLLOWS = {
  cancel: "Running attempts are cut off. A retry starts a new round.",
  delete: "Their attempts are deleted, too. This can't be undone.",
};
const CALLS = {
  retry: (id) => api.post(api.jobPath(id, "/retry")),
  cancel: (id) => api.post(api.jobPath(id, "/cancel")),
  delete: (id) => deleteJob(id),
};

/** Retry, cancel or delete the selected jobs; those in another state are left alone. */
export async function onSelection(action) {
  const states = selection.ACTIONS[action];
  if (selection.isAll()) await onMatching(action, states);
  else await onRows(action, selection.picked().filter((job) => states.includes(job.state)));
}

async function onRows(action, jobs) {
  const isSure = action === "retry" || (await confirm({
    ...question(action, format.count(jobs.length, "job")), jobs, text: WHAT_FOLLOWS[action],
  }));
  if (!isSure) return;
  selection.clear();
  if (action === "delete") leave(jobs.map((job) => job.id));
  const failures = await callEach(jobs.map((job) => job.id), CALLS[action]);
  const changed = jobs.length - failures.length;
  const unexpected = failures.find((error) => error.code !== "wrong_state" && error.code !== "unknown_job");
  const rest = failures.length ? `; ${format.count(failures.length, "job")} had changed meanwhile` : "";
  toast(`${format.count(changed, "job")} ${DONE[action]}${rest}`, failures.length ? "warning" : "done");
  await refreshed();
  if (unexpected) throw unexpected;
}

/** Call something for each ID, a few at once; return the errors. */
async function callEach(ids, call) {
  const [left, errors] = [[...ids], []];
  const work = async () => {
    while (left.length) await call(left.shift()).catch((error) => errors.push(error));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return errors;
}

async function onMatching(action, states) {
  const filter = filterOf(state.route);
  const counts = await selection.matchingCounts();
  const present = states.filter((name) => counts[name] > 0);
  const total = present.reduce((sum, name) => sum + counts[name], 0);
  const title = question(action, `all ${format.count(total, "job")} that match`);
  if (action !== "retry" && !(await confirm({ ...title, where: whereOf(filter), text: WHAT_FOLLOWS[action] }))) return;
  selection.clear();
  if (action === "delete") leave();
  const changed = await CHANGES[action](filter, present);
  toast(`${format.count(changed, "job")} ${DONE[action]}`);
  await refreshed();
}

const CHANGES = {
  async retry(filter, states) {
    let count = 0;
    for (const name of states) count += (await api.post("jobs/retry", JSON.stringify({ ...filter, state: name }))).retried;
    return count;
  },
  cancel: async (filter) => (await api.post("jobs/cancel", JSON.stringify(filter))).cancelled,
  delete: async (filter) => (await api.remove(`jobs?${new URLSearchParams({ ...filter, state: filter.state ?? "finished" })}`)).deleted,
};

function question(action, what) {
  const verb = format.capital(action);
  return { title: `${verb} ${what}?`, label: `${verb} ${what}`, keep: "Keep them" };
}

function whereOf({ namespace, queue, state: jobState, id, q }) {
  const where = queue ? `${namespace}/${queue}` : (namespace ?? "all queues");
  const states = jobState ? `${jobState} jobs in ${where}` : `jobs in ${where}`;
  return `${states}${id ? ` whose ID starts with "${id}"` : ""}${q ? ` with "${q}" in the ID, the payload or a response` : ""}`;
}

/** Delete every finished job of the queues in view. */
export async function deleteFinished(namespace, queue) {
  const filter = Object.fromEntries(Object.entries({ namespace, queue }).filter(([, value]) => value));
  const counts = await api.get(`jobs/counts?${new URLSearchParams(filter)}`);
  const states = selection.ACTIONS.delete.filter((name) => counts[name] > 0);
  const total = states.reduce((sum, name) => sum + counts[name], 0);
  const title = question("delete", format.count(total, "finished job"));
  const where = `${states.map((name) => `${format.number(counts[name])} ${name}`).join(", ")}, in ${whereOf(filter).replace("jobs in ", "")}`;
  if (!(await confirm({ ...title, where, text: WHAT_FOLLOWS.delete }))) return;
  leave();
  toast(`${format.count(await CHANGES.delete(filter, states), "job")} deleted`);
  await refreshed();
}

/** Delete one job. */
export async function deleteOne(id) {
  const job = state.open?.job?.id === id ? state.open.job : state.list.jobs.find((one) => one.id === id);
  if (!(await confirm({ title: `Delete job ${job.shortId}?`, label: "Delete job", keep: "Keep it", jobs: [job], text: "Its attempts are deleted, too. This can't be undone." }))) return;
  leave([id]);
  await deleteJob(id);
  toast(`Deleted ${job.shortId}`);
  await refreshed();
}

async function deleteJob(id) {
  await api.remove(api.jobPath(id));
  state.list.jobs = state.list.jobs.filter((job) => job.id !== id);
}

/** Restore the initial state of the server. */
export async function reset() {
  const total = Object.values(await api.get("jobs/counts")).reduce((sum, count) => sum + count, 0);
  const text = "It also undoes pauses, changed settings and targets, scripted outcomes, and moves of the clock. Running attempts are cut off. This can't be undone.";
  const title = total ? `Reset, and delete ${format.count(total, "job")}?` : "Reset?";
  if (!(await confirm({ title, label: "Reset", keep: "Keep everything", where: total ? "all jobs of all queues, with their attempts" : null, text }))) return;
  leave();
  await api.post("reset");
  toast("Reset: no jobs, and the initial state");
  await refreshed();
}

/** Leave the page of a job that is about to be deleted; without IDs, of any job. */
function leave(ids = null) {
  const { job } = state.route;
  if (job !== null && (ids === null || ids.some((id) => id.endsWith(job)))) router.go({ ...state.route, job: null });
}

/** Show what changed: events bring it; without them, fetch it. */
async function refreshed() {
  if (state.link !== "live") await fetching.all();
}
