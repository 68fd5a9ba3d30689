// Draw the queues: the counts of each, and why it is held.

import { h, s } from "../dom.js";
import * as format from "../format.js";
import { icon } from "../icons.js";
import * as router from "../router.js";
import { state } from "../state.js";
import { spoken } from "./controls.js";
import * as schedules from "./schedules.js";

const SHOWN = ["failed", "retrying", "queued", "completed"];
const METER = 36;

export function view() {
  if (state.queues === null) return null;
  return [all(), ...namespaces().map(([name, queues]) => namespace(name, queues))];
}

function namespaces() {
  const groups = new Map(state.services.map((service) => [service.namespace, []]));
  for (const queue of state.queues) groups.set(queue.namespace, [...(groups.get(queue.namespace) ?? []), queue]);
  return [...groups];
}

function all() {
  const { route } = state;
  const total = (name) => state.queues.reduce((sum, queue) => sum + queue.counts[name], 0);
  return h("a", { class: "queue all", "data-key": "all", href: router.href({ state: route.state }), "aria-current": route.namespace === null && "page" },
    h("span", { class: "queue-name" }, "All queues"),
    h("span", { class: "activity" }, total("running") ? `${format.number(total("running"))} running` : ""),
    counts(total),
  );
}

function namespace(name, queues) {
  const service = state.services.find((known) => known.namespace === name);
  const id = `namespace-${name}`;
  const { route } = state;
  const isHere = route.namespace === name && route.queue === null;
  const link = h("a", { id, href: router.href({ namespace: name, state: route.state }), "aria-current": isHere && "page" }, name);
  return h("section", { "data-key": `namespace ${name}`, "aria-labelledby": id },
    h("h2", {}, link, service ? where(service) : null),
    queues.map(queueLink),
    schedules.view(name),
  );
}

function where(service) {
  const isDown = service.listening === false;
  const title = isDown ? `nothing is listening on ${service.target}` : service.target;
  return h("span", { class: `where ${isDown ? "is-down" : ""}`, title }, isDown ? icon("down") : null, format.host(service.target), isDown ? spoken(", nothing is listening there") : null);
}

function queueLink(queue) {
  const { route } = state;
  const isHere = route.namespace === queue.namespace && route.queue === queue.name;
  const href = router.href({ namespace: queue.namespace, queue: queue.name, state: route.state });
  return h("a", { class: "queue", "data-key": `queue ${queue.namespace} ${queue.name}`, href, "aria-current": isHere && "page" },
    h("span", { class: "queue-name" }, queue.name),
    activity(queue),
    counts((name) => queue.counts[name]),
  );
}

/** Return the running attempts and the concurrency, or why the queue is held. */
function activity(queue) {
  if (queue.held === "paused") return h("span", { class: "activity held" }, icon("paused"), "paused");
  if (queue.held === "queue_missing") return h("span", { class: "activity held" }, icon("warning"), "not declared");
  const running = inFlight(queue);
  return h("span", { class: "activity" },
    meter(running, queue.concurrency),
    h("span", { class: "of" }, `${format.number(running)}/${format.number(queue.concurrency)}`), spoken(" running"));
}

export function inFlight(queue) {
  return queue.inFlight ?? queue.counts.running;
}

function meter(running, concurrency) {
  return s("svg", { class: "meter", viewBox: `0 0 ${METER} 4`, "aria-hidden": "true" },
    s("rect", { width: METER, height: 4, rx: 2, class: "track" }),
    running ? s("rect", { width: Math.max(4, (METER * Math.min(running, concurrency)) / concurrency), height: 4, rx: 2, class: "fill" }) : null);
}

function counts(of) {
  const shown = SHOWN.filter((name) => of(name) > 0);
  return h("span", { class: "counts" }, shown.map((name) =>
    h("span", { class: `count ${name}`, title: `${format.number(of(name))} ${name}` }, icon(name), format.number(of(name)), spoken(` ${name}`))));
}
