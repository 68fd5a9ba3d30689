import assert from "node:assert/strict";
import { startLocalQueue } from "localqueue/test";
const catalog = {
  metadata: { name: "shop" },
  spec: {
    queues: [{ name: "work", endpoint: "/work", retries: 1 }, { name: "other", endpoint: "/other" }],
    schedules: [{ name: "nightly", cron: "0 2 * * *", endpoint: "/nightly" }],
  },
};

await assert.rejects(startLocalQueue({ catalog: { metadata: { name: "x" }, spec: { queues: [{}] } } }), /missing_name/);
await assert.rejects(startLocalQueue({ catalog: "missing.yaml" }), /can't be read/);
const queue = await startLocalQueue({ catalog });
await queue.enqueue("work");
console.log((await (await fetch(`${queue.url}/_localqueue/status`)).json()).pid);
