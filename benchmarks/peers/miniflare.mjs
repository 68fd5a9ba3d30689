// Cloudflare's local queues: a worker that takes POST /jobs and one consumer per queue that posts to the service.
import { Miniflare } from "miniflare";

const told = JSON.parse(process.argv[2]);
const binding = (queue) => queue.replaceAll("-", "_");
const script = `
  const target = ${JSON.stringify(told.target)};
  const headers = { "Content-Type": "application/json" };
  export default {
    async fetch(request, env) {
      const { queue, data } = await request.json();
      await env[queue.replaceAll("-", "_")].send(data);
      return Response.json({ id: crypto.randomUUID() }, { status: 201 });
    },
    async queue(batch) {
      await Promise.all(batch.messages.map(async (message) => {
        const body = { jobId: message.id, queue: batch.queue, attempt: message.attempts, data: message.body };
        const answer = await fetch(target + "/" + batch.queue, { method: "POST", headers, body: JSON.stringify(body) });
        await answer.arrayBuffer();
        answer.ok ? message.ack() : message.retry({ delaySeconds: ${told.retryDelayMs / 1000} });
      }));
    },
  };
`;
const each = (make) => Object.fromEntries(told.queues.map(make));
const server = new Miniflare({
  modules: true,
  script,
  compatibilityDate: "2025-01-01",
  queueProducers: each((name) => [binding(name), { queueName: name }]),
  queueConsumers: each((name) => [name, { maxBatchSize: told.concurrency, maxBatchTimeout: 0, maxRetries: told.retries }]),
});
const url = await server.ready;
console.log(JSON.stringify({ port: Number(url.port) }));
