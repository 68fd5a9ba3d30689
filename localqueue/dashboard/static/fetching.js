// Fetch what the screen shows. Events keep it current afterwards.

import * as api from "./api.js";
import { mergeCauses } from "./cause_merge.js";
import * as clock from "./clock.js";
import * as format from "./format.js";
import { belongs, remember, replay } from "./job_merge.js";
import * as preferences from "./preferences.js";
import { isListRead, isResponseRead } from "./reading.js";
import { filterOf, isSameList } from "./scope.js";
import * as selection from "./selection.js";
import { changed, state } from "./state.js";

const PAGE = 100;
const MOST = 200; // the server gives no more at once
const MOST_PAGES = 5; // when a list is fetched again
const PREVIEW_PAGES = 2;
const PREVIEW_MS = 1000;
const CAUSES_MS = 1000;
const SOON_MS = 200;
let allTimer = null;
const RECENT_MS = 1000;
let recentTimer = null;
let causesTimer = null;
let previewTimer = null;
let previewedAt = -Infinity;
let listing = new AbortController();
let opening = null;

/** Fetch everything again. */
export function all() {
  return Promise.all([overview(), list({ isAgain: true }), job(), recent()]);
}

/** Fetch everything again soon, once for all changes until then. */
export function allSoon() {
  allTimer ??= setTimeout(() => {
    allTimer = null;
    all();
  }, SOON_MS);
}

/** Fetch queues, services and problems. */
export async function overview() {
  try {
    const paths = ["status", "queues", "clock", "schedules"];
    const [status, queues, clockNow, schedules] = await Promise.all(paths.map((path) => api.get(path)));
    Object.assign(state, { version: status.version, pid: status.pid, services: status.services, queues: queues.queues, schedules: schedules.schedules });
    state.catalog = status.catalog;
    state.storageError = status.storage.error;
    Object.assign(state, { rejected: status.rejected, rejections: status.rejections });
    preferences.checkDismissed(status.rejected);
    clock.set(clockNow);
  } catch (error) {
    markUnreachable(error);
  }
  changed();
}

/** Fetch the first page of the list that the address names; `isAgain` fetches the rows that are shown, and they stay in place. */
export async function list({ isAgain = false } = {}) {
  listing.abort();
  listing = new AbortController();
  const { signal } = listing;
  state.list.isLoading = true;
  remember();
  causes();
  try {
    const isRead = isAgain && isListRead();
    const page = await firstPages(isRead ? state.list.jobs.length : 0, signal);
    const latest = isRead ? (state.list.jobs[0]?.seq ?? Infinity) : Infinity;
    const unseen = page.jobs.filter((job) => job.seq > latest).map((job) => job.id);
    const jobs = unchanged(page.jobs.filter((job) => job.seq <= latest));
    state.list = { jobs, next: page.next, isLoading: false, isLoadingMore: false, error: null, unseen: new Set(unseen) };
    replay(page.jobs);
  } catch (error) {
    if (error.name === "AbortError") return;
    Object.assign(state.list, { isLoading: false, error });
  }
  changed();
}

/** Fetch the last minute of the queue that is shown soon, at most once a second. */
export function recentSoon({ namespace, queue }) {
  if (namespace === state.route.namespace && queue === state.route.queue) recentTimer ??= setTimeout(recent, RECENT_MS);
}

async function recent() {
  clearTimeout(recentTimer);
  recentTimer = null;
  const { namespace, queue } = state.route;
  if (queue === null) return;
  try {
    const minute = await api.get(api.queuePath(namespace, queue, "recent"));
    state.recent = { ...minute, namespace, queue, at: performance.now() };
  } catch {
    state.recent = null; // the list says what is wrong
  }
  changed();
}

/** Return the jobs, those that are as before as the same objects: their rows are not drawn again. */
function unchanged(jobs) {
  const known = new Map(state.list.jobs.map((job) => [job.id, job]));
  const isSame = (one, other) => Object.keys(one).every((name) => JSON.stringify(one[name]) === JSON.stringify(other[name]));
  return jobs.map((job) => (known.has(job.id) && isSame(job, known.get(job.id)) ? known.get(job.id) : job));
}

/** Return the first jobs of the list, at least so many. */
async function firstPages(count, signal) {
  let page = await api.get(query(state.route, undefined, count > PAGE ? MOST : PAGE), signal);
  const { jobs } = page;
  for (let at = 1; at < MOST_PAGES && page.next !== null && jobs.length < count; at += 1) {
    page = await api.get(query(state.route, page.next, MOST), signal);
    jobs.push(...page.jobs);
  }
  return { jobs, next: page.next };
}

/** Fetch the causes of the failed jobs in view, if they are in view; at most once a second. */
export function causesSoon() {
  if (state.route.state === "failed") causesTimer ??= setTimeout(causes, CAUSES_MS);
}

export async function causes() {
  clearTimeout(causesTimer);
  causesTimer = null;
  const { namespace, queue, state: jobState } = state.route;
  if (jobState !== "failed") return;
  const parameters = Object.entries({ namespace, queue }).filter(([, value]) => value !== null);
  try {
    state.causes = mergeCauses((await api.get(`failures?${new URLSearchParams(parameters)}`)).failures);
  } catch {
    state.causes = []; // the list says what is wrong
  }
  changed();
}

/** Fetch the previews of rows that came as events, which have none; at most once a second. */
export function previews() {
  previewTimer ??= setTimeout(fetchPreviews, Math.max(0, previewedAt + PREVIEW_MS - performance.now()));
}

async function fetchPreviews() {
  const { list: mine, route } = state;
  const wanted = new Set(mine.jobs.filter(hasNoPreview).map((job) => job.id));
  const fetched = new Map();
  [previewTimer, previewedAt] = [null, performance.now()];
  try {
    for (let [at, after] = [0, undefined]; at < PREVIEW_PAGES && after !== null; at += 1) {
      const page = await api.get(query(route, after, MOST));
      for (const job of page.jobs) fetched.set(job.id, job);
      after = [...wanted].every((id) => fetched.has(id)) ? null : page.next;
    }
    mine.jobs = mine.jobs.map((job) => (wanted.has(job.id) ? { preview: null, ...fetched.get(job.id), ...job } : job));
  } catch (error) {
    markUnreachable(error);
  }
  changed();
}

function hasNoPreview(job) {
  return job.preview === undefined;
}

/** Fetch the next page and append it. */
export async function more() {
  const { list: before } = state;
  if (before.next === null || before.isLoadingMore) return;
  before.isLoadingMore = true;
  changed();
  try {
    const page = await api.get(query(state.route, before.next));
    const known = new Set(before.jobs.map((job) => job.id));
    before.jobs = [...before.jobs, ...page.jobs.filter((job) => !known.has(job.id))];
    before.next = page.next;
  } finally {
    before.isLoadingMore = false;
    changed();
  }
}

function query(route, after, limit = PAGE) {
  return `jobs?${new URLSearchParams({ ...filterOf(route), limit, ...(after === undefined ? {} : { after }) })}`;
}

/** Fetch the open job; if it changes meanwhile, fetch it once more. */
export async function job() {
  const { open } = state;
  if (open === null) return;
  if (opening?.open === open) {
    opening.isChangedMeanwhile = true;
    return;
  }
  const mine = { open, isChangedMeanwhile: false };
  opening = mine;
  do {
    mine.isChangedMeanwhile = false;
    await loadInto(open);
  } while (mine.isChangedMeanwhile && state.open === open);
  if (opening === mine) opening = null;
}

async function loadInto(open) {
  try {
    const isFirst = open.text === null;
    const [fetched, text] = await Promise.all([
      api.get(api.jobPath(open.id)),
      isFirst ? api.getText(api.jobPath(open.id, "/data")) : open.text,
    ]);
    const before = open.job?.attempts?.length ?? 0;
    if (open.selected === null && before > 0 && before < fetched.attempts.length && isResponseRead()) open.selected = before - 1;
    if (isFirst) open.size = format.size(new Blob([text]).size);
    Object.assign(open, { job: fetched, text, error: null });
  } catch (error) {
    open.error = error;
  }
  changed();
}

/** Follow the address: fetch what was not shown before. */
export function follow(route) {
  const before = state.route;
  state.route = route;
  if (!isSameList(route, before)) {
    selection.clear();
    state.list.jobs = state.list.jobs.filter((job) => belongs(job, route)); // the known part of the new list
    list();
  }
  if (route.namespace !== before.namespace || route.queue !== before.queue) {
    state.editing = null;
    state.isNavOpen = false;
    recent();
  }
  if (route.job === null) state.open = null;
  else if (state.open?.id !== route.job) {
    state.open = { id: route.job, job: null, text: null, error: null, selected: null };
    job();
  }
  changed();
}

/** Show that a request failed to reach the server. */
function markUnreachable(error) {
  if (error.status === 0 && state.link === "connecting") state.link = "lost";
}
