// firebase-tools' emulator of Cloud Tasks, on its own: its class in a process, its limit of dispatches a second off.
const { TasksEmulator } = require("firebase-tools/lib/emulator/tasksEmulator");

const told = JSON.parse(process.argv[2]);
const url = `http://127.0.0.1:${told.port}/projects/bench/locations/here/queues`;
const config = {
  rateLimits: { maxConcurrentDispatches: told.concurrency, maxDispatchesPerSecond: 1e9 },
  retryConfig: { maxAttempts: told.retries, minBackoffSeconds: told.retryDelayMs / 1000, maxDoublings: 0 },
};

(async () => {
  await new TasksEmulator({ host: "127.0.0.1", port: told.port }).start();
  for (const name of told.queues) {
    const body = JSON.stringify(config);
    const answer = await fetch(`${url}/${name}`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (!answer.ok) throw new Error(`can't create the queue ${name}: ${answer.status}`);
  }
  console.log(JSON.stringify({ port: told.port }));
})();
