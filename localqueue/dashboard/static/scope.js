// Tell which queues and jobs the address selects.

import { state } from "./state.js";

const FILTERS = ["namespace", "queue", "state", "id", "q"];

/** Return the part of an address that selects jobs, under the names of the control API: {namespace, queue, state, id, q}. */
export function filterOf(route) {
  return Object.fromEntries(FILTERS.map((name) => [name, route[name]]).filter(([, value]) => value !== null));
}

/** Return whether two addresses show the same list. */
export function isSameList(one, other) {
  return FILTERS.every((name) => one[name] === other[name]);
}

/** Return whether the list shows only jobs that were searched for: then the counts of queues don't tell how many. */
export function isSearch() {
  return state.route.id !== null || state.route.q !== null;
}

/** Return the number of jobs in a state, in the namespace or the queue that is shown. */
export function total(name) {
  const { namespace, queue } = state.route;
  const shown = (state.queues ?? []).filter((known) => (namespace === null || known.namespace === namespace) && (queue === null || known.name === queue));
  return shown.reduce((sum, known) => sum + known.counts[name], 0);
}

/** Return whether another namespace in view has a queue of the same name. */
export function isAmbiguous({ namespace, queue }) {
  return state.route.namespace === null && (state.queues ?? []).some((known) => known.name === queue && known.namespace !== namespace);
}
