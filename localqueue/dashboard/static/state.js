// Hold what the page knows, and show it: changes are thrown together into one drawing per tenth of a second.

const PERIOD_MS = 100;

export const state = {
  link: "connecting", // live, lost, refused, stopping, asleep
  route: { namespace: null, queue: null, job: null, state: null, id: null },
  clock: null, // {mode, at, iso, offsetMs}
  version: "",
  queues: null, // null: not known yet
  services: [],
  catalog: { refused: [], warnings: [] }, // what is wrong in catalogs
  storageError: null,
  list: { jobs: [], next: null, isLoading: true, isLoadingMore: false, error: null, unseen: new Set() },
  open: null, // {id, job, text, error, selected}
  busy: new Set(),
  toasts: [],
  isClockOpen: false,
  isSourceShown: false, // of answers that are HTML
};

/** Return what keeps a waiting job from being started: "paused", "queue_missing", or null. */
export function heldBy(job) {
  if (job.state !== "queued" && job.state !== "retrying") return null;
  const queue = queueOf(job);
  return queue ? queue.held : job.held;
}

/** Return the queue of a job, if it is known. */
export function queueOf(job) {
  return state.queues?.find((each) => each.namespace === job.namespace && each.name === job.queue) ?? null;
}

let draw = () => {};
let onceDrawn = () => {};
let isDue = false;
let drawnAt = -Infinity;

/** Say what draws the page. */
export function drawWith(drawing) {
  draw = drawing;
}

/** Draw soon: at once if the last drawing is a while ago, else with whatever comes until then. */
export function changed() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => requestAnimationFrame(drawNow), Math.max(0, drawnAt + PERIOD_MS - performance.now()));
}

/** Do something once, when the page has been drawn anew. */
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
