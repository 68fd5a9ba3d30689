"""A claims service that gives its work to the queue. Run it with `python app.py`."""

import os
from collections import OrderedDict

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

QUEUE_URL = os.environ.get("IEC_QUEUE_URL", "http://localhost:4327")
NAMESPACE = os.environ.get("SERVICE_NAMESPACE", "claims-service")
AUDIT_URL = os.environ.get("AUDIT_URL")
PORT = int(os.environ.get("PORT", "3000"))
REMEMBERED = 10_000

client = httpx.AsyncClient(timeout=10, trust_env=False)
done: OrderedDict[str, None] = OrderedDict()  # ids of finished jobs: a job may come more than once
claims: dict[str, dict] = {}


class QueueError(Exception):
    """The queue did not accept a job."""


async def enqueue(queue: str, data: object) -> str:
    """Give a job to the queue and return its id."""
    job = {"namespace": NAMESPACE, "queue": queue, "data": data}
    try:
        answer = await client.post(f"{QUEUE_URL}/jobs", json=job)
        if answer.status_code == 201:
            return answer.json()["id"]
        reason = answer.text
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
    raise QueueError(f"{queue}: {reason}")


async def audit(event: dict) -> None:
    """Tell the audit service; whatever goes wrong there must never fail a job."""
    if AUDIT_URL is None:
        return
    try:
        await client.post(AUDIT_URL, json=event, timeout=1)
    except Exception as error:
        print(f"audit event lost: {error!r}", flush=True)


def finish(job_id: str) -> None:
    """Remember that a job is done, so that its next delivery does nothing."""
    done[job_id] = None
    while len(done) > REMEMBERED:
        done.popitem(last=False)


def claim(claim_id: str) -> dict:
    return claims.setdefault(claim_id, {"claimId": claim_id, "processed": 0, "scored": 0})


# What other programs call


async def submit_claim(request: Request) -> JSONResponse:
    body = await request.json()
    job_id = await enqueue("process-claim", {"claimId": body["claimId"], "amount": body["amount"]})
    return JSONResponse({"jobId": job_id}, 202)


async def submit_batch(request: Request) -> JSONResponse:
    body = await request.json()
    return JSONResponse({"jobId": await enqueue("import-claims", body)}, 202)


async def list_claims(_: Request) -> JSONResponse:
    return JSONResponse({"claims": list(claims.values())})


async def health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


# What the queue calls


async def process_claim(request: Request) -> JSONResponse:
    job = await request.json()
    if job["jobId"] in done:
        return JSONResponse({"status": "already done"})
    await enqueue("score-claim", {"claimId": job["data"]["claimId"]})
    claim(job["data"]["claimId"])["processed"] += 1
    finish(job["jobId"])
    return JSONResponse({"status": "done"}, background=BackgroundTask(audit, {"processed": job["jobId"]}))


async def score_claim(request: Request) -> JSONResponse:
    job = await request.json()
    number = int(job["data"]["claimId"].split("-")[-1])
    if number % 3 == 0 and job["attempt"] == 1:
        return JSONResponse({"error": "the scoring model is busy, try again"}, 500)
    if job["jobId"] not in done:
        claim(job["data"]["claimId"])["scored"] += 1
        finish(job["jobId"])
    return JSONResponse({"status": "done"})


async def import_claims(request: Request) -> JSONResponse:
    """Answer at once and enqueue after: the fan-out pattern."""
    job = await request.json()
    return JSONResponse({"status": "accepted"}, 202, background=BackgroundTask(fan_out, job))


async def fan_out(job: dict) -> None:
    for each in job["data"]["claims"]:
        try:
            await enqueue("process-claim", each)
        except QueueError as error:  # nobody retries this for us: the job was answered already
            print(f"claim {each['claimId']} of job {job['jobId']} lost: {error}", flush=True)


async def queue_error(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 502)


app = Starlette(
    routes=[
        Route("/claims", submit_claim, methods=["POST"]),
        Route("/claims", list_claims, methods=["GET"]),
        Route("/claims/batch", submit_batch, methods=["POST"]),
        Route("/health", health),
        Route("/internal/jobs/process-claim", process_claim, methods=["POST"]),
        Route("/internal/jobs/score-claim", score_claim, methods=["POST"]),
        Route("/internal/jobs/import-claims", import_claims, methods=["POST"]),
    ],
    exception_handlers={QueueError: queue_error},
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
