import assert from "node:assert/strict";
import { startLocalQueue } from "localqueue/test";
const catalog = {
  metadata: { name: "shop" },
  spec: {
    queues: [{ name: "work", endpoint: "/work", retries: 1 }, { name: "other", endpoint: "/other" }],
    schedules: [{ name: "nightly", cron: "0 2 * * *", endpoint: "/nightly" }],
  },
};

await assert.rejects(startLocalQueue({ catlog: catalog }), /unknown key "catlog"; known: catalog, clock, target, options/);
process.env.SERVICE_NAMESPACE = "before";
const queue = await startLocalQueue({ catalog, options: { seed: 42, keep: 100 }, target: "http://localhost:9" });
assert.deepEqual(queue.env, { IEC_QUEUE_URL: queue.url, SERVICE_NAMESPACE: "shop" });
assert.equal(process.env.IEC_QUEUE_URL, queue.url);
await queue.configure("work", { retryDelayMs: 100 });
queue.stub("work").replies(503, 200);
const job = await queue.enqueue("work", { number: 1, list: [1, { deep: true }] });
const [first] = await queue.step();
assert.equal(first.status, 503);
assert.equal((await queue.job(job)).state, "retrying");
assert.equal((await queue.advance("99ms")).length, 0);
assert.equal((await queue.advance("next")).length, 1);
assert.equal((await queue.advance(new Date("2026-01-02T00:00:00Z"))).length, 0);
await queue.assertEnqueued("work", { dataContains: { list: [1, { deep: true }] } });
await assert.rejects(queue.assertEnqueued("work", { data: { number: 2 } }), /expected a job in work with data {"number":2}, got 0/);
await assert.rejects(queue.assertEnqueued("wrok"), /unknown queue "wrok"; declared: /);
await assert.rejects(queue.advance("5 weeks"), /isn't a duration/);
await queue.enqueue("other");
await queue.configure("other", { retries: 0 });
await assert.rejects(queue.drain({ queue: "nothing" }), /unknown queue/);
await queue.drain();
assert.equal((await queue.jobs({ state: "failed" })).length, 1);
queue.stub("work").replies("nonsense");
await assert.rejects(queue.ledger(), /nonsense/);
await queue.reset();
assert.equal(await queue.ledger(), "");
assert.equal((await queue.trigger("nightly")).outcome, "connection_error");
await queue.close();
assert.equal(process.env.SERVICE_NAMESPACE, "before");
assert.equal(process.env.IEC_QUEUE_URL, undefined);
await assert.rejects(queue.ledger(), /doesn't respond/);
console.log("done");
