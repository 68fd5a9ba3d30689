// Start the page: follow the address, the event stream and the keyboard, and draw what they change.

import * as actions from "./actions.js";
import * as clock from "./clock.js";
import { patch } from "./dom.js";
import * as eventStream from "./event_stream.js";
import * as fetching from "./fetching.js";
import { merge } from "./job_merge.js";
import * as keyboard from "./keyboard.js";
import * as preferences from "./preferences.js";
import { isListRead } from "./reading.js";
import * as router from "./router.js";
import { afterDrawing, changed, drawWith, state } from "./state.js";
import * as title from "./title.js";
import * as alerts from "./views/alerts.js";
import * as attempts from "./views/attempts.js";
import * as header from "./views/header.js";
import * as job from "./views/job.js";
import * as jobList from "./views/job_list.js";
import * as queuePanel from "./views/queue_panel.js";
import * as queues from "./views/queues.js";

const part = (id) => document.getElementById(id);
let listTop = 0;

/** Put events in their places, and fetch what they leave out. */
function mergeEvents() {
  const { isOpenStale, isPreviewMissing } = merge(isListRead);
  if (isOpenStale) fetching.job();
  if (isPreviewMissing) fetching.previews();
}

function draw() {
  mergeEvents();
  const focused = document.activeElement;
  const isInJob = part("job").contains(focused);
  const isInAlerts = part("alerts").contains(focused);
  const isJob = state.route.job !== null;
  document.body.classList.toggle("with-job", isJob);
  document.body.classList.toggle("with-nav", state.isNavOpen);
  document.body.classList.toggle("with-queue", state.route.queue !== null);
  document.body.classList.toggle("with-scope", state.route.namespace !== null);
  title.update();
  part("job").hidden = !isJob;
  show("top", header.view);
  header.settle();
  show("alerts", alerts.view);
  show("queues", queues.view);
  show("jobs", jobList.view);
  show("job", isJob ? job.view : () => null);
  show("toasts", alerts.toasts);
  if (isInJob && !focused.isConnected) part("job").focus({ preventScroll: true }); // its button is gone; no other one gets the focus
  if (isInAlerts && !focused.isConnected) part(isJob ? "job" : "jobs").focus({ preventScroll: true });
}

/** Show a part; an error in one leaves the others alone. */
function show(id, view) {
  try {
    patch(part(id), view());
  } catch (error) {
    reportError(error);
  }
}

/** Follow the address. Where a job replaces the list, the list comes back at the same scroll position. */
function follow() {
  const from = state.route.job;
  fetching.follow(router.parse(location.hash));
  const to = state.route.job;
  if (to === from) return;
  part("job").scrollTo(0, 0);
  if (from === null) listTop = scrollY;
  afterDrawing(() => {
    if (part("jobs").offsetParent === null) part("job").focus({ preventScroll: true });
    scrollTo(0, to === null ? listTop : 0);
  });
}

preferences.start();
drawWith(draw, title.update);
actions.listen();
keyboard.listen();
header.listen();
jobList.listen(() => actions.run("unseen"));
addEventListener("hashchange", follow);
fetching.follow(router.parse(location.hash));
eventStream.start();
clock.start((count) => {
  attempts.tick(count);
  queuePanel.tick(count);
});
changed();
