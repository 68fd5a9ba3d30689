// Draw the bar above the rows: how many are selected, and what can be done with them.

import { h } from "../dom.js";
import * as format from "../format.js";
import * as selection from "../selection.js";
import { state } from "../state.js";
import { button, checkbox } from "./controls.js";

/** Return the bar, or null where there are no rows. */
export function view() {
  const { jobs } = state.list;
  if (jobs.length === 0) return null;
  const count = selection.count();
  const isEvery = selection.isAll() || count === jobs.length;
  return h("div", { class: "selection", role: "group", "aria-label": "Selected jobs", "data-key": "selection" },
    checkbox("Select the jobs on the page", isEvery, "pickRows", {}, { isMixed: count > 0 && !isEvery }),
    h("span", { class: "dim", role: "status" }, summary(count)),
    h("span", { class: "buttons" }, Object.entries(selection.ACTIONS).map(([action, states]) => actionButton(action, selection.count(states))), pickAll(count), count ? button("Clear", "pickNone", {}, { kind: "quiet", title: "Clear the selection (Esc)" }) : null));
}

function summary(count) {
  if (selection.isAll()) return `All ${format.number(count)} that match selected`;
  if (count) return `${format.number(count)} selected`;
  const [shown, matching] = [state.list.jobs.length, selection.matching()];
  return matching === null || matching <= shown ? format.count(shown, "job") : `${format.number(shown)} of ${format.count(matching, "job")}`;
}

function actionButton(action, count) {
  if (count === 0) return null;
  const dots = action === "retry" ? "" : "…";
  return button(`${format.capital(action)} ${format.number(count)}${dots}`, "onSelection", { action });
}

/** Return the button that selects jobs which aren't on the page, too. */
function pickAll(count) {
  if (count === 0 || selection.isAll() || !selection.hasMore()) return null;
  const matching = selection.matching();
  return button(matching === null ? "Select all that match" : `Select all ${format.number(matching)} that match`, "pickAll", {}, { kind: "quiet" });
}
