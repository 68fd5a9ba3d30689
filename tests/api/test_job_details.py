"""Lists of jobs with their data and attempts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import JSON, Server, http, serving, working, write_catalog

LARGE = "x" * 900_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("details")
    write_catalog(folder, retries=0)
    with (
        working(lambda job: 500 if job["data"] == "bad" else 200) as worker,
        serving(folder, "--target", worker.url) as found,
    ):
        yield found


@pytest.fixture(autouse=True)
def empty(server: Server) -> None:
    http.post(f"{server.url}/_localqueue/reset", headers=JSON).raise_for_status()


def test_jobs_are_listed_as_each_of_them_is_shown(server: Server) -> None:
    ids = [server.enqueue(data) for data in ("good", "bad", {"b": 1, "a": [2.50]})]
    for id_ in ids:
        server.wait_state(id_, "completed", "failed")
    listed = server.get("/jobs?details=true")
    assert listed == {"jobs": [server.job(id_) for id_ in reversed(ids)], "next": None, "searched": None}
    assert [len(job["attempts"]) for job in listed["jobs"]] == [1, 1, 1]


def test_data_is_listed_byte_for_byte(server: Server) -> None:
    body = '{"namespace":"shop","queue":"work","data":{"b" :1.00, "a":[ ]}}'
    http.post(f"{server.url}/jobs", content=body, headers=JSON).raise_for_status()
    text = http.get(f"{server.url}/_localqueue/jobs?details=true").text
    assert '"data":{"b" :1.00, "a":[ ]}}' in text


def test_a_page_with_large_data_ends_early_and_leaves_nothing_out(server: Server) -> None:
    ids = [server.enqueue(LARGE) for _ in range(12)]
    first = server.get("/jobs?details=true")
    second = server.get(f"/jobs?details=true&after={first['next']}")
    assert 1 < len(first["jobs"]) < 12
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["next"] is None


def test_details_is_true_or_false(server: Server) -> None:
    server.enqueue()
    assert "preview" in server.get("/jobs?details=false")["jobs"][0]
    refused = http.get(f"{server.url}/_localqueue/jobs?details=yes")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
