"""The dashboard over time: lost connections, many jobs, moved clocks, wrong catalogs, and nothing there yet."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.dashboard.browser import Board, board
from tests.support import Server, Worker, client, free_port, http, serving, until, working, write_catalog


@pytest.fixture(scope="module")
def virtual_server(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("virtual")
    write_catalog(folder, retries=3, delay=5000)
    with serving(folder, "--ephemeral", "--clock", "virtual", "--target", worker.url) as found:
        yield found


@pytest.fixture
def virtual(browser: Browser, virtual_server: Server, worker: Worker) -> Iterator[Board]:
    with board(browser, virtual_server, worker) as found:
        yield found


def test_a_lost_connection_is_shown_and_restored(browser: Browser, tmp_path: Path, worker: Worker) -> None:
    """Rule dashboard.connection."""
    write_catalog(tmp_path)
    options = ("--port", str(free_port()), "--target", worker.url)
    server = Server(tmp_path, *options).wait_ready()
    with board(browser, server, worker) as found:
        first = server.enqueue(1)
        found.open()
        expect(found.row(first)).to_contain_text("completed")
        server.kill()
        found.see("Disconnected.")
        expect(found.page.locator(".link")).to_have_text("disconnected")
        expect(found.row(first)).to_be_visible()
        found.press("Enqueue")
        found.see("localqueue doesn't respond.")
        server = Server(tmp_path, *options).wait_ready()
        second = server.enqueue(2)
        expect(found.row(second)).to_contain_text("completed")
        expect(found.page.locator(".link")).to_have_text("live")
        expect(found.page.get_by_text("Disconnected.")).to_have_count(0)
        found.problems.clear()  # the browser reports every request that found nobody
        server.stop()
        found.see("Disconnected.")
        found.problems.clear()


def test_the_virtual_clock_stands_still_until_it_is_moved(virtual: Board) -> None:
    """Rule dashboard.clock."""
    virtual.script += [500, 500]
    id_ = virtual.server.enqueue({"claimId": 7})
    virtual.open()
    clock = virtual.page.get_by_role("group", name="Clock")
    expect(clock).to_contain_text("2026-01-01 00:00:00.000")
    expect(virtual.row(id_)).to_contain_text("due now")
    virtual.row(id_).click()
    virtual.press("Deliver now")
    expect(virtual.job()).to_contain_text("500 Internal Server Error. Next try in 5.0 s")
    virtual.press("+1 s")
    expect(clock).to_contain_text("00:00:01.000")
    expect(virtual.job()).to_contain_text("Next try in 4.0 s")
    virtual.press("To next")
    expect(clock).to_contain_text("00:00:05.000")
    expect(virtual.job().locator("header")).to_contain_text("attempt 2/4")
    virtual.press("Drain")
    virtual.see("1 attempt made; all jobs are finished")
    expect(clock).to_contain_text("00:00:10.000")
    expect(virtual.job()).to_contain_text("Your handler responded 200 OK")
    virtual.press("+1 min")
    expect(clock).to_contain_text("00:01:10.000")
    virtual.page.keyboard.press("n")
    virtual.see("No attempts made; the time is 00:01:10.000")


def test_the_list_is_paged_and_stays_in_order_while_jobs_arrive(virtual: Board) -> None:
    ids = virtual.enqueue(*[b"1"] * 130)
    virtual.open()
    expect(virtual.rows()).to_have_count(100)
    ids.append(virtual.server.enqueue("new"))
    expect(virtual.row(ids[-1])).to_be_visible()
    virtual.press("Older jobs")
    expect(virtual.rows()).to_have_count(131)
    found = virtual.rows().evaluate_all("(rows) => rows.map((row) => row.dataset.id)")
    assert found == ids[::-1]


def test_new_jobs_do_not_move_a_list_that_somebody_reads(virtual: Board) -> None:
    virtual.enqueue(*[b"1"] * 60)
    virtual.open()
    expect(virtual.rows()).to_have_count(60)
    virtual.page.locator("#rows").evaluate("(rows) => rows.scrollTo(0, 400)")
    virtual.server.enqueue("new")
    virtual.see("1 new job")
    assert virtual.page.locator("#rows").evaluate("(rows) => rows.scrollTop") == 400
    expect(virtual.rows()).to_have_count(60)
    virtual.press("1 new job")
    expect(virtual.rows()).to_have_count(61)
    expect(virtual.rows().first).to_contain_text("new")


def test_one_dashboard_too_many_says_so_and_connects_once_another_closes(virtual: Board) -> None:
    with contextlib.ExitStack() as streams, client(virtual.server.url) as connection:

        def follows() -> bool:
            return streams.enter_context(connection.stream("GET", "/_localqueue/events")).status_code == 200

        for _ in range(16):
            until(follows, "a place is free: the page of the test before may still have one")
        id_ = virtual.server.enqueue(1)
        virtual.page.goto(f"{virtual.server.url}/_localqueue/")
        virtual.see("If many dashboards are open, close one.")
        expect(virtual.row(id_)).to_be_visible()
    expect(virtual.page.locator(".link")).to_have_text("live")
    virtual.problems.clear()  # the browser reports the 503


FLOOD = """
    delete window.SharedWorker;
    window.EventSource = class extends EventTarget {
        constructor() { super(); window.stream = this; setTimeout(() => this.say('hello', HELLO), 50); }
        say(name, data) { this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) })); }
        close() {}
    };
    const HELLO = { version: '', now: new Date().toISOString(), mode: 'wall' };
    window.flood = async (count, rate) => {
        const [from, frames] = [performance.now(), []];
        const watch = (last) => requestAnimationFrame((at) => { frames.push(at - last); watch(at); });
        watch(from);
        for (let n = 0; n < count; await new Promise((go) => setTimeout(go, 10))) {
            for (; n < Math.min(count, ((performance.now() - from) / 1000) * rate); n += 1) tell(n);
        }
        return { longest: Math.max(...frames), frames: frames.length };
    };
    const tell = (n) => {
        const [shortId, now] = [n.toString(16).padStart(8, '0'), new Date().toISOString()];
        const job = {
            id: `01a20f8b-9165-78b4-9015-0000${shortId}`, shortId, seq: 1000 + n, namespace: 'shop', queue: 'work',
            state: 'queued', held: null, round: 1, attempt: 0, maxAttempts: 4, createdAt: now, dueAt: now,
            finishedAt: null, replayOf: null,
        };
        stream.say('job', { job });
        stream.say('job', { job: { ...job, state: 'running', attempt: 1 } });
        stream.say('job', { job: { ...job, state: 'completed', attempt: 1, finishedAt: now } });
    };
"""


def test_a_thousand_jobs_a_second_do_not_freeze_the_page(virtual: Board) -> None:
    """Rule dashboard.many: what comes within a tenth of a second is drawn together, and the list stays bounded."""
    virtual.page.add_init_script(FLOOD)
    virtual.open()
    found = virtual.page.evaluate("flood(1000, 1000)")
    assert found["frames"] > 2
    expect(virtual.rows()).to_have_count(300)
    expect(virtual.rows().first).to_contain_text("completed")


HIDE = """(isHidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_any_number_of_tabs_share_one_stream(browser: Browser, tmp_path: Path, worker: Worker) -> None:
    """Rule dashboard.tabs: a browser allows six connections to a server, and the server 16 streams."""
    write_catalog(tmp_path)
    options = ("--ephemeral", "--clock", "virtual", "--target", worker.url)
    # On a server of its own: the page of the test before may still have a stream.
    with serving(tmp_path, *options) as server, board(browser, server, worker) as found:
        with contextlib.ExitStack() as streams, client(server.url) as connection:
            for _ in range(15):
                streams.enter_context(connection.stream("GET", "/_localqueue/events"))
            found.open()
            tabs = [found.page.context.new_page() for _ in range(6)]
            for tab in tabs:
                tab.goto(f"{server.url}/_localqueue/")
                expect(tab.locator(".link")).to_have_text("live")
            id_ = server.enqueue(1)
            for tab in (found.page, *tabs):
                expect(tab.locator(f'a.row[data-id="{id_}"]')).to_be_visible()
        found.page.close()
        id_ = server.enqueue(2)
        for tab in tabs:
            expect(tab.locator(f'a.row[data-id="{id_}"]')).to_be_visible()


def test_without_shared_workers_a_tab_has_a_stream_of_its_own(virtual: Board) -> None:
    """Rule dashboard.tabs."""
    virtual.page.add_init_script("delete window.SharedWorker")
    virtual.open()
    id_ = virtual.server.enqueue(1)
    expect(virtual.row(id_)).to_be_visible()


def test_a_tab_that_nobody_looks_at_counts_the_failed_jobs_in_its_title_and_its_icon(virtual: Board) -> None:
    """Rule dashboard.title: it fetches the rest when somebody looks at it again."""
    virtual.open()
    icon = virtual.page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", "static/icon.svg")
    virtual.page.evaluate(HIDE, True)
    virtual.script += [500] * 4
    id_ = virtual.server.enqueue(1)
    asked = len(virtual.asked)
    virtual.post("/drain")
    expect(virtual.page).to_have_title("(1 failed) localqueue")
    expect(icon).to_have_attribute("href", "static/icon_failed_1.svg")
    expect(virtual.row(id_)).to_have_count(0)
    assert [url for url in virtual.asked[asked:] if "/jobs" in url] == []
    virtual.page.evaluate(HIDE, False)
    expect(virtual.row(id_)).to_contain_text("failed")
    virtual.page.evaluate(HIDE, True)
    virtual.post("/reset")
    expect(virtual.page).to_have_title("localqueue")
    expect(icon).to_have_attribute("href", "static/icon.svg")


def test_without_queues_the_page_shows_how_to_declare_one(browser: Browser, tmp_path: Path, worker: Worker) -> None:
    """Rule dashboard.empty: its lines work as they are."""
    catalog = write_catalog(tmp_path)
    head = catalog.read_text().split("spec:")[0]
    catalog.write_text(f"{head}spec: {{}}\n")
    with serving(tmp_path, "--ephemeral", "--target", worker.url) as server, board(browser, server, worker) as found:
        found.open()
        found.see("No queues yet")
        yaml = found.page.locator(".copyable code").text_content()
        catalog.write_text(f"{head}{yaml}\n")
        found.see("No jobs yet")
        line = str(found.page.locator(".copyable code").text_content()).replace("\\\n", "")
        subprocess.run([*shlex.split(line), "--silent", "--noproxy", "*"], check=True, capture_output=True)
        expect(found.rows()).to_have_count(1)
        expect(found.rows()).to_contain_text("completed")
        catalog.write_text(f"{head}{yaml}\n".replace("retries: 3", "retries: many"))
        found.see("Catalog error. The last valid version is still in use.")
        expect(found.page.locator(".toast")).to_have_count(0)  # said once
        expect(found.page.locator(".notice code")).to_contain_text("catalog-info.yaml:10:16: ")
        found.problems.clear()


def test_if_the_service_isn_t_running_the_page_says_where_it_should_listen(browser: Browser, tmp_path: Path) -> None:
    write_catalog(tmp_path)
    port = free_port()
    target = f"http://localhost:{port}"
    with working() as nobody, serving(tmp_path, "--ephemeral", "--target", target) as server:
        id_ = server.enqueue(1)
        server.wait_state(id_, "retrying", "failed")
        with board(browser, server, nobody) as found:
            id_ = server.enqueue(1)
            until(lambda: server.job(id_)["attempts"], "it was tried")
            found.open()
            found.see("shop isn't running.")
            found.row(id_).click()
            expect(found.job()).to_contain_text(f"Nothing is listening on {target}")
            expect(found.page.locator(".where.is-down")).to_be_visible()
            with working(port=port):
                until(lambda: server.get("/status")["services"][0]["listening"], "the last probe is too old")
                found.page.evaluate("dispatchEvent(new Event('focus'))")
                expect(found.page.locator(".where.is-down")).to_have_count(0)


@pytest.mark.long
def test_a_hundred_thousand_jobs_show_their_first_page_within_a_second(
    browser: Browser, tmp_path: Path, worker: Worker
) -> None:
    """Rule dashboard.first-page."""
    write_catalog(tmp_path)
    options = ("--ephemeral", "--clock", "virtual", "--target", worker.url)
    with serving(tmp_path, *options) as server, board(browser, server, worker) as found:
        for _ in range(100):
            found.enqueue(*[b'{"claimId": 7}'] * 1000)
        times = []
        for address in ("", "#/queues/shop/work?state=queued"):
            found.page.goto("about:blank")
            began = time.monotonic()
            found.page.goto(f"{server.url}/_localqueue/{address}")
            found.rows().nth(99).wait_for()
            times.append(time.monotonic() - began)
        print(f"first pages of 100,000 jobs: {', '.join(f'{each:.2f} s' for each in times)}")
        assert max(times) < 1
        expect(found.page.locator(".queue.all")).to_contain_text("100,000 queued")


def test_a_refused_request_is_shown_with_its_reason_and_its_hint(virtual: Board) -> None:
    virtual.open()
    http.post(f"{virtual.server.url}/jobs", json={"namespace": "shop", "queue": "wrok", "data": 1})
    virtual.see("Some requests were refused.")
    alert = virtual.page.locator(".notice", has_text="Some requests were refused.")
    expect(alert).to_contain_text("unknown_queue")
    expect(alert).to_contain_text("(1 request)")
    expect(alert).to_contain_text("work")


def test_refused_requests_that_are_dismissed_come_back_with_the_next_one(virtual: Board) -> None:
    """Rule dashboard.refused."""

    def refuse(queue: str) -> None:
        http.post(f"{virtual.server.url}/jobs", json={"namespace": "shop", "queue": queue, "data": 1})

    alert = virtual.page.locator(".notice", has_text="Some requests were refused.")
    dismiss = alert.get_by_role("button", name="Dismiss refused requests")
    refuse("wrok")
    refuse("wrk")
    virtual.open()
    dismiss.focus()
    virtual.page.keyboard.press("Enter")
    expect(alert).to_have_count(0)
    expect(virtual.page.locator("#jobs")).to_be_focused()
    with virtual.page.expect_response("**/status"):
        virtual.page.reload()
    virtual.see("live")
    expect(alert).to_have_count(0)
    refuse("wrok")
    expect(alert).to_contain_text("(2 requests)")
    expect(alert).not_to_contain_text("'wrk'")
    dismiss.click()
    expect(alert).to_have_count(0)
    virtual.post("/reset")
    refuse("wrok")
    expect(alert).to_contain_text("(1 request)")


def test_refused_requests_are_shown_again_by_a_server_that_starts_at_the_same_virtual_time(
    browser: Browser, tmp_path: Path, worker: Worker
) -> None:
    """Rule dashboard.refused."""
    write_catalog(tmp_path)
    options = ("--port", str(free_port()), "--clock", "virtual", "--ephemeral", "--target", worker.url)

    def refuse(server: Server) -> None:
        http.post(f"{server.url}/jobs", json={"namespace": "shop", "queue": "wrok", "data": 1})

    with serving(tmp_path, *options) as server, board(browser, server, worker) as found:
        alert = found.page.locator(".notice", has_text="Some requests were refused.")
        refuse(server)
        refuse(server)
        found.open()
        found.press("Dismiss refused requests")
        expect(alert).to_have_count(0)
        found.page.goto("about:blank")
        found.post("/reset")
        refuse(server)
        found.open()
        expect(alert).to_contain_text("(1 request)")
        found.press("Dismiss refused requests")
        expect(alert).to_have_count(0)
        found.page.goto("about:blank")
        server.stop()
        with serving(tmp_path, *options) as again:
            refuse(again)
            found.open()
            expect(alert).to_contain_text("(1 request)")
            found.page.goto("about:blank")


def test_a_page_opens_although_its_storage_is_damaged(virtual: Board) -> None:
    """Another program of the same port, an earlier day, can have written there."""
    for damaged in ("{", "null"):
        virtual.open_module("format.js")
        virtual.page.evaluate("(text) => localStorage.setItem('localqueue.dismissed', text)", damaged)
        virtual.open()


def test_unknown_keys_of_a_request_are_shown_on_the_page_of_its_job(virtual: Board) -> None:
    """Rule enqueue.unknown-keys."""
    ids = []
    for keys in ({"payload": 1}, {"data": 1, "traceId": "<b>"}, {"data": 1}):
        body = {"namespace": "shop", "queue": "work", **keys}
        ids.append(http.post(f"{virtual.server.url}/jobs", json=body).json()["id"])
    note = virtual.job().locator(".ignored")
    virtual.open(f"#/jobs/{ids[0]}")
    expect(note).to_have_text('The request had unknown keys, which were ignored: "payload". Did you mean data?')
    virtual.go(f"#/jobs/{ids[1]}")
    expect(note).to_have_text('The request had unknown keys, which were ignored: "traceId".')
    virtual.go(f"#/jobs/{ids[2]}")
    expect(note).to_have_count(0)
    virtual.post("/reset")
    assert virtual.server.get(f"/jobs/{virtual.server.enqueue()}")["ignoredKeys"] == []


def test_a_schedule_is_fired_from_the_page_and_its_result_is_shown(browser: Browser, tmp_path: Path) -> None:
    """Rule schedule.trigger, schedule.explain."""
    catalog = write_catalog(tmp_path)
    schedule = "  schedules:\n    - {name: leap, cron: 0 0 29 2 *, endpoint: /leap}\n"
    catalog.write_text(f"{catalog.read_text()}{schedule}")
    with (
        working() as worker,
        serving(tmp_path, "--ephemeral", "--schedules", "--target", worker.url) as server,
        board(browser, server, worker) as found,
    ):
        worker.answer = lambda _: (200, b'{"success": false}', {})
        found.open()
        row = found.page.get_by_label("Schedules of shop").get_by_role("listitem")
        expect(row).to_contain_text("leapnext in ")
        row.get_by_role("button", name="Trigger now").click()
        found.see("leap was fired: the service responded 200")
        expect(row).to_contain_text("200")
        expect(row.locator("[title*='The body says success: false, but firings']")).to_contain_text("200")
    assert worker.bodies == [b"{}"]
