// Follow the event stream, and reconnect when it breaks.

import * as api from "./api.js";
import * as clock from "./clock.js";
import * as fetching from "./fetching.js";
import { note } from "./job_merge.js";
import { toast } from "./toasts.js";
import { changed, state } from "./state.js";

const RECONNECT_MS = 2000;
const HIDDEN_MS = 5000;

let source = null;
let wasLive = false;

const HANDLERS = {
  hello(found) {
    clock.set(found);
    state.link = "live";
    fetching.all();
  },
  job: ({ job }) => note(job.state === "running" ? { ...job, startedAt: job.startedAt ?? clock.iso() } : job),
  attempt({ job, attempt }) {
    note({ ...job, last: attempt, summary: attempt.summary });
    updateListening(job, attempt);
    fetching.recentSoon(job);
    if (job.state === "failed" || job.attempt > 1) fetching.causesSoon();
  },
  queues({ queues }) {
    state.queues = queues;
  },
  clock: (found) => clock.move(found),
  catalog: () => fetching.overview(),
  deleted: () => fetching.allSoon(),
  reset: () => fetching.all(),
  gap: () => fetching.all(),
  warning({ message }) {
    if (!/^catalog error: /m.test(message)) toast(message, "warning"); // that has an alert, which stays
    fetching.overview();
  },
  hold: () => fetching.job(),
  schedule: () => fetching.overview(),
  rejected: () => fetching.overview(),
  stopping() {
    state.link = "stopping";
  },
};

/** Open the stream; fetch what is shown when it says hello, or after 300 ms without it. */
export function start() {
  connect();
  setTimeout(() => wasLive || fetching.all(), 300);
  document.addEventListener("visibilitychange", () => {
    // A browser allows six connections to a server: hidden tabs release theirs.
    if (document.hidden) setTimeout(() => document.hidden && sleep(), HIDDEN_MS);
    else if (source === null) reconnect();
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
  state.link = "hidden";
  changed();
}

async function failed() {
  state.link = "lost";
  changed();
  if (source?.readyState !== EventSource.CLOSED) return; // the browser reconnects by itself
  disconnect();
  setTimeout(() => document.hidden || connect(), RECONNECT_MS);
  if (await isReachable()) {
    state.link = "refused";
    changed();
  }
}

async function isReachable() {
  try {
    return Boolean(await api.get("status"));
  } catch {
    return false;
  }
}

/** Reconnect now. */
export function reconnect() {
  state.link = "connecting";
  connect();
  changed();
}

/** Update whether the service is listening: an attempt shows it. */
function updateListening(job, attempt) {
  const service = state.services.find((each) => each.namespace === job.namespace);
  if (service === undefined) return;
  if (attempt.status !== null) service.listening = true;
  if (attempt.error?.code === "connect_refused") service.listening = false;
}
