// Call the control API; the page is served from the same place, so every address is relative to it.

const HOME = new URL(".", document.baseURI);

/** Where the stream of events is. */
export const EVENTS = new URL("events", HOME).href;

/** Where programs enqueue: `IEC_QUEUE_URL`. */
export const QUEUE_URL = location.origin;

export class ApiError extends Error {
  constructor(status, { code, message, hint }) {
    super(message);
    Object.assign(this, { status, code, hint });
  }
}

export const get = (path, signal) => call("GET", path, undefined, signal);
export const getText = (path, signal) => callText("GET", path, undefined, signal);

/** Send JSON that is text already: payloads are never parsed and written anew. */
export const post = (path, json = "{}") => call("POST", path, json);

/** Enqueue a job through production's own route; `data` is JSON text. */
export function enqueue(namespace, queue, data) {
  const names = `"namespace":${JSON.stringify(namespace)},"queue":${JSON.stringify(queue)}`;
  return call("POST", "../jobs", `{${names},"data":${data}}`);
}

/** Return the path of a job, or of something of it. */
export function jobPath(id, rest = "") {
  return `jobs/${encodeURIComponent(id)}${rest}`;
}

/** Return the path of a queue's action. */
export function queuePath(namespace, name, action) {
  return `queues/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${action}`;
}

async function call(method, path, json, signal) {
  return JSON.parse(await callText(method, path, json, signal));
}

async function callText(method, path, json, signal) {
  const answer = await reach(method, path, json, signal);
  const text = await answer.text();
  if (answer.ok) return text;
  throw new ApiError(answer.status, errorOf(text, answer.status));
}

async function reach(method, path, json, signal) {
  try {
    const headers = json === undefined ? {} : { "Content-Type": "application/json" };
    return await fetch(new URL(path, HOME), { method, headers, body: json, signal, redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const hint = "Is it still running? Start it with: localqueue up";
    throw new ApiError(0, { code: "unreachable", message: "localqueue does not answer.", hint });
  }
}

function errorOf(text, status) {
  try {
    return JSON.parse(text).error;
  } catch {
    return { code: "unexpected", message: `localqueue answered ${status}.`, hint: "" };
  }
}
