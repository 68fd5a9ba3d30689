"""`export` and `job --curl`: what is printed runs as it is, in the shell, in pytest and in node:test."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import forking
from tests.conftest import Shop
from tests.docs.pages import ENV
from tests.support import http, localqueue
from tests.testing.runner import run_pytest

DATA = (
    """{"claim": "it's \\"7\\" \\u00e9 $HOME `x` é\\n", "amount": 1.50, "big": 12345678901234567890, "none": [null]}"""
)


def enqueue(shop: Shop, data: str = DATA) -> str:
    body = f'{{"namespace": "shop", "queue": "work", "data": {data}}}'.encode()
    answer = http.post(f"{shop.server.url}/jobs", content=body, headers={"Content-Type": "application/json"})
    return str(answer.json()["id"])


@pytest.mark.parametrize("data", [DATA, '"' + "x'é" * 60_000 + '"'], ids=["quotes", "large"])
def test_curl_sends_the_same_body_to_the_handler(shop: Shop, tmp_path: Path, data: str) -> None:
    """Rule cli.export."""
    shop.script += [500]
    id_ = enqueue(shop, data)
    shop.shown("advance", "0s")
    script = tmp_path / "call.sh"
    script.write_text(shop.shown("export", id_, "--as", "curl"))
    assert script.read_text() == shop.shown("job", id_, "--curl")
    found = subprocess.run(["sh", str(script)], env=ENV | {"no_proxy": "*"}, capture_output=True, text=True, timeout=30)
    assert "200 OK" in found.stdout
    assert shop.worker.bodies[0].rstrip(b"\n") == shop.worker.bodies[1].rstrip(b"\n")


def test_json_is_the_body_that_enqueues_it_again(shop: Shop) -> None:
    """Rule cli.export."""
    body = shop.shown("export", enqueue(shop), "--as", "json").encode()
    answer = http.post(f"{shop.server.url}/jobs", content=body, headers={"Content-Type": "application/json"})
    assert http.get(f"{shop.server.url}/_localqueue/jobs/{answer.json()['id']}/data").text == DATA


@pytest.mark.parametrize("data", [DATA, '{"big": 1E400}'])
@pytest.mark.parametrize(("script", "code"), [([500, 200], 0), ([500, 500, 500, 500, 500], 1)])
def test_the_test_for_pytest_passes_once_the_handler_is_fixed(
    shop: Shop, tmp_path: Path, data: str, script: list[int], code: int
) -> None:
    """Rule cli.export."""
    id_ = enqueue(shop, data)
    shop.script += script
    shop.shown("advance", "0s")
    (tmp_path / "catalog-info.yaml").write_text(catalog(shop))
    (tmp_path / "test_exported.py").write_text(shop.shown("export", id_, "--as", "pytest"))
    found = run_pytest(tmp_path, env=ENV)
    assert found.returncode == code, found.stdout
    assert json.loads(shop.worker.bodies[1])["data"] == json.loads(data)


def test_the_test_for_node_runs_under_exec(shop: Shop, tmp_path: Path) -> None:
    """Rule cli.export."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed: the exported test for Node was not run")
    id_ = enqueue(shop)
    shop.script += [500]
    shop.shown("advance", "0s")
    (tmp_path / "catalog-info.yaml").write_text(catalog(shop))
    (tmp_path / "job.test.mjs").write_text(shop.shown("export", id_, "--as", "node"))
    command = ("exec", "--clock", "virtual", "--", "node", "--test", "job.test.mjs")
    found = forking.run(*command, timeout=60, cwd=tmp_path, env=ENV)
    assert found.returncode == 0, found.stdout + found.stderr
    assert shop.worker.bodies[1].partition(b'"data":')[2] == shop.worker.bodies[0].partition(b'"data":')[2]


def test_unknown_jobs_and_formats_are_refused(shop: Shop) -> None:
    assert "there is no job 00000000" in shop.failing("export", "0" * 8, "--as", "curl")
    assert "'ruby' is not one of" in shop.failing("export", enqueue(shop), "--as", "ruby", code=2)
    assert "Missing option '--as'" in localqueue("export", "x").stderr


def catalog(shop: Shop) -> str:
    queue = {"name": "work", "endpoint": "/work", "retries": 0}
    return json.dumps({"kind": "Component", "metadata": {"name": "shop"}, "spec": {"queues": [queue]}})
