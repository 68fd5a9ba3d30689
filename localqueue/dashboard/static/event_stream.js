// Follow the event stream, and put what comes into the state.

import * as api from "./api.js";
import * as clock from "./clock.js";
import * as fetching from "./fetching.js";
import { note } from "./job_merge.js";
import { Stream } from "./stream.js";
import * as preferences from "./preferences.js";
import { toast } from "./toasts.js";
import { changed, state } from "./state.js";

/** What a hidden tab follows, for its title; the rest is fetched when somebody looks at it again. */
const WHILE_HIDDEN = ["live", "lost", "closed", "hello", "queues", "clock", "stopping"];

let ask = null; // asks the stream for something
let isFetched = false;
let hasMissed = false;

const HANDLERS = {
  hello: (reading) => clock.set(reading),
  job: ({ job }) => note(job.state === "running" ? { ...job, startedAt: job.startedAt ?? clock.iso() } : job),
  attempt({ job, attempt }) {
    note({ ...job, last: attempt, summary: attempt.summary });
    updateListening(job, attempt);
    fetching.recentSoon(job);
    if (job.state === "failed" || job.attempt > 1) fetching.causesSoon();
  },
  queues({ queues, rejected }) {
    state.queues = queues;
    if (rejected !== state.rejected) seeRejections();
  },
  clock: (reading) => clock.move(reading),
  catalog: () => fetching.overview(),
  deleted: () => fetching.allSoon(),
  reset() {
    preferences.forgetDismissed();
    fetching.all();
  },
  gap: () => fetching.all(),
  warning({ message }) {
    if (!/^catalog error: /m.test(message)) toast(message, "warning"); // that has an alert, which stays
    fetching.overview();
  },
  hold: () => fetching.job(),
  schedule: () => fetching.overview(),
  stopping() {
    state.link = "stopping";
  },
};

/** Follow the stream; fetch what is shown when it is live, or after 300 ms without that. */
export function start() {
  follow();
  setTimeout(() => isFetched || fetchAll(), 300);
  addEventListener("pagehide", () => ask("leave"));
  addEventListener("pageshow", (event) => event.persisted && ask("follow"));
  addEventListener("focus", () => {
    if (state.services.some(({ listening }) => !listening)) fetching.overview(); // somebody may have started it meanwhile
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && hasMissed) fetchAll();
    changed();
  });
}

/** Follow the stream that all tabs share; where that can't be, one of our own. */
function follow() {
  const wanted = { url: api.EVENTS, names: Object.keys(HANDLERS) };
  if (typeof SharedWorker === "undefined") {
    const stream = new Stream(wanted, take);
    ask = (what) => ({ connect: () => stream.connect(), follow: () => stream.connect(), leave: () => stream.close() })[what]();
    return;
  }
  const { port } = new SharedWorker(new URL("stream_worker.js", import.meta.url), { type: "module", name: "localqueue events" });
  port.onmessage = ({ data }) => take(data);
  ask = (what) => port.postMessage({ what, ...wanted });
  ask("follow");
}

function take({ name, data }) {
  if (document.hidden && !WHILE_HIDDEN.includes(name)) {
    hasMissed = true;
    return;
  }
  (STATUS[name] ?? HANDLERS[name])(data && JSON.parse(data));
  changed();
}

const STATUS = {
  live() {
    state.link = "live";
    fetchAll();
  },
  lost() {
    state.link = "lost";
  },
  async closed() {
    state.link = "lost";
    if (!(await isReachable())) return;
    state.link = "refused";
    changed();
  },
};

/** Fetch everything; a hidden tab fetches what its title needs, and the rest when somebody looks at it. */
function fetchAll() {
  isFetched = true;
  hasMissed = document.hidden;
  if (document.hidden) fetching.overview();
  else fetching.all();
}

/** Fetch the refused requests; a hidden tab does it when somebody looks at it. */
function seeRejections() {
  if (document.hidden) hasMissed = true;
  else fetching.overview();
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
  ask("connect");
  changed();
}

/** Update whether the service is listening: an attempt shows it. */
function updateListening(job, attempt) {
  const service = state.services.find(({ namespace }) => namespace === job.namespace);
  if (service === undefined) return;
  if (attempt.status !== null) service.listening = true;
  if (attempt.error?.code === "connect_refused") service.listening = false;
}
