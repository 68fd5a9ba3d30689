// Merge the failures of several queues that have the same cause.

/** Return the causes, most jobs first: {key, status, summary, pattern, count, lastAt, queues: [{namespace, queue, count}]}. */
export function mergeCauses(failures) {
  const causes = new Map();
  for (const { namespace, queue, status, cause, summary, pattern, count, lastAt } of failures) {
    const key = `${status} ${cause}`;
    const found = causes.get(key) ?? { key, status, summary, pattern, count: 0, lastAt, queues: [] };
    found.count += count;
    found.lastAt = lastAt > found.lastAt ? lastAt : found.lastAt;
    found.queues.push({ namespace, queue, count });
    causes.set(key, found);
  }
  return [...causes.values()].sort((one, other) => other.count - one.count);
}
