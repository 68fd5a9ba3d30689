// Name every screen by its address: #/queues/NAMESPACE/QUEUE/jobs/ID?state=failed&id=3ed5, each part optional.

import { STATES } from "./glyphs.js";

/** Return what an address shows: {namespace, queue, job, state, id}, each null where it is not named. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?");
  const parts = path.split("/").map(decoded);
  const route = { namespace: null, queue: null, job: null, state: null, id: null };
  if (parts[0] === "queues") [route.namespace, route.queue] = parts.splice(0, 3).slice(1);
  if (parts[0] === "jobs") route.job = parts[1] || null;
  const given = new URLSearchParams(query);
  const state = given.get("state");
  return { ...route, queue: route.queue ?? null, state: STATES.includes(state) ? state : null, id: given.get("id") || null };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Return the address of a screen. */
export function href({ namespace, queue, job, state, id }) {
  const named = [
    ...(namespace && queue ? ["queues", namespace, queue] : []),
    ...(job ? ["jobs", job] : []),
  ];
  const query = new URLSearchParams(Object.entries({ state, id }).filter(([, value]) => value));
  return `#/${named.map(encodeURIComponent).join("/")}${query.size ? `?${query}` : ""}`;
}

/** Go to a screen; `replace` leaves no step for the back button. */
export function go(route, { replace = false } = {}) {
  if (replace) location.replace(href(route));
  else location.hash = href(route);
}
