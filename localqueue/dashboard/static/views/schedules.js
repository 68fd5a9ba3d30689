// Draw the schedules of a service: when each fires next, how its latest firing ended, and the button that fires it.

import * as clock from "../clock.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { icon, outcomeShape } from "../icons.js";
import { state } from "../state.js";
import { button } from "./controls.js";
import { outcomeWord } from "./job_status.js";

/** Return the schedules of a namespace. */
export function view(namespace) {
  const own = state.schedules.filter((schedule) => schedule.namespace === namespace);
  return own.length === 0 ? null : h("ul", { class: "schedules", "aria-label": `Schedules of ${namespace}` }, own.map(row));
}

function row(schedule) {
  const { namespace, name, cron, timezone, endpoint, description } = schedule;
  const title = [description, `${cron} (${timezone}) calls ${endpoint}`].filter(Boolean).join("\n");
  return h("li", { "data-key": `schedule ${namespace} ${name}` },
    h("span", { class: "schedule-name", title }, name),
    h("span", { class: "dim" }, next(schedule), last(schedule.last)),
    button("Trigger now", "trigger", { namespace, queue: name }, { kind: "quiet", title: `Call ${endpoint} now` }));
}

function next(schedule) {
  if (schedule.nextAt === null) return "only by hand";
  return ["next ", clock.ticking("until", format.ms(schedule.nextAt), schedule.nextAt)];
}

function last(firing) {
  if (firing === null) return null;
  const title = [`fired ${format.time(firing.firedAt)}`, firing.explanation && format.sentence(firing.explanation.text)].filter(Boolean).join("\n");
  return [" ", h("span", { class: outcomeShape(firing.outcome), title }, icon(outcomeShape(firing.outcome)), " ", outcomeWord(firing))];
}
