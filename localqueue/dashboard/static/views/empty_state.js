// Explain the first steps where there is nothing to show.

import * as api from "../api.js";
import { h } from "../dom.js";
import * as router from "../router.js";
import { state } from "../state.js";
import { button, copyable } from "./controls.js";

const CATALOG = `spec:
  queues:
    - name: process-claim
      endpoint: /internal/jobs/process-claim
      concurrency: 5
      retries: 3
      retryDelayMs: 5000
      timeoutMs: 30000`;

export function view(queue) {
  const { route } = state;
  const declared = state.queues.filter((known) => known.held !== "queue_missing");
  if (route.queue !== null && queue === null) return unknownQueue(route);
  if (route.state !== null || route.id !== null) return noMatch(route);
  return declared.length === 0 ? noQueue() : noJob(queue ?? declared[0]);
}

export function broken(error) {
  return h("div", { class: "empty" }, h("h2", {}, error.message), h("p", {}, error.hint));
}

function noQueue() {
  const file = state.services[0]?.catalog ?? "catalog-info.yaml";
  return h("div", { class: "empty" },
    h("h2", {}, "No queues yet"),
    h("p", {}, "Declare one in ", h("code", {}, file), ". localqueue applies the change within a second. The four numbers are the defaults."),
    copyable(CATALOG));
}

function noJob(queue) {
  const job = `{"namespace": "${queue.namespace}", "queue": "${queue.name}", "data": {"hello": "world"}}`;
  return h("div", { class: "empty" },
    h("h2", {}, "No jobs yet"),
    h("p", {}, "Enqueue one as your service would:"),
    copyable(`curl -H 'Content-Type: application/json' \\\n  -d '${job}' \\\n  ${api.QUEUE_URL}/jobs`),
    h("p", {}, "It is delivered to ", h("code", {}, `POST ${queue.target ?? ""}${queue.endpoint ?? ""}`), ". A 2xx response completes it."),
    h("p", {}, button("Enqueue a job", "enqueue", { namespace: queue.namespace, queue: queue.name })));
}

function noMatch(route) {
  const what = route.id === null ? `No ${route.state} jobs` : `No ${route.state ? `${route.state} ` : ""}job ID starts with "${route.id}"`;
  return h("div", { class: "empty" }, h("h2", {}, what), h("p", {}, h("a", { href: router.href({ ...route, state: null, id: null }) }, "Show all")));
}

function unknownQueue(route) {
  return h("div", { class: "empty" }, h("h2", {}, "No such queue"), h("p", {}, h("code", {}, `${route.namespace}/${route.queue}`), " isn't in any catalog and has no jobs. ", h("a", { href: "#/" }, "All queues")));
}
