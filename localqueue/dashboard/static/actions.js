// Do what a button says: an element with data-do="name" runs the action of that name with its data.

import * as api from "./api.js";
import * as clock from "./clock.js";
import * as format from "./format.js";
import * as live from "./live.js";
import * as load from "./load.js";
import { dismiss, fail, toast } from "./notices.js";
import { changed, state } from "./state.js";
import { textOf } from "./views/body.js";
import * as dialogs from "./views/dialogs.js";

const SECOND = 1000;
const DRAIN_TIMEOUT_MS = 600_000;

const ACTIONS = {
  retry: ({ id }) => onJob(id, "/retry", "Retried: a new round has begun"),
  cancel: ({ id }) => onJob(id, "/cancel", "Cancelled"),
  try: ({ due }) => tryNow(due),
  replay: ({ id }) => dialogs.replay(id),
  enqueue: (given) => dialogs.enqueue([given, state.route, state.list.jobs[0] ?? {}].find((each) => each.queue) ?? {}),
  pause: ({ namespace, queue }) => api.post(api.queuePath(namespace, queue, "pause")).then(refreshed),
  resume: ({ namespace, queue }) => api.post(api.queuePath(namespace, queue, "resume")).then(refreshed),
  retryAll: ({ namespace, queue }) => retryAll(namespace, queue),
  second: () => advance({ ms: SECOND }),
  minute: () => advance({ ms: 60 * SECOND }),
  next: () => advance({ to: "next" }),
  drain: () => drain(),
  clock() {
    state.isClockOpen = !state.isClockOpen;
  },
  attempt({ index }) {
    state.open.selected = Number(index);
  },
  source() {
    state.isSourceShown = !state.isSourceShown;
  },
  more: () => load.more(),
  unseen: () => showUnseen(),
  again: () => live.again(),
  dismiss: ({ number }) => dismiss(number),
  help: () => dialogs.help(),
  copy: (_, element) => copy(element),
};

/** Run the actions of clicked elements. */
export function listen() {
  document.addEventListener("click", (event) => {
    const element = event.target.closest?.("[data-do]");
    if (element && !element.disabled) run(element.dataset.do, element.dataset, element);
  });
}

/** Run an action; while it is under way its button is busy, and what goes wrong is shown. */
export async function run(name, given = {}, element = null) {
  const busy = busyName(name, given);
  if (state.busy.has(busy)) return;
  state.busy.add(busy);
  changed();
  try {
    await ACTIONS[name](given, element);
  } catch (error) {
    fail(error);
  } finally {
    state.busy.delete(busy);
    changed();
  }
}

/** Return the name under which an action is busy. */
export function busyName(name, given = {}) {
  return [name, given.id ?? given.namespace, given.queue].filter(Boolean).join(" ");
}

async function onJob(id, what, said) {
  await api.post(api.jobPath(id, what));
  toast(said);
  await refreshed();
}

async function retryAll(namespace, queue) {
  const { retried } = await api.post("jobs/retry", JSON.stringify({ namespace, queue }));
  toast(`${format.count(retried, "failed job")} retried`);
  await refreshed();
}

/** Move the clock to the job's due time; if that is over, even by a moment, make what is due now. */
async function tryNow(due) {
  const isFuture = format.ms(due) > clock.now();
  try {
    await advance(isFuture ? { to: due } : { ms: 0 });
  } catch (error) {
    if (error.status !== 400) throw error;
    await advance({ ms: 0 });
  }
}

async function advance(by) {
  const { now, attempts } = await api.post("clock/advance", JSON.stringify(by));
  toast(`${format.count(attempts.length, "attempt")}, it is ${format.time(now)}`);
  await refreshed();
}

async function drain() {
  const { idle, attempts } = await api.post("drain", JSON.stringify({ timeoutMs: DRAIN_TIMEOUT_MS }));
  toast(`${format.count(attempts.length, "attempt")}, ${idle ? "nothing is left to do" : "still not idle"}`);
  await refreshed();
}

/** Events bring what has changed; without them it is asked for. */
async function refreshed() {
  if (state.link !== "live") await load.all();
}

function showUnseen() {
  document.querySelector("#rows")?.scrollTo(0, 0);
  return load.list();
}

async function copy(element) {
  const { copied, block } = element.closest("[data-copied], [data-block]").dataset;
  await navigator.clipboard.writeText(copied ?? textOf(block));
  toast("Copied");
}
