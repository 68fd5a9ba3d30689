import assert from "node:assert/strict";
import { startLocalQueue } from "localqueue/test";
const catalog = {
  metadata: { name: "shop" },
  spec: {
    queues: [{ name: "work", endpoint: "/work", retries: 1 }, { name: "other", endpoint: "/other" }],
    schedules: [{ name: "nightly", cron: "0 2 * * *", endpoint: "/nightly" }],
  },
};

import http from "node:http";
const silent = http.createServer(() => {}).listen(0);
const target = `http://localhost:${silent.address().port}`;
const queue = await startLocalQueue({ catalog, target, options: { grace: 0 } });
await queue.enqueue("work");
const drain = () => queue.drain({ timeout: "200ms" }).then(() => "all are finished", (error) => error.message);
let message = await drain();
while (/ queued/.test(message)) message = await drain(); // on a stalled machine, the attempt starts later
assert.match(message, /1 unfinished jobs after 200ms:\n  work [0-9a-f]{8} running, attempt 1\/2/);
await queue.close();
silent.closeAllConnections();
silent.close();
