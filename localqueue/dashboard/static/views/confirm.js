// Ask once before something that can't be undone: how many, which, and what follows.

import { h } from "../dom.js";
import * as format from "../format.js";
import { stateLabel } from "../icons.js";
import { open } from "./dialog.js";

const SHOWN = 6;

/** Ask in a dialog; return whether the user agrees. `jobs` or `where` says which; `keep` is the label of the way out. */
export function confirm({ title, label, keep, text, jobs = [], where = null }) {
  const dialog = open(title, "alertdialog");
  const no = h("button", { type: "button", autofocus: true }, keep);
  const yes = h("button", { type: "button", class: "danger" }, label);
  const details = h("div", { id: "dialog-details" }, where ? h("p", {}, format.sentence(where)) : null, list(jobs), h("p", { class: "dim" }, text));
  dialog.setAttribute("aria-describedby", details.id);
  dialog.append(details, h("div", { class: "buttons" }, no, yes));
  return new Promise((resolve) => {
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => dialog.close("yes"));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    dialog.showModal();
  });
}

function list(jobs) {
  if (jobs.length === 0) return null;
  const rest = jobs.length - SHOWN;
  return h("ul", { class: "chosen" },
    jobs.slice(0, SHOWN).map((job) => h("li", {}, h("code", {}, job.shortId), " ", job.queue, " ", stateLabel(job.state))),
    rest > 0 ? h("li", { class: "dim" }, `and ${format.count(rest, "more job")}`) : null);
}
