// Show the dialogs: a new job, a replay, and the help.

import * as api from "../api.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { stateLabel } from "../icons.js";
import { isJson, prettyText } from "../json.js";
import { KEYS } from "../keymap.js";
import { fail, toast } from "../toasts.js";
import * as router from "../router.js";
import { state } from "../state.js";
import { open } from "./dialog.js";

const EDITED_AT_ONCE = 100_000; // characters; a larger payload is put into a field only when somebody asks for it
const MEANINGS = {
  queued: "due, waiting for a free slot",
  running: "an attempt is running",
  retrying: "the last attempt failed; the next one has a due time",
  failed: "all attempts failed; you can retry it",
  completed: "the handler responded 2xx",
  cancelled: "cancelled by hand",
};

/** Ask for a new job; the form starts with the payload of the queue's latest job. */
export async function enqueue({ namespace, queue }) {
  const declared = state.queues ?? (await api.get("queues")).queues; // asked for before they are known
  const queues = declared.filter((known) => known.held !== "queue_missing");
  if (queues.length === 0) throw new Error("No queues yet. Declare one under spec.queues in a catalog.");
  const first = queues.find((known) => known.namespace === namespace && known.name === queue) ?? queues[0];
  const choice = h("select", { id: "new-queue", name: "queue" }, queues.map((known, at) =>
    h("option", { value: at, selected: known === first }, queues.some((other) => other.namespace !== known.namespace) ? `${known.namespace} / ${known.name}` : known.name)));
  const chosen = () => queues[Number(choice.value)];
  const editor = payloadEditor(await template(first));
  let untouched = editor.area.value;
  choice.addEventListener("change", async () => {
    if (editor.area.value !== untouched) return;
    editor.fill(prettyText(await template(chosen())));
    untouched = editor.area.value;
    editor.check();
  });
  form("Enqueue a job", [h("label", { for: "new-queue" }, "Queue"), choice, editor.view, curlLine(editor, choice, chosen)], "Enqueue", editor, async () => {
    const { namespace: to, name } = chosen();
    const { id } = await api.enqueue(to, name, editor.area.value);
    toast(`Enqueued ${id.slice(-8)}`);
    router.go({ ...state.route, job: id });
  });
}

/** Ask for the payload of a replay; an unchanged payload is sent byte for byte. */
export async function replay(id) {
  const [job, text] = await Promise.all([api.get(api.jobPath(id)), api.getText(api.jobPath(id, "/data"))]);
  const editor = payloadEditor(text);
  const intro = h("p", { class: "dim" }, `Creates a new job in ${job.queue}, linked to ${job.shortId}. The original isn't changed.`);
  form(`Replay ${job.shortId}`, [intro, editor.view], "Replay", editor, async () => {
    const made = await api.post(api.jobPath(id, "/replay"), editor.isEdited() ? `{"data":${editor.area.value}}` : "{}");
    toast(`Replayed as ${made.shortId}`);
    router.go({ ...state.route, job: made.id });
  });
}

async function template({ namespace, name }) {
  const { jobs } = await api.get(`jobs?${new URLSearchParams({ namespace, queue: name, limit: 1 })}`);
  const isSmall = jobs.length > 0 && jobs[0].preview !== null;
  return isSmall ? api.getText(api.jobPath(jobs[0].id, "/data")) : "{\n  \n}";
}

/** Return a field for a payload: {area, check, isEdited, focus, view}. */
function payloadEditor(text) {
  const area = h("textarea", { id: "payload", rows: 12, spellcheck: "false", autocapitalize: "off", "aria-describedby": "payload-problem" });
  const problem = h("p", { id: "payload-problem", class: "problem", role: "status" });
  const label = h("label", { for: "payload" }, "Payload (JSON)");
  const field = h("div", {}, label, area, problem);
  let before = "";
  const fill = (shown) => {
    area.value = shown;
    before = area.value;
  };
  const check = () => {
    const isGood = !field.isConnected || isJson(area.value);
    problem.textContent = isGood ? "" : problemOf(area.value);
    area.setAttribute("aria-invalid", String(!isGood));
    return isGood;
  };
  area.addEventListener("input", check);
  const isLarge = text.length > EDITED_AT_ONCE;
  if (!isLarge) fill(prettyText(text));
  const view = isLarge ? onRequest(text, field, () => fill(text)) : field;
  const focus = () => {
    if (!field.isConnected) return;
    area.focus();
    area.setSelectionRange(0, 0);
  };
  return { area, fill, check, focus, view, isEdited: () => field.isConnected && area.value !== before };
}

/** Return a button that is replaced by the field. */
function onRequest(text, field, fill) {
  const edit = h("button", { type: "button" }, "Edit the payload");
  const place = h("div", {}, h("p", {}, `The payload (${format.size(new Blob([text]).size)}) is sent byte for byte. `), edit);
  edit.addEventListener("click", () => {
    place.replaceChildren(field);
    fill();
    field.querySelector("textarea").focus();
  });
  return place;
}

function problemOf(text) {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return `Invalid JSON: ${error.message}`;
  }
}

function curlLine(editor, choice, chosen) {
  const code = h("code", {});
  const details = h("details", {}, h("summary", {}, "Equivalent curl command"), h("pre", { tabindex: 0 }, code));
  const write = () => {
    if (!details.open) return;
    const { namespace, name } = chosen();
    const body = `{"namespace":${JSON.stringify(namespace)},"queue":${JSON.stringify(name)},"data":${editor.area.value}}`;
    code.textContent = `curl -H 'Content-Type: application/json' ${api.QUEUE_URL}/jobs -d '${body.replaceAll("'", "'\\''")}'`;
  };
  details.addEventListener("toggle", write);
  editor.area.addEventListener("input", write);
  choice.addEventListener("change", () => setTimeout(write, 200));
  return details;
}

/** Show a form in a dialog; Ctrl+Enter submits it. */
function form(title, content, label, editor, send) {
  const dialog = open(title);
  const submit = h("button", { class: "primary" }, label);
  const cancel = h("button", { type: "button" }, "Cancel");
  const body = h("form", {}, content, h("div", { class: "buttons" }, h("span", { class: "dim" }, "Ctrl+Enter"), cancel, submit));
  cancel.addEventListener("click", () => dialog.close());
  body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) body.requestSubmit();
  });
  body.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    if (!editor.check()) return editor.area.focus();
    submit.disabled = true;
    try {
      await send();
      dialog.close();
    } catch (error) {
      fail(error);
    } finally {
      submit.disabled = false;
    }
  });
  dialog.append(body);
  dialog.showModal();
  editor.focus();
}

/** Show the keyboard shortcuts, and the meaning of the icons. */
export function help() {
  const dialog = open("Keyboard shortcuts and states");
  const close = h("button", { type: "button", class: "primary" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.append(
    h("dl", { class: "keys" }, KEYS.map(([key, meaning]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, meaning)])),
    h("dl", { class: "legend" }, Object.entries(MEANINGS).map(([name, meaning]) => [h("dt", {}, stateLabel(name)), h("dd", {}, meaning)])),
    h("p", { class: "dim" }, `${format.isUtc() ? "Times are UTC" : "Times are local"}. localqueue ${state.version}.`),
    h("div", { class: "buttons" }, close));
  dialog.showModal();
}
