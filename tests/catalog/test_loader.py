"""Catalog files: what loads, what is refused, and where."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from localqueue.catalog import discovery, loader
from localqueue.core.errors import CatalogError
from localqueue.core.models import Queue

HEAD = "kind: Component\nmetadata: {name: shop}\nspec:\n  queues:\n"


def load(folder: Path, text: str | bytes, **options: object) -> loader.Catalog:
    path = folder / "catalog-info.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return loader.load([path], **options)  # type: ignore[arg-type]


def test_a_queue_has_the_defaults_of_the_platform(tmp_path: Path) -> None:
    """Rule catalog.defaults."""
    found = load(tmp_path, HEAD + "    - {name: work, endpoint: /work}\n")
    assert found.queues[("shop", "work")] == Queue(
        "shop", "work", "/work", 5, 3, 5000, 30_000, place=f"{tmp_path}/catalog-info.yaml:5"
    )
    assert found.targets == {"shop": "http://localhost:3000"}


def test_namespace_and_target_follow_options_and_annotation_but_not_the_service_s_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule catalog.namespace, catalog.target."""
    monkeypatch.setenv("SERVICE_NAMESPACE", "another-service")
    text = HEAD.replace("{name: shop}", '{name: shop, annotations: {insureco.io/port: "8080"}}')
    text += "    - {name: work, endpoint: /work}\n"
    assert load(tmp_path, text).targets == {"shop": "http://localhost:8080"}
    found = load(tmp_path, text, namespace="mine", target="https://x:1/base/")
    assert found.targets == {"mine": "https://x:1/base"}


def test_a_catalog_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hundred services, a start spends most of its time in the parser."""
    started = []
    start = yaml.scanner.Scanner.__init__
    monkeypatch.setattr(yaml.scanner.Scanner, "__init__", lambda self: (started.append(self), start(self))[1])
    load(tmp_path, HEAD + "    - &one {name: work, endpoint: /work}\n    - {<<: *one, name: other}\n")
    assert len(started) == 1


def test_several_services_have_a_target_each(tmp_path: Path) -> None:
    """Rule catalog.several."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        text = HEAD.replace("shop", name) + "    - {name: work, endpoint: /work}\n"
        (tmp_path / name / "catalog-info.yml").write_text(text)
    paths, _ = discovery.discover(tmp_path)
    found = loader.load(paths, targets={"b": "http://localhost:9"})
    assert found.targets == {"a": "http://localhost:3000", "b": "http://localhost:9"}
    with pytest.raises(CatalogError, match="--target: there are several services; use --target NAMESPACE=URL"):
        loader.load(paths, target="http://localhost:9")
    with pytest.raises(CatalogError, match="--target: no catalog declares 'c'; declared: a, b"):
        loader.load(paths, targets={"c": "http://localhost:9"})
    with pytest.raises(CatalogError, match="--namespace: there are several services"):
        loader.load(paths, namespace="c")
    with pytest.raises(CatalogError, match=r"--target: 'ftp://x' must be http://HOST"):
        loader.load(paths, targets={"a": "ftp://x"})


def test_two_services_on_one_target_are_a_finding(tmp_path: Path) -> None:
    """Rule catalog.shared-target."""
    text = "\n---\n".join(HEAD.replace("shop", name) + "    - {name: work, endpoint: /work}\n" for name in ("a", "b"))
    (finding,) = load(tmp_path, text).warnings
    assert (finding.code, finding.is_error) == ("shared_target", False)
    assert "b and a have the same target http://localhost:3000" in finding.message
    assert "--target b=URL" in finding.message
    assert load(tmp_path, text, targets={"b": "http://127.0.0.1:3001"}).warnings == ()
    assert load(tmp_path, text, targets={"b": "http://127.0.0.1:3000"}).warnings != (), "the same place by another name"


IN_THE_WILD = {
    "several documents": "kind: API\nspec: {definition: {$text: x}}\n---\n---\n# nothing\n---\n"
    + HEAD + "    - {name: work, endpoint: /work}\n---\nkind: System\n",
    "no queues": "kind: Component\nmetadata: {name: lib}\nspec: {type: library}\n",
    "null queues": "kind: Component\nmetadata: {name: lib}\nspec: {queues: }\n",
    "a list at the top": "- 1\n- 2\n",
    "empty": "",
    "only a comment": "# nothing here\n",
    "anchors and merge": "x: &d {endpoint: /d, retries: 1}\n" + HEAD + "    - {<<: *d, name: work}\n",
    "CRLF": (HEAD + "    - {name: work, endpoint: /work}\n").replace("\n", "\r\n"),
    "BOM": "\ufeff" + HEAD + "    - {name: work, endpoint: /work}\n",
    "unicode": HEAD + "    - {name: work, endpoint: /work} # Größe 漢字\n",
    "foreign tags": "kind: Component\nmetadata: {name: x}\nspec: {other: !Ref thing, when: 2020-01-01, n: .inf}\n",
    "a template": "kind: Template\nspec: {steps: [{if: '${{ x }}'}]}\n",
    "a recursive alias": "x: &x [*x]\n" + HEAD + "    - {name: work, endpoint: /work}\n",
}  # fmt: skip


@pytest.mark.parametrize("case", IN_THE_WILD)
def test_catalogs_in_the_wild_load(tmp_path: Path, case: str) -> None:
    """Rule catalog.documents."""
    load(tmp_path, IN_THE_WILD[case])


def queue(fields: str) -> str:
    return f"{HEAD}    - {{{fields}}}\n"


NUMBERS = [
    '"3"',
    "yes",
    "1:30",
    "0777",
    "1e3",
    ".inf",
    "2020-01-01",
    "null",
    "1.5",
    "true",
    "[1]",
    "{a: 1}",
    "0x10",
]
WRONG_ENDPOINTS = [
    "work",
    "//host/x",
    "http://evil/x",
    "'/a b'",
    '"/a\\tb"',
    "'/a\\b'",
    "'/a#b'",
    "''",
    "5",
    "/ä",
    "/a/../b",
    "/..",
    "/a/./b",
]
ANNOTATED = "shop, annotations: {{insureco.io/port: {}}}"
BAD = [
    *[(queue(f"name: a, endpoint: /a, retries: {value}"), "5:40: wrong_type") for value in NUMBERS],
    (queue("name: a, endpoint: /a, retries: "), "5:39: wrong_type"),
    (queue("name: a, endpoint: /a, retries: -1"), "5:40: out_of_range"),
    (queue("name: a, endpoint: /a, concurrency: 0"), "5:44: out_of_range"),
    (queue("name: a, endpoint: /a, concurrency: 1001"), "5:44: out_of_range"),
    (queue("name: a, endpoint: /a, timeoutMs: 0"), "5:42: out_of_range"),
    (queue("name: a, endpoint: /a, retryDelayMs: 99999999999"), "5:45: out_of_range"),
    (queue("endpoint: /a"), "5:7: missing_name"),
    (queue("name: a"), "5:7: missing_endpoint"),
    *[
        (queue(f"name: {name}, endpoint: /a"), "5:14: wrong_name")
        for name in ("1", "true", "'a b'", "''", "[a]", '"a\\n"', "ä")
    ],
    *[
        (queue(f"name: a, endpoint: {endpoint}"), "5:27: wrong_endpoint")
        for endpoint in WRONG_ENDPOINTS
    ],
    (queue("name: a, endpoint: /a") + "    - {name: a, endpoint: /b}\n", "6:14: duplicate_queue"),
    (queue("name: a, endpoint: /a") + "    - {name: A, endpoint: /b}\n", "6:14: duplicate_queue"),
    (queue("name: a, name: b, endpoint: /a"), "5:17: duplicate_key"),
    (HEAD + "    - work\n", "5:7: wrong_type"),
    (HEAD.replace("queues:\n", "queues: 5\n"), "4:11: wrong_type"),
    (HEAD.replace("queues:\n", "queues: {a: 1}\n"), "4:11: wrong_type"),
    ("kind: Component\nspec: {queues: [{name: a, endpoint: /a}]}\n", "1:1: missing_name"),
    ("kind: Component\nmetadata: {name: 5}\nspec: {queues: []}\n", "2:18: wrong_name"),
    *[
        (queue("name: a, endpoint: /a").replace("shop", ANNOTATED.format(port)), "wrong_port")
        for port in ("0", "65536", "http", "'3000a'", "[1]", "")
    ],
    ("a: [1, 2\nb: 3\n", "invalid_yaml"),
    ("a:\n\tb: 1\n", "2:1: invalid_yaml"),
    ("a: 'x\n", "invalid_yaml"),
    ("a: b: c\n", "1:5: invalid_yaml"),
    ("a: *nobody\n", "1:4: invalid_yaml"),
    ("kind: Component\nmetadata: {name: {{ x }}}\nspec: {queues: []}\n", "2:18: wrong_name"),
    ("a: \x07\n", "1:4: invalid_yaml"),
    ("a: \x00\n", "1:4: invalid_yaml"),
    ("%YAML 9.9\n---\na\n", "invalid_yaml"),
    ("[" * 2000, "too_complex"),
    ("a: &a [x]\nb: [" + "*a, " * 60 + "]\n", "too_complex"),
    ("x: " + "y" * 1_100_000, "too_large"),
    (b"a: \xff\n", "1:1: invalid_utf8"),
    ("? {a: 1}\n: b\n<<: 5\nkind: Component\n", "invalid_yaml"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_wrong_catalog_is_refused_with_its_place_and_code(tmp_path: Path, number: int) -> None:
    """Rule catalog.findings."""
    text, expected = BAD[number]
    with pytest.raises(CatalogError) as caught:
        load(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.findings)
    assert any(expected in line for line in lines), lines


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    """Rule catalog.findings."""
    text = HEAD + "    - {name: a b, endpoint: x, retries: no}\n    - {concurrency: 0}\n"
    with pytest.raises(CatalogError) as caught:
        load(tmp_path, text)
    codes = [finding.code for finding in caught.value.findings]
    assert codes == ["wrong_name", "wrong_endpoint", "wrong_type", "missing_name", "missing_endpoint", "out_of_range"]


def test_a_mistyped_key_is_a_warning_with_the_nearest_valid_name(tmp_path: Path) -> None:
    """Rule catalog.nearest."""
    found = load(tmp_path, queue("name: a, endpoint: /a, retryDelay: 5"))
    assert [str(each).split(": ", 1)[1] for each in found.warnings] == [
        'unknown_key unknown key "retryDelay" (ignored); did you mean "retryDelayMs"?'
    ]
    found = load(tmp_path, HEAD.replace("queues", "queue") + "    - {name: a, endpoint: /a}\n")
    assert 'did you mean "queues"?' in found.warnings[0].message


POISON = [b"", b"&a ", b"*a", b"\t", b"- ", b"{", b"]", b"\xff", b"<<: "]


def test_a_mutated_catalog_gives_a_catalog_or_findings_and_nothing_else(tmp_path: Path) -> None:
    """Rule catalog.no-traceback."""
    whole = (Path(__file__).parents[2] / "sample-service" / "catalog-info.yaml").read_bytes()
    rng = random.Random(7)
    for _ in range(400):
        text = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            text[at : at + rng.randint(0, 3)] = rng.choice(
                [b"", b"&a ", b"*a", b"\t", b"- ", b"{", b"]", b"\xff", b"<<: "]
            )
        try:
            load(tmp_path, bytes(text))
        except CatalogError as error:
            assert error.findings
