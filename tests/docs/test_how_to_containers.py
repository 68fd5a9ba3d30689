"""The page docs/how-to-containers.md: its settings, without an engine, do what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, write_files
from tests.support import JSON, http, serving, working, write_catalog

PAGE = "docs/how-to-containers.md"
BASE = ("--host", "0.0.0.0", "--allow-remote")


def entry_point() -> list[str]:
    found = re.search(r"^ENTRYPOINT (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    return list(yaml.safe_load(found[1]))


def test_the_settings_of_the_image_and_of_compose_work_together(tmp_path: Path) -> None:
    """Rule security.host, security.peers."""
    assert write_files(PAGE, tmp_path) == ["compose.yaml", "compose.both.yaml"]
    services = yaml.safe_load((tmp_path / "compose.both.yaml").read_text())["services"]
    assert entry_point() == ["localqueue", "up", *BASE]
    options = dict(zip(services["queue"]["command"][::2], services["queue"]["command"][1::2], strict=True))
    assert services["service"]["environment"]["IEC_QUEUE_URL"] == f"http://{options['--allow-host']}:4327"
    write_catalog(tmp_path)
    with working() as worker:
        words = (*BASE, "--allow-host", options["--allow-host"], "--target", worker.url, "--ephemeral")
        with serving(tmp_path, *words) as server:
            job = {"namespace": "shop", "queue": "work"}
            for name, status in (("queue:4327", 201), ("localhost:4327", 201), ("evil.example", 403)):
                answer = http.post(f"{server.url}/jobs", json=job, headers=JSON | {"Host": name})
                assert answer.status_code == status, name
            assert http.get(f"{server.url}/health", headers={"Host": "localhost:4327"}).status_code == 200


def test_the_queue_on_the_host_takes_the_name_that_containers_use(tmp_path: Path) -> None:
    """Rule security.host."""
    line = re.search(r"^    (localqueue up .*)$", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert line is not None
    write_catalog(tmp_path)
    with serving(tmp_path, *line[1].split()[2:], "--ephemeral") as server:
        job = {"namespace": "shop", "queue": "work"}
        answer = http.post(f"{server.url}/jobs", json=job, headers={"Host": "host.docker.internal:4327"})
        assert answer.status_code == 201


def test_the_image_builds_where_an_engine_is_present() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no docker engine is running: the image was not built")
    found = subprocess.run(["docker", "build", "--quiet", str(ROOT)], capture_output=True, text=True, timeout=600)
    if found.returncode and "failed to resolve" in found.stderr:
        pytest.skip(f"the base image can't be fetched: the image was not built: {found.stderr[-200:]}")
    assert found.returncode == 0, found.stderr
