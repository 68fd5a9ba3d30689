"""Run the main job once, for people to watch: a queue, a service, and claims that must all get done."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

HERE = Path(__file__).parent
PATIENCE_S = 60.0
CLAIMS = 16
FIRE = "/_localqueue/schedules/claims-service/nightly-sync/trigger"
client = httpx.Client(trust_env=False, timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, *processes: subprocess.Popen[bytes]) -> None:
    """Ask until the answer is true; give up when a process ends or time is over."""
    pause, end = threading.Event(), time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if any(process.poll() is not None for process in processes):
            sys.exit(f"demo: a process ended while waiting until {what}")
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        pause.wait(0.1)
    sys.exit(f"demo: gave up waiting until {what}")


def jobs(queue_url: str) -> list[dict]:
    return client.get(f"{queue_url}/_localqueue/jobs?limit=200").json()["jobs"]


def submit(service_url: str) -> None:
    for number in range(1, CLAIMS + 1):
        claim = {"claimId": f"c-{number}", "amount": 100 * number}
        client.post(f"{service_url}/claims", json=claim).raise_for_status()


def fire_schedule(queue_url: str) -> None:
    client.post(f"{queue_url}{FIRE}", headers={"Content-Type": "application/json"}).raise_for_status()


def are_done(queue_url: str, count: int) -> bool:
    found = jobs(queue_url)
    return len(found) == count and all(job["state"] in ("completed", "failed") for job in found)


def problems(queue_url: str, service_url: str) -> list[str]:
    """Return what is not as it must be."""
    found = []
    for job in jobs(queue_url):
        whole = client.get(f"{queue_url}/_localqueue/jobs/{job['id']}").json()
        fails_first = job["queue"] == "sync-record" and int(whole["data"]["claimId"].split("-")[-1]) % 3 == 0
        expected = ["http_error", "completed"] if fails_first else ["completed"]
        outcomes = [attempt["outcome"] for attempt in whole["attempts"]]
        if outcomes != expected:
            found.append(f"job {job['shortId']} of {job['queue']}: expected {expected}, got {outcomes}")
    claims = client.get(f"{service_url}/claims").json()["claims"]
    for claim in claims:
        if (claim["processed"], claim["synced"]) != (1, True):
            found.append(f"claim {claim['claimId']} was not done exactly once: {claim}")
    if len(claims) != CLAIMS:
        found.append(f"expected {CLAIMS} claims, got {len(claims)}")
    return found


def summarize(queue_url: str, seconds: float) -> None:
    found = jobs(queue_url)
    attempts = sum(job["attempt"] for job in found)
    print(f"\n  claims    {CLAIMS} submitted, all processed once and synced")
    print(f"  jobs      {len(found)}, all completed: one per claim, and one per claim from the schedule's fan-out")
    print(f"  attempts  {attempts}, of which {attempts - len(found)} failed first and were retried")
    print(f"  time      {seconds:.1f} s", flush=True)


def run(queue: subprocess.Popen[bytes], service: subprocess.Popen[bytes], queue_url: str, service_url: str) -> None:
    wait_for(lambda: client.get(f"{queue_url}/health").is_success, "the queue answers", queue)
    wait_for(lambda: client.get(f"{service_url}/health").is_success, "the service answers", service)
    began = time.monotonic()
    submit(service_url)
    wait_for(lambda: are_done(queue_url, CLAIMS), "all claims are processed", queue, service)
    fire_schedule(queue_url)
    wait_for(lambda: are_done(queue_url, 2 * CLAIMS), "all claims are synced", queue, service)
    if found := problems(queue_url, service_url):
        sys.exit("demo: something is wrong\n" + "\n".join(found))
    summarize(queue_url, time.monotonic() - began)


def end(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    return process.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", action="store_true", help="run the Node service instead of the Python one")
    is_node = parser.parse_args().node
    queue_port, service_port = free_port(), free_port()
    queue_url, service_url = f"http://localhost:{queue_port}", f"http://localhost:{service_port}"
    up = [sys.executable, "-m", "localqueue", "up", "--ephemeral", "--port", str(queue_port)]
    up += ["--target", service_url, "--catalog", str((HERE / "catalog-info.yaml").resolve())]
    command = ["node", str(HERE / "node" / "app.js")] if is_node else [sys.executable, str(HERE / "python" / "app.py")]
    environment = {"IEC_QUEUE_URL": queue_url, "SERVICE_NAMESPACE": "claims-service", "PORT": str(service_port)}
    environment |= {"AUDIT_URL": "http://127.0.0.1:9/audit"}  # nobody listens there: it must not matter
    with tempfile.TemporaryDirectory() as folder, client:
        queue = subprocess.Popen(up, cwd=folder)
        service = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        try:
            run(queue, service, queue_url, service_url)
        finally:
            end(service)
            code = end(queue)
    if code:
        sys.exit(f"demo: the queue ended with exit code {code}")


if __name__ == "__main__":
    main()
