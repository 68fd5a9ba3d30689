// Merge the failures of several queues that have the same cause.

/** Return the causes, most jobs first: {key, status, summary, pattern, count, lastAt, queues: [{namespace, queue, count}]}. */
export function mergeCauses(failures) {
  const causes = new Map();
  for (const { namespace, queue, status, cause, summary, pattern, count, lastAt } of failures) {
    const key = `${status} ${cause}`;
    const merged = causes.get(key) ?? { key, status, summary, pattern, count: 0, lastAt, queues: [] };
    merged.count += count;
    merged.lastAt = lastAt > merged.lastAt ? lastAt : merged.lastAt;
    merged.queues.push({ namespace, queue, count });
    causes.set(key, merged);
  }
  return [...causes.values()].sort((one, other) => other.count - one.count);
}
