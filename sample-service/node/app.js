// A claims service that gives its work to the queue. Run it with `npm start`.
import express from "express";

const QUEUE_URL = process.env.IEC_QUEUE_URL ?? "http://localhost:4327";
const NAMESPACE = process.env.SERVICE_NAMESPACE ?? "claims-service";
const AUDIT_URL = process.env.AUDIT_URL;
const PORT = Number(process.env.PORT ?? 3000);
const REMEMBERED = 10_000;

const done = new Set(); // ids of finished jobs: a job may come more than once
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

// Remember that a job is done, so that its next delivery does nothing.
function finish(jobId) {
  done.add(jobId);
  if (done.size > REMEMBERED) done.delete(done.values().next().value);
}

function claim(claimId) {
  if (!claims.has(claimId)) claims.set(claimId, { claimId, processed: 0, scored: 0 });
  return claims.get(claimId);
}

const app = express();
app.use(express.json({ limit: "2mb" }));

// What other programs call

app.post("/claims", async (request, response) => {
  const { claimId, amount } = request.body;
  response.status(202).json({ jobId: await enqueue("process-claim", { claimId, amount }) });
});

app.post("/claims/batch", async (request, response) => {
  response.status(202).json({ jobId: await enqueue("import-claims", request.body) });
});

app.get("/claims", (_request, response) => response.json({ claims: [...claims.values()] }));
app.get("/health", (_request, response) => response.json({ status: "ok" }));

// What the queue calls

app.post("/internal/jobs/process-claim", async (request, response) => {
  const { jobId, data } = request.body;
  if (done.has(jobId)) return response.json({ status: "already done" });
  await enqueue("score-claim", { claimId: data.claimId });
  claim(data.claimId).processed += 1;
  finish(jobId);
  response.json({ status: "done" });
  audit({ processed: jobId }); // not awaited: fire and forget
});

app.post("/internal/jobs/score-claim", (request, response) => {
  const { jobId, attempt, data } = request.body;
  const number = Number(data.claimId.split("-").at(-1));
  if (number % 3 === 0 && attempt === 1) {
    return response.status(500).json({ error: "the scoring model is busy, try again" });
  }
  if (!done.has(jobId)) {
    claim(data.claimId).scored += 1;
    finish(jobId);
  }
  response.json({ status: "done" });
});

// Answer at once and enqueue after: the fan-out pattern.
app.post("/internal/jobs/import-claims", (request, response) => {
  response.status(202).json({ status: "accepted" });
  fanOut(request.body);
});

async function fanOut(job) {
  for (const each of job.data.claims) {
    try {
      await enqueue("process-claim", each);
    } catch (error) { // nobody retries this for us: the job was answered already
      console.log(`claim ${each.claimId} of job ${job.jobId} lost: ${error.message}`);
    }
  }
}

app.use((error, _request, response, _next) => {
  const status = error instanceof QueueError ? 502 : 500;
  response.status(status).json({ error: error.message });
});

app.listen(PORT, "127.0.0.1");
