// Change the settings of a queue and the target of its service, and undo changes.

import * as api from "./api.js";
import { afterDrawing, state } from "./state.js";
import { toast } from "./toasts.js";

/** Open the field of a setting. */
export function edit({ namespace, queue, setting }) {
  state.editing = { namespace, queue, setting, problem: "" };
  afterDrawing(() => document.querySelector("form.edit input")?.select());
}

/** Close the field; the focus goes back to the setting. */
export function close() {
  if (state.editing === null) return;
  const { setting } = state.editing;
  state.editing = null;
  afterDrawing(() => document.querySelector(`[data-do="edit"][data-setting="${setting}"]`)?.focus());
}

/** Save what is in the field when it is submitted. */
export function listen(run) {
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form.edit")) return;
    event.preventDefault();
    run("save", { text: event.target.elements.value.value.trim() });
  });
}

/** Save a value; the one that the catalog has undoes the change. A refused value stays in the field, with the reason. */
export async function save(text) {
  const { editing } = state;
  if (editing === null) return;
  const { namespace, queue, setting } = editing;
  const value = setting !== "target" && /^\d+$/.test(text) ? Number(text) : text;
  try {
    await send(namespace, queue, setting, value === firstValue(editing) ? null : value);
  } catch (error) {
    if (error.status !== 400) throw error;
    editing.problem = error.message;
    return;
  }
  toast(`${setting} changed until reset`);
  if (state.editing === editing) close();
}

function firstValue({ namespace, queue, setting }) {
  return state.queues.find((known) => known.namespace === namespace && known.name === queue)?.changed[setting];
}

/** Undo a change. */
export async function undo({ namespace, queue, setting }) {
  await send(namespace, queue, setting, null);
  toast(`${setting} is as before`);
}

function send(namespace, queue, setting, value) {
  if (setting === "target") return api.put(`targets/${encodeURIComponent(namespace)}`, JSON.stringify({ url: value }));
  return api.patch(api.queuePath(namespace, queue), JSON.stringify({ [setting]: value }));
}
