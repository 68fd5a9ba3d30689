import assert from "node:assert/strict";
import express from "express";
import { startLocalQueue } from "localqueue/test";
import { imports, requestImport } from "./imports.js";
import { letters, requestLetter, sent } from "./letters.js";
import { charges, orders, placeOrder, receipts } from "./orders.js";
import { photos, requestResize, resized } from "./photos.js";
import { enqueue } from "./queue.js";

const app = express().use(express.json(), letters, photos, imports, orders);
const server = await new Promise((ready) => {
  const listening = app.listen(0, () => ready(listening));
});
const target = `http://localhost:${server.address().port}`;
const queue = await startLocalQueue({ catalog: "catalog-info.yaml", target, options: { "deliver-twice": true } });

queue.stub("send-letter").replies("lost-ack");
await requestLetter(7);
await enqueue("send-letter", { claimId: null });
queue.stub("resize-photo").replies(503);
await requestResize("p-7");
await queue.drain();
assert.deepEqual(sent, [7]);
assert.deepEqual(resized[0], { photo: "p-7", isRetry: true });
assert.match(await queue.ledger(), /send-letter#1 +1\/4 +connection_error lost_ack \(injected\) +next \+5\.000s/);
assert.match(await queue.ledger(), /resize-photo#1 +1\/10 +http_error 503 \(injected\) +next \+10\.000s/);

await queue.reset();
queue.stub("import-claims").replies("lost-ack"); // the second attempt enqueues all letters again
await requestImport([8, 9]);
queue.stub("charge-customer").replies("lost-ack", 429);
queue.stub("send-receipt").replies("timeout");
await placeOrder("o-1");
await queue.drain();
assert.deepEqual(sent, [7, 8, 9]);
assert.ok((await queue.jobs({ queue: "send-letter" })).length >= 4);
assert.deepEqual([charges, receipts], [["o-1"], ["r-o-1"]]);
assert.equal((await queue.jobs({ state: "completed" })).length, (await queue.jobs()).length);

const body = { namespace: "claims", queue: "send-letter", data: 1, delay: 5000, priority: 1 };
const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
const ids = [];
for (let number = 0; number < 2; number++) {
  const response = await fetch(`${process.env.IEC_QUEUE_URL}/jobs`, request);
  assert.equal(response.status, 201);
  ids.push((await response.json()).id);
}
assert.notEqual(ids[0], ids[1]);
await assert.rejects(enqueue("send-leter", {}), /unknown queue/);
await queue.close();
server.close();
console.log("done");
