// Write a job as a command for the shell: its delivery with curl, or `localqueue enqueue`.

/** Return the delivery of an attempt: it calls the handler, not the queue. */
export function asCurlCommand(job, attempt, data) {
  const head = JSON.stringify({ jobId: job.id, queue: job.queue, attempt: attempt.number });
  const body = `${head.slice(0, -1)},"data":${data}}`;
  return `curl -i -X POST ${quoted(attempt.request.url)} -H 'Content-Type: application/json' --data-binary ${quoted(body)}`;
}

/** Return the command that enqueues the same payload again. */
export function asEnqueue(job, data) {
  return `localqueue enqueue ${quoted(`${job.namespace}/${job.queue}`)} ${quoted(data)}`;
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
