// Call the control API. Its server also serves this page, so every URL is relative.

const HOME = new URL(".", document.baseURI);

/** The URL of the event stream. */
export const EVENTS = new URL("events", HOME).href;

/** The value for `IEC_QUEUE_URL`. */
export const QUEUE_URL = location.origin;

export class ApiError extends Error {
  constructor(status, { code, message, hint }) {
    super(message);
    Object.assign(this, { status, code, hint });
  }
}

export const get = (path, signal) => call("GET", path, undefined, signal);
export const getText = (path, signal) => callText("GET", path, undefined, signal);

/** Send JSON text: payloads are never parsed and serialized again. */
export const post = (path, json = "{}") => call("POST", path, json);

export const patch = (path, json) => call("PATCH", path, json);
export const put = (path, json) => call("PUT", path, json);
export const remove = (path) => call("DELETE", path, "{}");

/** Enqueue a job through production's own route; `data` is JSON text. */
export function enqueue(namespace, queue, data) {
  const names = `"namespace":${JSON.stringify(namespace)},"queue":${JSON.stringify(queue)}`;
  return call("POST", "../jobs", `{${names},"data":${data}}`);
}

/** Return the path of a job, or of one of its resources. */
export function jobPath(id, rest = "") {
  return `jobs/${encodeURIComponent(id)}${rest}`;
}

/** Return the path of a queue, or of one of its actions. */
export function queuePath(namespace, name, action = "") {
  return `queues/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}${action && `/${action}`}`;
}

async function call(method, path, json, signal) {
  return JSON.parse(await callText(method, path, json, signal));
}

async function callText(method, path, json, signal) {
  const response = await send(method, path, json, signal);
  const text = await response.text();
  if (response.ok) return text;
  throw new ApiError(response.status, errorOf(text, response.status));
}

async function send(method, path, json, signal) {
  try {
    const headers = json === undefined ? {} : { "Content-Type": "application/json" };
    return await fetch(new URL(path, HOME), { method, headers, body: json, signal, redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const hint = "If it has stopped, start it: localqueue up";
    throw new ApiError(0, { code: "unreachable", message: "localqueue doesn't respond.", hint });
  }
}

function errorOf(text, status) {
  try {
    return JSON.parse(text).error;
  } catch {
    return { code: "unexpected", message: `localqueue responded ${status}.`, hint: "" };
  }
}
