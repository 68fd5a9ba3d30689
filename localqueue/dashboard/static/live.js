// Follow the stream of events: note what comes, and put it in its place when the page is drawn.

import * as api from "./api.js";
import * as clock from "./clock.js";
import * as load from "./load.js";
import { toast } from "./notices.js";
import { changed, state } from "./state.js";

const AGAIN_MS = 2000;
const HIDDEN_MS = 5000;
const KEPT_ROWS = 300;
const MANY_UNSEEN = 1000;
const RANK = { running: 1, retrying: 2, queued: 3, completed: 4, failed: 4, cancelled: 4 };

let source = null;
let wasLive = false;
let pending = new Map(); // the newest version of each job that an event told of since the last drawing
let remembered = null; // and since a list was asked for

const HANDLERS = {
  hello(found) {
    clock.set(found);
    state.link = "live";
    load.all();
  },
  job: ({ job }) => note(job.state === "running" ? { ...job, startedAt: job.startedAt ?? clock.iso() } : job),
  attempt({ job, attempt }) {
    note({ ...job, last: attempt });
    hear(job, attempt);
  },
  queues({ queues }) {
    state.queues = queues;
  },
  clock: (found) => clock.move(found),
  catalog: () => load.overview(),
  reset: () => load.all(),
  gap: () => load.all(),
  warning({ message }) {
    toast(message, "warning");
    load.overview();
  },
  stopping() {
    state.link = "stopping";
  },
};

/** Open the stream; load what is shown when it greets, or after a moment without it. */
export function start() {
  connect();
  setTimeout(() => wasLive || load.all(), 300);
  document.addEventListener("visibilitychange", () => {
    // A browser allows six connections to a server: tabs that nobody looks at give theirs back.
    if (document.hidden) setTimeout(() => document.hidden && sleep(), HIDDEN_MS);
    else if (source === null) again();
  });
}

function connect() {
  source?.close();
  source = new EventSource(api.EVENTS);
  source.onerror = failed;
  for (const [name, handle] of Object.entries(HANDLERS)) {
    source.addEventListener(name, (event) => {
      wasLive = true;
      handle(JSON.parse(event.data));
      changed();
    });
  }
}

function disconnect() {
  source?.close();
  source = null;
}

function sleep() {
  disconnect();
  state.link = "asleep";
  changed();
}

async function failed() {
  state.link = "lost";
  changed();
  if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
  disconnect();
  setTimeout(() => document.hidden || connect(), AGAIN_MS);
  if (await answers()) {
    state.link = "refused";
    changed();
  }
}

async function answers() {
  try {
    return Boolean(await api.get("status"));
  } catch {
    return false;
  }
}

/** Try again now. */
export function again() {
  state.link = "connecting";
  connect();
  changed();
}

/** Show that a request found nobody. */
export function unreachable(error) {
  if (error.status === 0 && state.link === "connecting") state.link = "lost";
}

/** Learn from an attempt whether the service listens. */
function hear(job, attempt) {
  const service = state.services.find((each) => each.namespace === job.namespace);
  if (service === undefined) return;
  if (attempt.status !== null) service.listening = true;
  if (attempt.error?.code === "connect_refused") service.listening = false;
}

function note(job) {
  pending.set(job.id, { ...pending.get(job.id), ...job });
  remembered?.set(job.id, { ...remembered.get(job.id), ...job });
}

/** Remember events from now on: the list that is being asked for may be older than they are. */
export function remember() {
  remembered = new Map();
}

/** Note the remembered events again, where they are newer than the list that came. */
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

/** Put what events told of in its place; while somebody reads the list, new rows only get counted. */
export function settle(isReading) {
  if (pending.size === 0) return;
  const news = pending;
  pending = new Map();
  const { list, open, route } = state;
  const listed = new Set(list.jobs.map((job) => job.id));
  const added = [...news.values()].filter((job) => !listed.has(job.id) && belongs(job, route) && isOnPage(job, list));
  list.jobs = list.jobs.map((job) => (news.has(job.id) ? { ...job, ...news.get(job.id) } : job)).filter((job) => belongs(job, route));
  if (isReading(added.length)) {
    for (const job of added) if (list.unseen.size < MANY_UNSEEN) list.unseen.add(job.id);
  } else if (added.length > 0) insert(list, added);
  if (open?.job && news.has(open.job.id)) {
    open.job = { ...open.job, ...news.get(open.job.id) };
    load.job();
  }
}

/** Return whether a job is in the list that an address shows. */
export function belongs(job, route) {
  return (
    (route.namespace === null || job.namespace === route.namespace) &&
    (route.queue === null || job.queue === route.queue) &&
    (route.state === null || job.state === route.state) &&
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
  if (list.jobs.some((job) => job.preview === undefined)) load.glimpses();
  if (jobs.length > room) list.next = String(list.jobs.at(-1).seq);
}
