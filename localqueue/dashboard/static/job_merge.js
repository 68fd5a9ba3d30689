// Merge the jobs that events report into the list and the open job.

import { state } from "./state.js";

const KEPT_ROWS = 300;
const MANY_UNSEEN = 1000;
const RANK = { running: 1, retrying: 2, queued: 3, completed: 4, failed: 4, cancelled: 4 };

let pending = new Map(); // the newest version of each job that was reported since the last drawing
let remembered = null; // the same, since a list was requested

/** Note a reported job; `merge` shows it. */
export function note(job) {
  pending.set(job.id, { ...pending.get(job.id), ...job });
  remembered?.set(job.id, { ...remembered.get(job.id), ...job });
}

/** Remember events from now on: the list that is being fetched may be older than they are. */
export function remember() {
  remembered = new Map();
}

/** Note the remembered events again where they are newer than the fetched list. */
export function replay(jobs) {
  const listed = new Map(jobs.map((job) => [job.id, job]));
  for (const [id, job] of remembered ?? []) {
    if (!listed.has(id) || isLater(job, listed.get(id))) pending.set(id, { ...job, ...pending.get(id) });
  }
  remembered = null;
}

function isLater(one, other) {
  const [a, b] = [progress(one), progress(other)];
  const at = a.findIndex((value, index) => value !== b[index]);
  return at !== -1 && a[at] > b[at];
}

function progress(job) {
  return [job.round, job.attempt, job.attempt === 0 && job.state === "queued" ? 0 : RANK[job.state]];
}

/**
 * Put the noted jobs in their places; while somebody reads the list, new rows are only counted.
 * Return what is now incomplete: {isOpenStale, isPreviewMissing}.
 */
export function merge(isReading) {
  if (pending.size === 0) return { isOpenStale: false, isPreviewMissing: false };
  const noted = pending;
  pending = new Map();
  const { list, open, route } = state;
  const listed = new Set(list.jobs.map((job) => job.id));
  const added = [...noted.values()].filter((job) => !listed.has(job.id) && belongs(job, route) && isOnPage(job, list));
  list.jobs = list.jobs.map((job) => (noted.has(job.id) ? { ...job, ...noted.get(job.id) } : job)).filter((job) => belongs(job, route));
  if (isReading(added.length)) {
    for (const job of added) if (list.unseen.size < MANY_UNSEEN) list.unseen.add(job.id);
  } else if (added.length > 0) insert(list, added);
  const isOpenStale = Boolean(open?.job) && noted.has(open.job.id);
  if (isOpenStale) open.job = { ...open.job, ...noted.get(open.job.id) };
  return { isOpenStale, isPreviewMissing: list.jobs.some((job) => job.preview === undefined) };
}

/** Return whether a job is in the list that an address shows. */
export function belongs(job, route) {
  return (
    (route.namespace === null || job.namespace === route.namespace) &&
    (route.queue === null || job.queue === route.queue) &&
    (route.state === null || job.state === route.state) &&
    (route.q === null || state.list.jobs.some((listed) => listed.id === job.id)) && // a new job may lack the text
    (route.id === null || job.id.startsWith(route.id) || job.shortId.startsWith(route.id))
  );
}

function isOnPage(job, list) {
  return list.next === null || list.jobs.length === 0 || job.seq > list.jobs.at(-1).seq;
}

function insert(list, added) {
  const room = Math.max(KEPT_ROWS, list.jobs.length);
  const jobs = [...added, ...list.jobs].sort((one, other) => other.seq - one.seq);
  list.jobs = jobs.slice(0, room);
  if (jobs.length > room) list.next = String(list.jobs.at(-1).seq);
}
