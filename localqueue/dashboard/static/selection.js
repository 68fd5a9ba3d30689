// Select jobs: some rows, or all that the filter of the list selects, whether they are on the page or not.

import * as api from "./api.js";
import { STATES } from "./icons.js";
import { filterOf, isSearch, total } from "./scope.js";
import { state } from "./state.js";

/** The actions on many jobs, with the states in which a job can take them. */
export const ACTIONS = {
  retry: ["failed", "cancelled"],
  cancel: ["queued", "running", "retrying"],
  delete: ["completed", "failed", "cancelled"],
};

/** Return the selected rows. */
export function picked() {
  return state.list.jobs.filter((job) => isPicked(job.id));
}

export function isPicked(id) {
  return state.selection.counts !== null || state.selection.ids.has(id);
}

/** Return whether all jobs that match are selected, not only rows. */
export function isAll() {
  return state.selection.counts !== null;
}

/** Return how many selected jobs are in these states. */
export function count(states = STATES) {
  if (!isAll()) return picked().filter((job) => states.includes(job.state)).length;
  const counts = isSearch() ? state.selection.counts : Object.fromEntries(STATES.map((name) => [name, isShown(name) ? total(name) : 0]));
  return states.reduce((sum, name) => sum + counts[name], 0);
}

function isShown(name) {
  return state.route.state === null || state.route.state === name;
}

/** Return how many jobs match; null if only the server can tell. */
export function matching() {
  if (isSearch()) return null;
  return STATES.filter(isShown).reduce((sum, name) => sum + total(name), 0);
}

/** Return whether the list may match jobs that aren't on the page. */
export function hasMore() {
  return state.list.next !== null || state.list.unseen.size > 0;
}

/** Select a row, or no longer; `isRange` does the same to the rows between it and the one before. */
export function toggle(id, isRange = false) {
  const ids = new Set(picked().map((job) => job.id));
  const rows = state.list.jobs.map((job) => job.id);
  const [from, to] = [isRange ? rows.indexOf(state.selection.latest) : -1, rows.indexOf(id)];
  const isOn = !ids.has(id);
  const changed = from === -1 ? [id] : rows.slice(Math.min(from, to), Math.max(from, to) + 1);
  for (const row of changed) ids[isOn ? "add" : "delete"](row);
  state.selection = { ids, counts: null, latest: id };
}

/** Select every row, or none if every row is selected. */
export function toggleRows() {
  const rows = state.list.jobs.map((job) => job.id);
  const isOn = picked().length < rows.length;
  state.selection = { ids: new Set(isOn ? rows : []), counts: null, latest: null };
}

/** Select all jobs that match. */
export async function pickAll() {
  const { route } = state;
  const counts = await matchingCounts();
  if (state.route === route) state.selection = { ids: new Set(), counts, latest: null };
}

/** Return the number of jobs that match by state, as the server counts them now. */
export function matchingCounts() {
  return api.get(`jobs/counts?${new URLSearchParams(filterOf(state.route))}`);
}

export function clear() {
  state.selection = { ids: new Set(), counts: null, latest: null };
}
