// Draw what must be said across the page: no connection, a wrong catalog, a service that is not there.

import * as api from "../api.js";
import { h } from "../dom.js";
import { glyph } from "../glyphs.js";
import { state } from "../state.js";
import { button } from "./controls.js";

export function notices() {
  return [connection(), storage(), catalogs(), ...services()];
}

function notice(key, kind, ...content) {
  return h("div", { class: `notice ${kind}`, "data-key": key, role: kind === "bad" ? "alert" : null }, glyph(kind === "bad" ? "down" : "warning"), h("div", {}, content));
}

function connection() {
  if (state.link === "lost") {
    return notice("link", "bad", h("strong", {}, "No connection. "), "localqueue does not answer at ", h("code", {}, api.QUEUE_URL),
      "; start it with ", h("code", {}, "localqueue up"), ". What you see is how it was; the page tries again by itself. ", button("Try now", "again", {}, { kind: "quiet" }));
  }
  if (state.link === "refused") {
    return notice("link", "warn", h("strong", {}, "Not live. "), "localqueue answers but streams no events: are many dashboards open? Close one. ", button("Try now", "again", {}, { kind: "quiet" }));
  }
  return state.link === "stopping" ? notice("link", "warn", h("strong", {}, "localqueue is stopping. "), "It takes no new jobs; what is under way may end.") : null;
}

function storage() {
  return state.storageError ? notice("storage", "bad", h("strong", {}, "The database can't be written. "), state.storageError) : null;
}

function catalogs() {
  const { refused, warnings } = state.catalog;
  const found = refused.length ? refused : warnings;
  if (found.length === 0) return null;
  const lines = found.map((each) => h("li", {}, h("code", {}, `${each.file}:${each.line}:${each.column}: ${each.code} ${each.message}`)));
  const what = refused.length ? "A catalog is wrong; the last good one stays in force." : "A catalog may not say what you mean.";
  return notice("catalogs", "warn", h("strong", {}, what), h("ul", {}, lines));
}

/** Tell of services that are not there; where a job is open, its page does. */
function services() {
  if (state.route.job !== null) return [];
  return state.services.filter((each) => each.listening === false).map((service) =>
    notice(`service ${service.namespace}`, "warn", h("strong", {}, `${service.namespace} is not there. `), "Nothing listens on ", h("code", {}, service.target),
      ": its jobs fail with ", h("code", {}, "connect_refused"), " until it does. Start it there, or say where it is: ", h("code", {}, "localqueue up --target URL"), "."));
}

export function toasts() {
  return state.toasts.map(({ number, text, kind, hint }) =>
    h("div", { class: `toast ${kind}`, "data-key": `toast ${number}` }, h("div", {}, h("p", {}, text), hint ? h("p", { class: "dim" }, hint) : null),
      button("Dismiss", "dismiss", { number }, { kind: "quiet" })));
}
