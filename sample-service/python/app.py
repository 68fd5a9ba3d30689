"""A claims service that gives its work to the queue. Run it with `python app.py`."""

import asyncio
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
done: OrderedDict[tuple[str, str], None] = OrderedDict()  # (claimId, jobId) of finished jobs
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


def process(claim_id: str, amount: float) -> None:
    """Do the work of a claim: in a real service, one transaction that also remembers the job as done."""
    if not isinstance(amount, int | float):
        raise ValueError(f"claim {claim_id} has no amount")
    claim = claims.setdefault(claim_id, {"claimId": claim_id, "processed": 0, "synced": False})
    claim["processed"] += 1


# What other programs call


async def submit_claim(request: Request) -> JSONResponse:
    body = await request.json()
    job_id = await enqueue("process-claim", {"claimId": body["claimId"], "amount": body.get("amount")})
    return JSONResponse({"jobId": job_id}, 202)


async def list_claims(_: Request) -> JSONResponse:
    return JSONResponse({"claims": list(claims.values())})


async def health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


# What the queue calls: 2xx completes a job, anything else is retried


async def process_claim(request: Request) -> JSONResponse:
    job = await request.json()
    claim_id, amount = job["data"]["claimId"], job["data"].get("amount")
    if (claim_id, job["jobId"]) in done:  # a job may be delivered more than once
        return JSONResponse({"success": True, "skipped": True})
    try:
        process(claim_id, amount)
    except Exception as error:
        print(f"job {job['jobId']}, claim {claim_id}, attempt {job['attempt']}: {error}", flush=True)
        return JSONResponse({"success": False, "error": str(error)}, 500)
    done[claim_id, job["jobId"]] = None
    if len(done) > REMEMBERED:
        done.popitem(last=False)
    return JSONResponse({"success": True}, background=BackgroundTask(audit, {"processed": claim_id}))


async def sync_record(request: Request) -> JSONResponse:
    """Copy a claim to another system, which is busy now and then. A second delivery changes nothing."""
    job = await request.json()
    claim_id = job["data"]["claimId"]
    if int(claim_id.split("-")[-1]) % 3 == 0 and job["attempt"] == 1:
        return JSONResponse({"success": False, "error": "the other system is busy"}, 500)
    claims[claim_id]["synced"] = True
    return JSONResponse({"success": True})


# What the schedule calls


async def nightly_sync(_: Request) -> JSONResponse:
    """Respond first, and enqueue one job for each record afterwards: the fan-out pattern."""
    return JSONResponse({"success": True}, background=BackgroundTask(sync_all))


async def sync_all() -> None:
    pending = [claim["claimId"] for claim in claims.values() if not claim["synced"]]
    await asyncio.gather(*(request_sync(claim_id) for claim_id in pending))


async def request_sync(claim_id: str) -> None:
    try:
        await enqueue("sync-record", {"claimId": claim_id})
    except QueueError as error:  # the others still run; this one stays pending until the next night
        print(f"claim {claim_id} was not enqueued: {error}", flush=True)


async def queue_error(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 502)


app = Starlette(
    routes=[
        Route("/claims", submit_claim, methods=["POST"]),
        Route("/claims", list_claims, methods=["GET"]),
        Route("/health", health),
        Route("/internal/jobs/process-claim", process_claim, methods=["POST"]),
        Route("/internal/jobs/sync-record", sync_record, methods=["POST"]),
        Route("/internal/cron/nightly-sync", nightly_sync, methods=["POST"]),
    ],
    exception_handlers={QueueError: queue_error},
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
