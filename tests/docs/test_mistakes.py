"""The page docs/mistakes.md: its handlers work in both sample services, and each mistake of its table is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs import mistakes
from tests.docs.mistakes import MISTAKES, RIGHT, SAMPLE, WRONG, Services
from tests.docs.pages import ROOT
from tests.docs.test_sample_service import install_express
from tests.support import localqueue, until

PAGE = (ROOT / "docs/mistakes.md").read_text()
ROWS = {
    mistake: (where, message)
    for mistake, where, message in re.findall(
        r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \| `([^|]+)` \| .+ \|$", PAGE, re.MULTILINE
    )
}
CATALOG_CHANGES = {
    "The endpoint of a handler is under `spec.routes`.": ("spec:\n", 'spec:\n  routes:\n    - path: "/internal/*"\n'),
    "`iec-queue` isn't in `spec.internalDependencies`.": ("    - service: iec-queue\n", "    - service: policies\n"),
    "A cron expression starts with seconds.": ('"0 2 * * *"', '"0 0 2 * * *"'),
}


@pytest.fixture(scope="module", params=["python", "node"])
def services(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    if request.param == "node":
        install_express()
    with mistakes.serving(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture(autouse=True)
def reset(request: pytest.FixtureRequest) -> None:
    if "services" in request.fixturenames:
        request.getfixturevalue("services").reset()


# the right handlers


def test_an_error_is_a_500_that_is_logged_and_retried(services: Services) -> None:
    """Rule retry.delay."""
    id_ = services.submit(RIGHT, "c-1", amount=None)
    services.control("/drain")
    job = services.get(f"/jobs/{id_}")
    assert job["state"] == "failed"
    assert [each["response"]["body"].replace(" ", "") for each in job["attempts"]] == [
        '{"success":false,"error":"claimc-1hasnoamount"}'
    ] * 4
    assert [each["dueAt"][14:19] for each in job["attempts"]] == ["00:00", "00:05", "00:10", "00:15"]
    for number in range(1, 5):
        assert f"job {id_}, claim c-1, attempt {number}: claim c-1 has no amount\n" in services.output(RIGHT)


def test_a_lost_response_does_no_work_twice(services: Services) -> None:
    """Rule faults.outcomes, deliver.twice."""
    services.control("/faults", {"namespace": RIGHT, "queue": "process-claim", "outcomes": ["lost-ack"]})
    id_ = services.submit(RIGHT, "c-2")
    services.control("/drain")
    first, second = services.get(f"/jobs/{id_}")["attempts"]
    assert (first["injected"], second["status"]) == ("lost-ack", 200)
    assert second["response"]["body"].replace(" ", "") == '{"success":true,"skipped":true}'
    assert services.claims(RIGHT)["c-2"]["processed"] == 1
    assert "the handler skipped the second delivery (skipped: true)" in services.shown("replay", id_, "--same-id")


def test_a_nightly_fan_out_follows_the_response_and_all_its_jobs_complete(services: Services) -> None:
    """Rule schedule.timeline."""
    names = {f"n-{number}" for number in range(40)}
    for name in sorted(names):
        services.submit(RIGHT, name)
    services.control("/drain")
    pending = {name for name, claim in services.claims(RIGHT).items() if not claim["synced"]}
    assert names <= pending
    services.control("/clock/advance", {"to": "2026-03-08T02:00:00-07:00"})
    path = f"/jobs?namespace={RIGHT}&queue=sync-record&limit=200"
    until(lambda: len(services.get(path)["jobs"]) == len(pending), "all records are enqueued")
    services.control("/drain")
    listed = services.get(path)["jobs"]
    assert {job["state"] for job in listed} == {"completed"}
    assert {job["createdAt"] for job in listed} == {"2026-03-08T09:00:00.000Z"}
    assert {job["attempt"] for job in listed} == {1, 2}
    assert all(claim["synced"] for claim in services.claims(RIGHT).values())
    [fired] = [each["last"] for each in services.get("/schedules")["schedules"] if each["namespace"] == RIGHT]
    assert (fired["status"], fired["response"]["body"].replace(" ", "")) == (200, '{"success":true}')
    assert fired["explanation"] is None
    assert not re.search(f"note: .*{RIGHT}/", services.terminal.text)


@pytest.mark.parametrize("code", re.findall(r"```(?:js|python)\n(.+?)```", PAGE, re.DOTALL))
def test_the_code_of_the_page_is_that_of_the_sample(code: str) -> None:
    assert any(code in (SAMPLE / file).read_text() for file in mistakes.SOURCES.values())


# the mistakes


def success_false(services: Services) -> str:
    id_ = services.enqueue(WRONG, {"claimId": "c-1"})
    services.control("/drain")
    assert services.get(f"/jobs/{id_}")["state"] == "completed"
    return " ".join(services.shown("job", id_).replace("│", " ").split())


def no_check(services: Services) -> str:
    services.control("/faults", {"namespace": WRONG, "queue": "process-claim", "outcomes": ["lost-ack"]})
    id_ = services.enqueue(WRONG, {"claimId": "c-2", "amount": 5})
    services.control("/drain")
    assert services.claims(WRONG)["c-2"]["processed"] == 2
    return services.shown("replay", id_, "--same-id")


def fan_out_first(services: Services) -> str:
    found = services.shown("trigger", f"{WRONG}/nightly-sync")
    assert found.lower().count("timed out after 100 ms") == 1
    return found


def unchecked(services: Services) -> str:
    assert services.submit(WRONG, "c-4") in ("None", "undefined")
    assert services.get("/jobs")["jobs"] == []
    services.terminal.shows("No job was stored. Does your service check the response status?")
    return services.shown("status")


def hard_coded(services: Services) -> str:
    services.enqueue(WRONG, {"claimId": "c-6", "amount": 5})
    services.control("/clock/advance", {"ms": 0})  # its sync fails first, so that it is pending
    services.shown("trigger", f"{WRONG}/nightly-sync")
    services.terminal.shows("unknown namespace")
    return services.shown("status")


HANDLERS: dict[str, Callable[[Services], str]] = dict(
    zip(MISTAKES, (success_false, no_check, fan_out_first, unchecked, hard_coded), strict=True)
)


@pytest.mark.parametrize("mistake", HANDLERS)
def test_a_mistake_in_a_handler_is_shown_with_the_sentence_of_the_page(services: Services, mistake: str) -> None:
    """Rule explain.conditions, schedule.explain, enqueue.rejected, deliver.twice."""
    where, message = ROWS[mistake]
    assert message.lower() in HANDLERS[mistake](services).lower()
    if "the log" in where:
        services.terminal.shows(message)


@pytest.mark.parametrize("mistake", CATALOG_CHANGES)
def test_a_mistake_in_a_catalog_is_shown_with_the_sentence_of_the_page(tmp_path: Path, mistake: str) -> None:
    right, wrong = CATALOG_CHANGES[mistake]
    catalog = (SAMPLE / "catalog-info.yaml").read_text()
    assert catalog.count(right) == 1
    (tmp_path / "catalog-info.yaml").write_text(catalog.replace(right, wrong))
    assert ROWS[mistake][1] in localqueue("check", str(tmp_path)).output


def test_each_row_of_the_page_has_its_case() -> None:
    assert [*ROWS] == [*CATALOG_CHANGES, *MISTAKES]
