// Name every screen by its address: #/queues/NAMESPACE/QUEUE/jobs/ID?state=failed, each part optional.

import { STATES } from "./glyphs.js";

/** Return what an address shows: {namespace, queue, job, state}, each null where it is not named. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?");
  const parts = path.split("/").map(decoded);
  const route = { namespace: null, queue: null, job: null, state: null };
  if (parts[0] === "queues") [route.namespace, route.queue] = parts.splice(0, 3).slice(1);
  if (parts[0] === "jobs") route.job = parts[1] || null;
  const state = new URLSearchParams(query).get("state");
  return { ...route, queue: route.queue ?? null, state: STATES.includes(state) ? state : null };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Return the address of a screen. */
export function href({ namespace, queue, job, state }) {
  const named = [
    ...(namespace && queue ? ["queues", namespace, queue] : []),
    ...(job ? ["jobs", job] : []),
  ];
  return `#/${named.map(encodeURIComponent).join("/")}${state ? `?state=${state}` : ""}`;
}

/** Go to a screen; `replace` leaves no step for the back button. */
export function go(route, { replace = false } = {}) {
  if (replace) location.replace(href(route));
  else location.hash = href(route);
}
