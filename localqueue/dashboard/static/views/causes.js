// Draw the failed jobs by cause: how many, where, why, and the button that retries them.

import { h } from "../dom.js";
import * as format from "../format.js";
import { icon } from "../icons.js";
import { isAmbiguous } from "../scope.js";
import { state } from "../state.js";
import { button } from "./controls.js";
import { foreign } from "./text_block.js";

const SHOWN = 8;

/** Return the causes above the list of failed jobs, or null. */
export function view() {
  if (state.route.state !== "failed" || state.causes.length === 0) return null;
  const rest = state.causes.length - SHOWN;
  return h("section", { class: "causes", "aria-label": "By error" },
    h("h2", {}, "By error"),
    h("ul", {}, state.causes.slice(0, SHOWN).map(cause)),
    rest > 0 ? h("p", { class: "dim" }, `and ${format.count(rest, "more cause")}`) : null);
}

function cause({ key, status, summary, pattern, count, lastAt, queues }) {
  const { namespace, queue } = state.route;
  const title = `Retry the ${format.count(count, "job")} that failed like this`;
  return h("li", { "data-key": `cause ${key}` },
    h("strong", { class: "n" }, format.number(count)),
    h("span", { class: "what" },
      h("span", { class: "is-bad" }, status === null ? "" : `${status} `, foreign(pattern)),
      h("span", { class: "dim" }, queue ? "" : `${places(queues)}, `, "latest ", h("time", { title: format.dateTime(lastAt) }, format.time(lastAt)), pattern === summary ? "" : [", such as: ", foreign(summary)])),
    button([icon("retrying"), `Retry ${format.number(count)}`], "retryCause", { namespace: namespace ?? "", queue: queue ?? "", cause: key }, { title }));
}

function places(queues) {
  if (queues.length === 1) return name(queues[0]);
  return queues.map((place) => `${name(place)} ${format.number(place.count)}`).join(", ");
}

function name({ namespace, queue }) {
  return isAmbiguous({ namespace, queue }) ? `${namespace}/${queue}` : queue;
}
