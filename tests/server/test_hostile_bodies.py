"""Bodies that are hard to read, in jobs and in responses: the server continues, and the commands show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import localqueue, serving, working, write_catalog

BODIES = {
    "deep list": b"[" * 950 + b"]" * 950,
    "deeper than a parser goes": b"[" * 8000 + b"]" * 8000,
    "unfinished": b"[" * 8000,
    "deep errors": b'{"error":' * 900 + b"{}" + b"}" * 900,
    "deep messages": b'{"message":[' * 450 + b"1" + b"]}" * 450,
    "wide and deep": b"[[[" * 300 + b"],[],[]" * 300 + b"]" * 600,
    "long number": b"9" * 16_000,
    "number without an end": b"[1e999, -1e999, NaN]",
    "tags": b"<!doctype html>" + b"<" * 8000,
    "lone surrogates": b'{"message": "\\ud800 \\udfff"}',
    "success, deep": b'{"success": ' + b"[" * 5000,
}


@pytest.mark.parametrize("status", [200, 500])
def test_no_body_of_a_response_ends_the_server(tmp_path: Path, status: int) -> None:
    """Rules deliver.raw-body and deliver.twice."""
    bodies = iter([body for body in BODIES.values() for _ in range(2 if status == 200 else 1)])

    def answer(job: dict[str, object]) -> tuple[int, bytes, dict[str, str]]:
        return status, next(bodies), {"Content-Type": "application/json"}

    expected = "completed" if status == 200 else "failed"
    write_catalog(tmp_path, retries=0, concurrency=1)
    with working(answer) as worker, serving(tmp_path, "--target", worker.url, "--deliver-twice") as server:
        ids = [server.enqueue(name) for name in BODIES]
        for id_ in ids:
            assert server.wait_state(id_, "completed", "failed")["state"] == expected
            shown = localqueue("job", id_, "--url", server.url)
            assert (shown.exit_code, "Traceback" in shown.output) == (0, False), shown.output
        for words in (("jobs",), ("jobs", "--failed", "--by-error"), ("ledger",)):
            shown = localqueue(*words, "--url", server.url)
            assert (shown.exit_code, "Traceback" in shown.output) == (0, False), shown.output


def test_data_as_deep_as_it_is_accepted_can_be_shown_and_exported(tmp_path: Path) -> None:
    """Rules enqueue.bytes and cli.export."""
    write_catalog(tmp_path)
    with working() as worker, serving(tmp_path, "--target", worker.url) as server:
        for levels in (100, 900, 5000):
            data = "[" * levels + "]" * levels
            sent = localqueue("enqueue", "work", data, "--url", server.url)
            assert "Traceback" not in sent.output, sent.output
            if sent.exit_code != 0:
                assert "JSON" in sent.output
                continue
            id_ = sent.output.split()[-1]
            server.wait_state(id_, "completed")
            for words in (
                ("job", id_),
                ("job", id_, "--curl"),
                *(("export", id_, "--as", kind) for kind in ("pytest", "node", "curl", "json")),
            ):
                shown = localqueue(*words, "--url", server.url)
                assert (shown.exit_code, "Traceback" in shown.output) == (0, False), shown.output
