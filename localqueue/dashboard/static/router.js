// Name every screen by its address, each part optional:
//   #/queues/NAMESPACE/QUEUE/jobs/ID?state=failed&id=3ed5 or &q=TEXT, or #/namespaces/NAMESPACE/...

import { STATES } from "./icons.js";

/** Return what an address shows: {namespace, queue, job, state, id, q}, each null where it is not named. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?");
  const parts = path.split("/").map(decoded);
  const scope = parts.splice(0, { queues: 3, namespaces: 2 }[parts[0]] ?? 0);
  const parameters = new URLSearchParams(query);
  const state = parameters.get("state");
  return {
    namespace: scope[1] || null,
    queue: scope[2] || null,
    job: (parts[0] === "jobs" && parts[1]) || null,
    state: STATES.includes(state) ? state : null,
    id: parameters.get("id") || null,
    q: parameters.get("q") || null,
  };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Return the address of a screen. */
export function href({ namespace, queue, job, state, id, q }) {
  const scope = queue ? ["queues", namespace, queue] : namespace ? ["namespaces", namespace] : [];
  const named = [...scope, ...(job ? ["jobs", job] : [])];
  const query = new URLSearchParams(Object.entries({ state, id, q }).filter(([, value]) => value));
  return `#/${named.map(encodeURIComponent).join("/")}${query.size ? `?${query}` : ""}`;
}

/** Go to a screen; `replace` leaves no step for the back button. */
export function go(route, { replace = false } = {}) {
  if (replace) location.replace(href(route));
  else location.hash = href(route);
}
