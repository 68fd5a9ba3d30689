// The front and the worker that a team would write around BullMQ: the same POST /jobs, the same deliveries.
// One process, keep-alive connections, node:http on both sides (faster than fetch).
import http from "node:http";
import { Queue, Worker } from "bullmq";

const told = JSON.parse(process.argv[2]);
const connection = { host: "127.0.0.1", port: told.redis };
const agent = new http.Agent({ keepAlive: true });
const options = { attempts: told.retries + 1, backoff: { type: "fixed", delay: told.retryDelayMs } };
const defaultJobOptions = { ...options, removeOnComplete: { count: 10_000 }, removeOnFail: { count: 10_000 } };

const deliver = (queue) => (job) =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify({ jobId: job.id, queue, attempt: job.attemptsMade + 1, data: job.data });
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    const sent = http.request(`${told.target}/${queue}`, { method: "POST", agent, headers }, (answer) => {
      answer.resume();
      answer.on("end", () => (answer.statusCode < 300 ? resolve() : reject(new Error(`status ${answer.statusCode}`))));
    });
    sent.on("error", reject);
    sent.end(body);
  });

const queues = Object.fromEntries(told.queues.map((name) => [name, new Queue(name, { connection, defaultJobOptions })]));
const workers = told.queues.map((name) => new Worker(name, deliver(name), { connection, concurrency: told.concurrency }));

const front = http.createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (chunk) => (text += chunk));
  request.on("end", async () => {
    const { queue, data } = JSON.parse(text);
    const job = await queues[queue].add("job", data);
    const body = JSON.stringify({ id: job.id });
    response.writeHead(201, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
    response.end(body);
  });
});
await Promise.all(workers.map((worker) => worker.waitUntilReady()));
front.listen(0, "127.0.0.1", 4096, () => console.log(JSON.stringify({ port: front.address().port })));
