const fs = require("node:fs");
const path = require("node:path");
const { startLocalQueue } = require("localqueue/test");

test("a queue that is not closed", async () => {
  const queue = await startLocalQueue({ catalog: path.join(__dirname, "catalog-info.yaml") });
  const response = await fetch(`${queue.url}/_localqueue/status`);
  fs.writeFileSync(`${__filename}.pid`, String((await response.json()).pid));
});
