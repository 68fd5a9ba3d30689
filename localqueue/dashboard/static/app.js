// Start the page: follow the address, the stream and the keyboard, and draw what they change.

import * as actions from "./actions.js";
import * as clock from "./clock.js";
import { patch } from "./dom.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import * as load from "./load.js";
import * as router from "./router.js";
import { afterDrawing, changed, drawWith, state } from "./state.js";
import * as attempts from "./views/attempts.js";
import * as job from "./views/job.js";
import * as jobs from "./views/jobs.js";
import * as messages from "./views/messages.js";
import * as queues from "./views/queues.js";
import * as top from "./views/top.js";

const part = (id) => document.getElementById(id);
let listTop = 0;

function draw() {
  live.settle(jobs.isReading);
  const isJob = state.route.job !== null;
  document.body.classList.toggle("with-job", isJob);
  document.body.classList.toggle("with-queue", state.route.queue !== null);
  document.body.classList.toggle("with-scope", state.route.namespace !== null);
  document.title = title();
  part("job").hidden = !isJob;
  show("top", top.view);
  top.settle();
  show("notices", messages.notices);
  show("queues", queues.view);
  show("jobs", jobs.view);
  show("job", isJob ? job.view : () => null);
  show("toasts", messages.toasts);
}

/** Show a part; a fault in one of them leaves the others alone. */
function show(id, view) {
  try {
    patch(part(id), view());
  } catch (error) {
    reportError(error);
  }
}

function title() {
  const failed = (state.queues ?? []).reduce((sum, queue) => sum + queue.counts.failed, 0);
  const name = state.open?.job ? `${state.open.job.queue} ${state.open.job.shortId}` : state.route.queue;
  return `${failed ? `(${failed} failed) ` : ""}${name ? `${name} · ` : ""}localqueue`;
}

/** Follow the address. Where the list makes room for a job, it comes back as it was left. */
function follow() {
  const from = state.route.job;
  load.follow(router.parse(location.hash));
  const to = state.route.job;
  if (to === from) return;
  part("job").scrollTo(0, 0);
  if (from === null) listTop = scrollY;
  afterDrawing(() => {
    if (part("jobs").offsetParent === null) part("job").focus({ preventScroll: true });
    scrollTo(0, to === null ? listTop : 0);
  });
}

drawWith(draw);
actions.listen();
keys.listen();
top.listen();
jobs.listen();
addEventListener("hashchange", follow);
load.follow(router.parse(location.hash));
live.start();
clock.start(attempts.tick);
changed();
