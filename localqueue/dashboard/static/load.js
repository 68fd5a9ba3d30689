// Ask the server for what the screen shows. Events keep it true afterwards.

import * as api from "./api.js";
import * as clock from "./clock.js";
import * as live from "./live.js";
import { changed, state } from "./state.js";

const PAGE = 100;
const MOST = 200; // the server gives no more at once
const GLIMPSED_PAGES = 2;
const GLIMPSE_MS = 1000;
let glimpsing = null; // the timer, while one is set
let glimpsedAt = -Infinity;
let listing = new AbortController();
let opening = null;

/** Load everything anew. */
export function all() {
  return Promise.all([overview(), list(), job()]);
}

/** Load queues, services and what is wrong. */
export async function overview() {
  try {
    const [status, queues, clockNow] = await Promise.all(["status", "queues", "clock"].map((path) => api.get(path)));
    Object.assign(state, { version: status.version, services: status.services, queues: queues.queues });
    state.catalog = status.catalog;
    state.storageError = status.storage.error;
    clock.set(clockNow);
  } catch (error) {
    live.unreachable(error);
  }
  changed();
}

/** Load the first page of the list that the address names. */
export async function list() {
  listing.abort();
  listing = new AbortController();
  const { signal } = listing;
  state.list.isLoading = true;
  live.remember();
  try {
    const page = await api.get(query(state.route), signal);
    state.list = { jobs: page.jobs, next: page.next, isLoading: false, isLoadingMore: false, error: null, unseen: new Set() };
    live.replay(page.jobs);
  } catch (error) {
    if (error.name === "AbortError") return;
    Object.assign(state.list, { isLoading: false, error });
  }
  changed();
}

/** Learn how the payloads of rows begin that came as events; at most once a second. */
export function glimpses() {
  glimpsing ??= setTimeout(glimpse, Math.max(0, glimpsedAt + GLIMPSE_MS - performance.now()));
}

async function glimpse() {
  const { list: mine, route } = state;
  const asked = new Set(mine.jobs.filter(isNews).map((each) => each.id));
  const found = new Map();
  [glimpsing, glimpsedAt] = [null, performance.now()];
  try {
    for (let [at, after] = [0, undefined]; at < GLIMPSED_PAGES && after !== null; at += 1) {
      const page = await api.get(query(route, after, MOST));
      for (const each of page.jobs) found.set(each.id, each);
      after = [...asked].every((id) => found.has(id)) ? null : page.next;
    }
    mine.jobs = mine.jobs.map((each) => (asked.has(each.id) ? { preview: null, ...found.get(each.id), ...each } : each));
  } catch (error) {
    live.unreachable(error);
  }
  changed();
}

function isNews(each) {
  return each.preview === undefined;
}

/** Load the next page and add it. */
export async function more() {
  const { list: before } = state;
  if (before.next === null || before.isLoadingMore) return;
  before.isLoadingMore = true;
  changed();
  try {
    const page = await api.get(query(state.route, before.next));
    const known = new Set(before.jobs.map((each) => each.id));
    before.jobs = [...before.jobs, ...page.jobs.filter((each) => !known.has(each.id))];
    before.next = page.next;
  } finally {
    before.isLoadingMore = false;
    changed();
  }
}

function query({ namespace, queue, state: jobState, id }, after, limit = PAGE) {
  const given = Object.entries({ namespace, queue, state: jobState, id, limit, after });
  return `jobs?${new URLSearchParams(given.filter(([, value]) => value !== null && value !== undefined))}`;
}

/** Load the open job; asked again meanwhile, load it once more. */
export async function job() {
  const { open } = state;
  if (open === null) return;
  if (opening?.open === open) {
    opening.isAskedAgain = true;
    return;
  }
  const mine = { open, isAskedAgain: false };
  opening = mine;
  do {
    mine.isAskedAgain = false;
    await loadInto(open);
  } while (mine.isAskedAgain && state.open === open);
  if (opening === mine) opening = null;
}

async function loadInto(open) {
  try {
    const isFirst = open.text === null;
    const [found, text] = await Promise.all([
      api.get(api.jobPath(open.id)),
      isFirst ? api.getText(api.jobPath(open.id, "/data")) : open.text,
    ]);
    Object.assign(open, { job: found, text, error: null });
  } catch (error) {
    open.error = error;
  }
  changed();
}

/** Follow the address: load what it shows and was not shown before. */
export function follow(route) {
  const before = state.route;
  state.route = route;
  const isSameList = ["namespace", "queue", "state", "id"].every((name) => route[name] === before[name]);
  if (!isSameList) {
    state.list.jobs = state.list.jobs.filter((each) => live.belongs(each, route)); // what is known of the new list
    list();
  }
  if (route.job === null) state.open = null;
  else if (state.open?.id !== route.job) {
    state.open = { id: route.job, job: null, text: null, error: null, selected: null };
    job();
  }
  changed();
}
