// Hold the state of the page, and draw it: changes within 100 ms share one drawing.

const PERIOD_MS = 100;

export const state = {
  link: "connecting", // live, lost, refused, stopping
  route: { namespace: null, queue: null, job: null, state: null, id: null, q: null },
  clock: null, // {mode, at, iso, offsetMs}
  version: "",
  pid: 0, // of the server
  queues: null, // null: not known yet
  services: [],
  schedules: [],
  causes: [], // of the failed jobs in view: as cause_merge.js returns them
  catalog: { refused: [], warnings: [] }, // findings in the catalogs
  rejected: 0, // how many requests were refused
  rejections: [], // refused requests by reason: {code, namespace, queue, count, message, hint, firstAt}
  dismissed: {}, // how many refused requests of each reason are dismissed: {name: count}
  storageError: null,
  list: { jobs: [], next: null, isLoading: true, isLoadingMore: false, error: null, unseen: new Set() },
  selection: { ids: new Set(), counts: null, latest: null }, // counts: of all jobs that match, where these are selected
  open: null, // {id, job, text, error, selected}
  busy: new Set(),
  toasts: [],
  editing: null, // the setting of a queue whose field is open: {namespace, queue, setting, problem}
  recent: null, // the last minute of the queue that is shown: {namespace, queue, at, completed, failed, durations}
  isNavOpen: false, // the queues, on a narrow screen, where the jobs come first
  isMoreOpen: false, // what else there is about them there
  isClockOpen: false,
  isUtc: false, // whether times are shown in UTC
  isReadable: false, // whether escapes in JSON are shown as the characters that they mean
  isSourceShown: false, // of responses that are HTML
};

/** Return what keeps a waiting job from being started: "paused", "queue_missing", or null. */
export function heldBy(job) {
  if (job.state !== "queued" && job.state !== "retrying") return null;
  const queue = queueOf(job);
  return queue ? queue.held : job.held;
}

/** Return the queue of a job, if it is known. */
export function queueOf(job) {
  return state.queues?.find((queue) => queue.namespace === job.namespace && queue.name === job.queue) ?? null;
}

/** Return the name under which an action is busy. */
export function busyName(name, dataset = {}) {
  return [name, dataset.id ?? dataset.namespace, dataset.queue, dataset.cause].filter(Boolean).join(" ");
}

let draw = () => {};
let drawHidden = () => {};
let onceDrawn = () => {};
let isDue = false;
let drawnAt = -Infinity;

/** Register the functions that draw the page, and what there is of it while nobody looks. */
export function drawWith(drawing, hidden) {
  [draw, drawHidden] = [drawing, hidden];
}

/** Draw soon: at once if the last drawing was 100 ms ago, else with everything that changes until then. */
export function changed() {
  if (document.hidden) drawHidden(); // a hidden page gets no frames
  if (isDue) return;
  isDue = true;
  setTimeout(() => requestAnimationFrame(drawNow), Math.max(0, drawnAt + PERIOD_MS - performance.now()));
}

/** Do something once, after the next drawing. */
export function afterDrawing(work) {
  onceDrawn = work;
  changed();
}

function drawNow() {
  isDue = false;
  drawnAt = performance.now();
  draw();
  onceDrawn();
  onceDrawn = () => {};
}
