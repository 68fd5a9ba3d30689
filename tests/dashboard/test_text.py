"""What is foreign is shown exactly, and as text: payloads, answers, headers, names."""

from __future__ import annotations

import json
import random
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Locator, expect

from tests.dashboard.browser import Board, board
from tests.support import JSON, Worker, http, serving, until, write_catalog

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</pre></code><img src=/stolen onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=http://127.0.0.1:9/x></object>",
    "<embed src=http://127.0.0.1:9/x>",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "<style>*{display:none}</style>",
    "<base href=http://127.0.0.1:9/>",
    "<form action=http://127.0.0.1:9/><button>go</button></form>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<a href='javascript:alert(1)'>here</a>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "\" autofocus onfocus=alert(1) x=\"",
    "' onmouseover='alert(1)",
    "`${alert(1)}`",
    "{{constructor.constructor('alert(1)')()}}",
    "<![CDATA[<script>alert(1)</script>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--<img src=x onerror=alert(1)>-->",
    "\u202egpj.exe\u202c \u2066rtl\u2069",
    "nul \u0000 esc \u001b[31m bell \u0007 c1 \u009b",
    "zero\u200bwidth\ufeff\u2028line\u2029paragraph",
    "__proto__",
    "constructor",
    "x" * 300_000,
    "\n\r\n\t\r",
]  # fmt: skip


def test_hostile_payloads_and_responses_are_shown_as_text(wall: Board) -> None:
    """Rule dashboard.text: no dialog, no breach of the policy, no request to anybody (`board` checks that)."""
    bodies = [text.encode() for text in HOSTILE]
    headers = {
        "Content-Type": "text/html",
        "X-Hostile": "<img src=x onerror=alert(1)>",
        "Location": "javascript:alert(1)",
    }
    wall.worker.answer = lambda job: (500, bodies[job["data"]["n"]], headers)
    payloads = [{"n": n, text: [text, {"__proto__": text}]} for n, text in enumerate(HOSTILE)]
    ids = wall.enqueue(*[json.dumps(payload).encode() for payload in payloads])
    wall.wait("retrying", len(ids))
    wall.open()
    wall.page.evaluate("import('/_localqueue/static/state.js').then(({ state }) => { state.isSourceShown = true })")
    expect(wall.rows()).to_have_count(len(HOSTILE))
    for n, (id_, text) in enumerate(zip(ids, HOSTILE, strict=True)):
        wall.go(f"#/jobs/{id_}?state=cancelled")  # beside an empty list: less to draw
        expect(wall.job().locator("h1 code")).to_have_text(id_[-8:])
        expect(wall.job().locator(".response .body")).to_contain_text(shown(text)[:60])
        expect(wall.job().locator(".block[aria-label=Payload] .body")).to_contain_text(f'"n": {n}')
    wall.go(f"#/jobs/{ids[-1]}")
    expect(wall.rows()).to_have_count(len(HOSTILE))
    wall.job().locator(".response summary").click()
    wall.see("<img src=x onerror=alert(1)>")
    present = wall.page.evaluate("[...document.querySelectorAll('*')].map((each) => each.localName)")
    assert not {"img", "iframe", "object", "embed", "base", "style", "animate"} & set(present)
    assert [present.count(name) for name in ("script", "form", "meta")] == [1, 1, 3]
    assert wall.page.evaluate("Object.prototype.n === undefined")


def test_hostile_addresses_and_searches_are_shown_as_text(wall: Board) -> None:
    wall.server.enqueue(1)
    wall.open()
    for text in HOSTILE[:8]:
        wall.go(f"#/jobs/{quote(text, safe='')}")
        expect(wall.job()).to_contain_text(text)
        wall.go(f"#/queues/{quote(text, safe='')}/{quote(text, safe='')}")
        expect(wall.page.locator("#jobs h1")).to_have_text(text)
        expect(wall.page.locator("#rows")).to_contain_text(text)
        wall.page.locator("#find").fill(text)
        wall.page.keyboard.press("Enter")
        expect(wall.rows()).to_have_count(0)
        assert wall.page.locator("#find").input_value() == text
    wall.problems[:] = [each for each in wall.problems if "status of 40" not in each]


def test_hostile_findings_and_refused_requests_are_shown_as_text(
    browser: Browser, worker: Worker, tmp_path: Path
) -> None:
    """Rule dashboard.text."""
    text = HOSTILE[0]
    catalog = write_catalog(tmp_path)
    with serving(tmp_path, "--ephemeral", "--target", worker.url) as server, board(browser, server, worker) as found:
        found.open()
        refused = http.post(f"{server.url}/jobs", json={"namespace": "shop", "queue": text}, headers=JSON)
        assert refused.status_code == 404
        found.see(f"unknown queue '{text}'")
        catalog.write_text(catalog.read_text().replace("retries: 3", f"retries: '{text}'"))
        found.see("Catalog error.")
        expect(found.page.locator(".notice code").filter(has_text=f'not "{text}"')).to_be_visible()
        assert found.page.locator("img").count() == 0


def shown(text: str) -> str:
    """Return a text as the page writes it: what would hide or reorder is written out."""
    hidden = [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0), 0x61C, 0x200B, 0x200E, 0x200F]
    hidden += [*range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF]
    return " ".join(text.translate({each: f"\\u{each:04x}" for each in hidden}).split())


EXACT = [
    "9007199254740993", "1.0", "1E400", "-0", "1e-7", "0.1000000000000000055511151231257827", "12345678901234567890123",
    '{"a":1,"a":2}', '{"2":1,"1":2}', '"\\u00e9\\/\\ud834\\udd1e"', '"\\ud800"', "[]", "{}", '[{}, [], [[]]]', '""',
    'true', 'null', '{"a" : [1.0, {"b":1E2}, "x,y:z{}[]\\"\\\\"]}',
]  # fmt: skip


def test_a_payload_is_shown_as_it_was_sent(wall: Board) -> None:
    """Rule dashboard.exact: its own text, laid out; nothing is parsed into values."""
    texts = [EXACT[0], EXACT[9], EXACT[-1], f"[{','.join(EXACT)}]"]
    ids = wall.enqueue(*map(str.encode, texts))
    wall.open()
    for id_, data in zip(ids, texts, strict=True):
        wall.go(f"#/jobs/{id_}?state=cancelled")  # beside an empty list: less to draw
        expect(wall.job().locator("h1 code")).to_have_text(id_[-8:])
        body = wall.job().locator(".block[aria-label=Payload] .body")
        assert without_space(body.text_content() or "") == without_space(data)


def without_space(text: str) -> str:
    return "".join(text.split())


def test_any_json_keeps_its_tokens_when_it_is_laid_out(wall: Board) -> None:
    wall.open_module("json.js")
    chance = random.Random(7)
    texts = [json.dumps(value(chance, 4), indent=chance.choice([None, 1, 3])) for _ in range(300)]
    laid = wall.page.evaluate(
        "async (texts) => { const { layout } = await import('/_localqueue/static/json.js');"
        " return texts.map((text) => layout(text).map((each) => each.text).join('')) }",
        texts,
    )
    for text, found in zip(texts, laid, strict=True):
        assert json.loads(found) == json.loads(text)
        assert json.dumps(json.loads(found)) == json.dumps(json.loads(text))  # the order of keys, too
        assert max(map(len, found.splitlines())) < 400 or len(text) > 400


def value(chance: random.Random, depth: int) -> object:
    kind = chance.randrange(4 if depth else 2)
    if kind == 0:
        return chance.choice([0, -1.5, 10**20, True, None, 1e-9])
    if kind == 1:
        return "".join(chance.choices('ab"\\{}[],:\n é𝄞', k=chance.randrange(9)))
    size = range(chance.randrange(6))
    if kind == 2:
        return [value(chance, depth - 1) for _ in size]
    return {str(value(chance, 0)): value(chance, depth - 1) for _ in size}


def test_a_large_payload_is_cut_on_the_page_and_whole_in_the_download(wall: Board) -> None:
    id_ = wall.server.enqueue({"text": "y" * 900_000})
    wall.server.wait_state(id_, "completed")
    wall.open(f"#/jobs/{id_}")
    wall.see("% shown")
    with wall.page.expect_download() as download:
        wall.page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{id_[-8:]}.json"
    assert len(download.value.path().read_bytes()) > 900_000


LARGE = {"items": [{"id": number, "name": f"item {number}", "tags": ["a", "b"]} for number in range(9000)]}


def test_a_large_payload_is_put_into_the_page_only_as_far_as_somebody_asks_for_it(wall: Board) -> None:
    """Rule dashboard.large: 500 kB of small values, which once took the page ten seconds."""
    id_ = wall.server.enqueue(LARGE)
    wall.server.wait_state(id_, "completed")
    wall.open(f"#/jobs/{id_}")
    body = wall.job().locator(".block[aria-label=Payload] .body")
    expect(body).to_contain_text('"name": "item 0"')
    size, nodes = body.evaluate("(body) => [body.textContent.length, body.querySelectorAll('*').length]")
    assert 50_000 <= size < 51_000 and nodes < 3000
    more = wall.page.get_by_role("button", name="Show more")
    while more.count():
        before = size
        more.click()
        size = until(lambda before=before: longer(body, before), "more is shown")  # type: ignore[misc]
        wall.wait_drawn()  # the button goes with the last part
        assert size - before < 201_000
    assert without_space(body.text_content() or "") == without_space(json.dumps(LARGE))


def longer(body: Locator, before: int) -> int:
    """Return the length of a text once it has grown, else 0."""
    size = int(body.evaluate("(body) => body.textContent.length"))
    return size if size > before else 0


def test_a_large_payload_is_replayed_byte_for_byte_without_a_field_for_it(wall: Board) -> None:
    """Rule dashboard.large: the field comes when somebody asks for it."""
    id_ = wall.server.enqueue({"text": "z" * 200_000})
    wall.open(f"#/jobs/{id_}")
    for edits in (False, True):
        wall.press("Replay…")
        dialog = wall.page.get_by_role("dialog")
        expect(dialog).to_contain_text("The payload (195 KiB) is sent byte for byte.")
        expect(dialog.get_by_role("textbox")).to_have_count(0)
        if edits:
            wall.press("Edit the payload")
            dialog.get_by_role("textbox").fill('{"text": "short"}')
        dialog.get_by_role("button", name="Replay").click()
        expect(wall.job()).to_contain_text("replay of")
        expect(wall.job()).to_contain_text("17 bytes" if edits else "195 KiB")
    until(lambda: len(wall.worker.bodies) == 3, "all were delivered")
    assert wall.worker.jobs[0]["data"] == wall.worker.jobs[1]["data"]


def test_any_long_text_is_shown_whole_in_the_end(wall: Board) -> None:
    """Rule dashboard.large: whatever is cut where, no character is lost and no pair of them is torn apart."""
    wall.open_module("long_text.js")
    chance = random.Random(7)
    texts = ["".join(chance.choices(["a", "é", "𝄞", " ", "\r\n", "\n", "\n" * 9], k=30_000)) for _ in range(3)]
    texts += ["𝄞" * 40_000, "x" + "𝄞" * 40_000, json.dumps("𝄞" * 30_000, ensure_ascii=False)]
    found = wall.page.evaluate(
        """async (texts) => {
            const { LongText } = await import('/_localqueue/static/long_text.js');
            return texts.map((text) => {
                const shown = new LongText(text, 'x');
                while (!shown.isWhole) shown.extend(1000);
                const chunks = [...shown.node.querySelectorAll('.chunk')];
                return [chunks.map((each) => each.textContent).join('\\n'), shown.position, chunks.length];
            });
        }""",
        texts,
    )
    for text, (shown_text, position, chunks) in zip(texts, found, strict=True):
        assert (
            shown_text.replace("\r\n", "\n") == text.replace("\r\n", "\n")
            and position == len(text.encode("utf-16-le")) // 2
        )
        assert chunks == 1 or "\n" in text


def test_escaped_text_is_shown_as_it_was_sent_or_readable(wall: Board) -> None:
    """Rule dashboard.readable: what would hide or reorder text stays written out."""
    trace = 'Traceback:\n  File "a.py"\n\ttab é \u202e'
    wall.worker.answer = lambda _: (500, json.dumps({"trace": trace}).encode(), {"Content-Type": "application/json"})
    id_ = wall.server.enqueue({"plain": "no escapes"})
    wall.server.wait_state(id_, "retrying")
    wall.open(f"#/jobs/{id_}")
    body = wall.job().locator(".response .body")
    expect(body).to_contain_text(r"Traceback:\n  File \"a.py\"\n\ttab \u00e9 \u202e")
    wall.press("Show readable")
    shown_text = 'Traceback:\n  File "a.py"\n\ttab é \\u202e'
    until(lambda: shown_text in body.inner_text(), "the trace is readable")
    expect(wall.job().locator(".block[aria-label=Payload] button")).to_have_text(["Copy"])
    wall.press("Show as sent")
    expect(body).to_contain_text(r"Traceback:\n")
