// Draw the alerts above the page, and the toasts.

import * as api from "../api.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { icon } from "../icons.js";
import { state } from "../state.js";
import * as preferences from "../preferences.js";
import { button, spoken } from "./controls.js";
import { upWithTarget } from "./job_status.js";
import { foreign } from "./text_block.js";

const SHOWN_REASONS = 3;

export function view() {
  return [connection(), storage(), catalogs(), rejections(), ...services()];
}

function notice(key, kind, ...content) {
  return h("div", { class: `notice ${kind}`, "data-key": key, role: kind === "bad" ? "alert" : null }, icon(kind === "bad" ? "down" : "warning"), h("div", {}, content));
}

function connection() {
  if (state.link === "lost") {
    return notice("link", "bad", h("strong", {}, "Disconnected. "), "localqueue doesn't respond at ", h("code", {}, api.QUEUE_URL),
      ". If it has stopped, start it: ", h("code", {}, "localqueue up"), ". This is the last known state; reconnecting… ", button("Try now", "reconnect", {}, { kind: "quiet" }));
  }
  if (state.link === "refused") {
    return notice("link", "warn", h("strong", {}, "Not updating. "), "localqueue responds but sends no events. If many dashboards are open, close one. ", button("Try now", "reconnect", {}, { kind: "quiet" }));
  }
  return state.link === "stopping" ? notice("link", "warn", h("strong", {}, "localqueue is stopping. "), "It accepts no new jobs; running attempts may finish.") : null;
}

function storage() {
  return state.storageError ? notice("storage", "bad", h("strong", {}, "Can't write the database. "), state.storageError) : null;
}

function catalogs() {
  const { refused, warnings } = state.catalog;
  const findings = refused.length ? refused : warnings;
  if (findings.length === 0) return null;
  const lines = findings.map((problem) => h("li", {}, h("code", {}, finding(problem))));
  const what = refused.length ? "Catalog error. The last valid version is still in use." : "Catalog warning.";
  return notice("catalogs", "warn", h("strong", {}, what), h("ul", {}, lines));
}

function finding({ file, line, column, code, message }) {
  return `${file}${line ? `:${line}:${column}` : ""}: ${code}: ${message}`;
}

/** Show refused requests by reason: the sender may not log the response. */
function rejections() {
  const reasons = preferences.rejections();
  if (reasons.length === 0) return null;
  const lines = reasons.slice(0, SHOWN_REASONS).map((reason) => h("li", {}, h("code", {}, `${reason.code}: `, foreign(reason.message)), ` (${format.count(reason.count, "request")})`, reason.hint ? h("p", { class: "dim" }, foreign(reason.hint)) : null));
  const rest = reasons.length > SHOWN_REASONS ? h("p", { class: "dim" }, `${format.count(reasons.length - SHOWN_REASONS, "more reason")}. `, "To list them: ", h("code", {}, "localqueue doctor")) : null;
  return notice("rejections", "warn", h("strong", {}, "Some requests were refused. "), "Nothing was enqueued. ",
    button(["Dismiss", spoken(" refused requests")], "dismissRejections", {}, { kind: "quiet" }), h("ul", {}, lines), rest);
}

/** Show services that aren't running; where a job is open, its page does. */
function services() {
  if (state.route.job !== null) return [];
  return state.services.filter((service) => service.listening === false && service.queues > 0).map((service) =>
    notice(`service ${service.namespace}`, "warn", h("strong", {}, `${service.namespace} isn't running. `), "Nothing is listening on ", h("code", {}, service.target),
      ", so its jobs will fail. Start it, or point localqueue elsewhere: ", h("code", {}, upWithTarget(service.namespace)), "."));
}

export function toasts() {
  return state.toasts.map(({ number, text, kind, hint }) =>
    h("div", { class: `toast ${kind}`, "data-key": `toast ${number}` }, h("div", {}, h("p", {}, text), hint ? h("p", { class: "dim" }, hint) : null),
      button("Dismiss", "dismiss", { number }, { kind: "quiet" })));
}
