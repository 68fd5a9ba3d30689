// A claims service that gives its work to the queue. Run it with `npm start`.
import express from "express";

const QUEUE_URL = process.env.IEC_QUEUE_URL ?? "http://localhost:4327";
const NAMESPACE = process.env.SERVICE_NAMESPACE ?? "claims-service";
const AUDIT_URL = process.env.AUDIT_URL;
const PORT = Number(process.env.PORT ?? 3000);
const REMEMBERED = 10_000;

const done = new Set(); // claimId and jobId of finished jobs
const claims = new Map();

class QueueError extends Error {}

// Give a job to the queue and return its id.
async function enqueue(queue, data) {
  let reason;
  try {
    const answer = await fetch(`${QUEUE_URL}/jobs`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ namespace: NAMESPACE, queue, data }),
    });
    const text = await answer.text();
    if (answer.status === 201) return JSON.parse(text).id;
    reason = text;
  } catch (error) {
    reason = String(error.cause ?? error);
  }
  throw new QueueError(`${queue}: ${reason}`);
}

// Tell the audit service; whatever goes wrong there must never fail a job.
async function audit(event) {
  if (!AUDIT_URL) return;
  try {
    const answer = await fetch(AUDIT_URL, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(1000),
    });
    await answer.text();
  } catch (error) {
    console.log(`audit event lost: ${error.cause ?? error}`);
  }
}

// Do the work of a claim: in a real service, one transaction that also remembers the job as done.
function processClaim(claimId, amount) {
  if (typeof amount !== "number") throw new Error(`claim ${claimId} has no amount`);
  if (!claims.has(claimId)) claims.set(claimId, { claimId, processed: 0, synced: false });
  claims.get(claimId).processed += 1;
}

const app = express();
app.use(express.json({ limit: "2mb" }));

// What other programs call

app.post("/claims", async (request, response) => {
  const { claimId, amount } = request.body;
  response.status(202).json({ jobId: await enqueue("process-claim", { claimId, amount }) });
});

app.get("/claims", (_request, response) => response.json({ claims: [...claims.values()] }));
app.get("/health", (_request, response) => response.json({ status: "ok" }));

// What the queue calls: 2xx completes a job, anything else is retried

app.post("/internal/jobs/process-claim", (request, response) => {
  const { jobId, attempt, data } = request.body;
  const { claimId, amount } = data;
  if (done.has(`${claimId} ${jobId}`)) { // a job may be delivered more than once
    return response.json({ success: true, skipped: true });
  }
  try {
    processClaim(claimId, amount);
  } catch (error) {
    console.log(`job ${jobId}, claim ${claimId}, attempt ${attempt}: ${error.message}`);
    return response.status(500).json({ success: false, error: error.message });
  }
  done.add(`${claimId} ${jobId}`);
  if (done.size > REMEMBERED) done.delete(done.values().next().value);
  response.json({ success: true });
  audit({ processed: claimId }); // not awaited: fire and forget
});

// Copy a claim to another system, which is busy now and then. A second delivery changes nothing.
app.post("/internal/jobs/sync-record", (request, response) => {
  const { attempt, data } = request.body;
  if (Number(data.claimId.split("-").at(-1)) % 3 === 0 && attempt === 1) {
    return response.status(500).json({ success: false, error: "the other system is busy" });
  }
  claims.get(data.claimId).synced = true;
  response.json({ success: true });
});

// What the schedule calls: respond first, and enqueue one job for each record afterwards (the fan-out pattern).

app.post("/internal/cron/nightly-sync", (_request, response) => {
  response.json({ success: true });
  syncAll();
});

async function syncAll() {
  const pending = [...claims.values()].filter((claim) => !claim.synced);
  await Promise.allSettled(pending.map(({ claimId }) => requestSync(claimId)));
}

async function requestSync(claimId) {
  try {
    await enqueue("sync-record", { claimId });
  } catch (error) { // the others still run; this one stays pending until the next night
    console.log(`claim ${claimId} was not enqueued: ${error.message}`);
  }
}

app.use((error, _request, response, _next) => {
  const status = error instanceof QueueError ? 502 : 500;
  response.status(status).json({ error: error.message });
});

app.listen(PORT, "127.0.0.1");
