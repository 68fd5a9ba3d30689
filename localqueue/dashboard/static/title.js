// Show in the title and in the icon of the tab how many jobs have failed, also while nobody looks at the tab.

import { state } from "./state.js";

const MOST = 9; // a larger number doesn't fit into the icon

/** Update the title and the icon. */
export function update() {
  const failed = (state.queues ?? []).reduce((sum, queue) => sum + queue.counts.failed, 0);
  const name = state.open?.job ? `${state.open.job.queue} ${state.open.job.shortId}` : state.route.queue;
  document.title = `${failed ? `(${failed} failed) ` : ""}${name ? `${name} · ` : ""}localqueue`;
  const icon = document.querySelector("link[rel=icon]");
  const href = failed ? `static/icon_failed_${failed > MOST ? "more" : failed}.svg` : "static/icon.svg";
  if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
}
