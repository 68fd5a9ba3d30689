// Run actions: clicking an element with data-do="name" runs the action of that name with its data.

import * as api from "./api.js";
import * as bulk from "./bulk.js";
import * as clock from "./clock.js";
import * as commands from "./commands.js";
import * as format from "./format.js";
import * as fetching from "./fetching.js";
import * as preferences from "./preferences.js";
import * as queueSettings from "./queue_settings.js";
import { reconnect } from "./event_stream.js";
import * as selection from "./selection.js";
import { busyName, changed, state } from "./state.js";
import { dismiss, fail, toast } from "./toasts.js";
import { showMore, textOf } from "./views/text_block.js";
import * as dialogs from "./views/dialogs.js";

const SECOND = 1000;
const DRAIN_TIMEOUT_MS = 600_000;
const DOUBLE_CLICK_MS = 700;
const SAME_PX = 8;
const STEPS = ["second", "minute", "next"]; // each click of a quick series counts

let clicked = { what: null, x: 0, y: 0, at: -Infinity, isSent: false };

const ACTIONS = {
  retry: ({ id }) => onJob(id, "/retry", "Retried: a new round started"),
  hold: ({ id }) => onJob(id, "/hold", "Held: it isn't cut off"),
  release: ({ id }) => onJob(id, "/release", "Released"),
  cancel: ({ id }) => onJob(id, "/cancel", "Cancelled"),
  try: ({ due }) => tryNow(due),
  replay: ({ id }) => dialogs.replay(id),
  enqueue: (dataset) => dialogs.enqueue([dataset, state.route, state.list.jobs[0] ?? {}].find(({ queue }) => queue) ?? {}),
  pause: ({ namespace, queue }) => api.post(api.queuePath(namespace, queue, "pause")).then(refreshed),
  resume: ({ namespace, queue }) => api.post(api.queuePath(namespace, queue, "resume")).then(refreshed),
  retryAll: ({ namespace, queue }) => retryAll(namespace, queue),
  pick: ({ id }, _, isRange) => selection.toggle(id, isRange),
  pickRows: () => selection.toggleRows(),
  pickAll: () => selection.pickAll(),
  pickNone: () => selection.clear(),
  onSelection: ({ action }) => bulk.onSelection(action),
  delete: ({ id }) => bulk.deleteOne(id),
  deleteFinished: ({ namespace, queue }) => bulk.deleteFinished(namespace, queue),
  reset: () => bulk.reset(),
  edit: (dataset) => queueSettings.edit(dataset),
  editNone: () => queueSettings.close(),
  save: ({ text }) => queueSettings.save(text),
  undoSetting: (dataset) => queueSettings.undo(dataset),
  nav() {
    state.isNavOpen = !state.isNavOpen;
  },
  moreActions() {
    state.isMoreOpen = !state.isMoreOpen;
  },
  trigger: ({ namespace, queue }) => trigger(namespace, queue),
  retryCause: ({ namespace, queue, cause }) => retryCause(namespace, queue, cause),
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
  utc: () => preferences.toggleUtc(),
  readable() {
    state.isReadable = !state.isReadable;
  },
  source() {
    state.isSourceShown = !state.isSourceShown;
  },
  more: () => fetching.more(),
  unseen: () => showUnseen(),
  reconnect: () => reconnect(),
  dismiss: ({ number }) => dismiss(number),
  dismissRejections: () => preferences.dismissRejections(),
  help: () => dialogs.help(),
  showMore: ({ block }) => showMore(block),
  copy: (_, element) => copy(element),
  copyCurl: ({ index }) => copyText(commands.asCurlCommand(state.open.job, state.open.job.attempts[Number(index)], state.open.text)),
  copyEnqueue: () => copyText(commands.asEnqueue(state.open.job, state.open.text)),
};

/** Run the actions of clicked elements. */
export function listen() {
  queueSettings.listen(run);
  document.addEventListener("click", (event) => {
    const element = event.target.closest?.("[data-do]");
    if (isMeant(event, element) && element) run(element.dataset.do, element.dataset, element, event.shiftKey);
  });
  document.addEventListener("keydown", () => {
    clicked.at = -Infinity; // a key between two clicks: not a double click
  });
}

/**
 * Return whether a click is meant for its button. The second half of a double click isn't meant for the button that has
 * taken the place of the first one meanwhile (after "Retry now" that is "Try now", which moves the clock), and sends no
 * second request.
 */
function isMeant(event, element) {
  const what = element?.dataset.key ?? event.target;
  const click = { what, x: event.clientX, y: event.clientY, at: performance.now(), isSent: false };
  const isSamePlace = Math.abs(clicked.x - click.x) < SAME_PX && Math.abs(clicked.y - click.y) < SAME_PX;
  const isDouble = event.detail > 0 && isSamePlace && click.at - clicked.at <= DOUBLE_CLICK_MS;
  const isIgnored = isDouble && (clicked.isSent || clicked.what !== what);
  clicked = isIgnored ? { ...clicked, at: click.at } : click; // nor is a third click meant
  return !isIgnored;
}

/** Run an action; its button is busy meanwhile, and an error is shown. */
export async function run(name, dataset = {}, element = null, isShifted = false) {
  const busy = busyName(name, dataset);
  if (state.busy.has(busy)) return;
  state.busy.add(busy);
  changed();
  try {
    const sent = ACTIONS[name](dataset, element, isShifted);
    clicked.isSent = sent instanceof Promise && !STEPS.includes(name);
    await sent;
  } catch (error) {
    fail(error);
  } finally {
    state.busy.delete(busy);
    changed();
  }
}

async function onJob(id, what, said) {
  await api.post(api.jobPath(id, what));
  toast(said);
  await refreshed();
}

async function retryCause(namespace, queue, cause) {
  const match = state.causes.find(({ key }) => key === cause);
  if (!match) return; // its jobs have been retried meanwhile
  const { status, pattern: summary } = match;
  const place = { ...(namespace ? { namespace } : {}), ...(queue ? { queue } : {}) };
  const { retried } = await api.post("jobs/retry", JSON.stringify({ ...place, summary, ...(status === null ? {} : { status }) }));
  toast(`${format.count(retried, "failed job")} retried`);
  await refreshed();
  await fetching.causes();
}

async function trigger(namespace, name) {
  const fired = await api.post(`schedules/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/trigger`);
  if (fired.outcome === "completed") toast(`${name} was fired: the service responded ${fired.status}`);
  else toast(`${name} was fired: ${fired.error.message}`, "warning");
  await refreshed();
}

async function retryAll(namespace, queue) {
  const { retried } = await api.post("jobs/retry", JSON.stringify({ namespace, queue }));
  toast(`${format.count(retried, "failed job")} retried`);
  await refreshed();
}

/** Advance the clock to the job's due time; if that has passed, run what is due now. */
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
  toast(`${attemptsMade(attempts)}; the time is ${format.time(now)}`);
  await refreshed();
}

async function drain() {
  const { idle, attempts, unfinishedCount } = await api.post("drain", JSON.stringify({ timeoutMs: DRAIN_TIMEOUT_MS }));
  toast(`${attemptsMade(attempts)}; ${idle ? "all jobs are finished" : `${format.count(unfinishedCount, "job")} unfinished`}`, idle ? "done" : "warning");
  await refreshed();
}

function attemptsMade(attempts) {
  return `${attempts.length ? format.count(attempts.length, "attempt") : "No attempts"} made`;
}

/** Show what changed: events bring it; without them, fetch it. */
async function refreshed() {
  if (state.link !== "live") await fetching.all();
}

function showUnseen() {
  document.querySelector("#rows")?.scrollTo(0, 0);
  return fetching.list();
}

async function copy(element) {
  const { copied, block } = element.closest("[data-copied], [data-block]").dataset;
  await copyText(copied ?? textOf(block));
}

async function copyText(text) {
  await navigator.clipboard.writeText(text);
  toast("Copied");
}
