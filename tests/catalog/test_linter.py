"""The rules of `check`: the page docs/check-rules.md is their test, and correct files have no findings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from localqueue.catalog import linter
from tests.support import localqueue

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/check-rules.md").read_text()
SECTIONS = {part.split("\n", 1)[0]: part for part in PAGE.split("\n## ")[1:] if "```yaml" in part}
CODE = re.compile(
    r"""(?:\.at|\.add|BadYaml|Finding)\([^()]*(?:\([^()]*\))?[^"()]*"([a-z]+_[a-z_]+|template|unreadable)\""""
)


def example(code: str, name: str) -> str:
    found = re.search(rf"^```yaml\n# {name}\n(.*?)^```", SECTIONS[code], re.DOTALL | re.MULTILINE)
    assert found is not None
    whole = {"kind": "Component", "metadata": {"name": "claims"}} | yaml.safe_load(found[1])
    return yaml.safe_dump({key: value for key, value in whole.items() if value is not None}, sort_keys=False)


def findings(folder: Path, text: str) -> list[dict[str, object]]:
    (folder / "catalog-info.yaml").write_text(text)
    found = localqueue("check", str(folder), "--format", "json")
    return list(json.loads(found.stdout)["findings"])


@pytest.mark.parametrize("code", SECTIONS)
def test_each_example_is_found_and_its_correction_is_not(tmp_path: Path, code: str) -> None:
    """Rule check.rules: no finding on a correct file."""
    found = findings(tmp_path, example(code, "wrong"))
    assert code in [each["code"] for each in found]
    level = "error" if re.search(r"^Error\.", SECTIONS[code], re.MULTILINE) else "warning"
    if re.search(r"^(Error|Warning)\.", SECTIONS[code], re.MULTILINE):
        assert {each["level"] for each in found if each["code"] == code} == {level}
    assert findings(tmp_path, example(code, "right")) == []


def test_every_code_is_on_the_page() -> None:
    """Rule check.rules."""
    codes = set()
    for path in (ROOT / "localqueue/catalog").glob("*.py"):
        source = path.read_text()
        codes |= set(CODE.findall(source))
    assert {"public_endpoint", "wrong_cron", "invalid_yaml", "shared_target", "template"} <= codes
    assert [code for code in sorted(codes) if f"`{code}`" not in PAGE and code not in SECTIONS] == []


@pytest.mark.parametrize(
    ("route", "is_public"),
    [
        ("/internal/jobs/work", True),
        ("POST /internal/jobs/work", True),
        ("/internal/*", True),
        ("/internal/:kind/work", True),
        ("/{any}/jobs/{queue}", True),
        ("/internal/jobs/work/", True),
        ("/internal", False),
        ("/internal/jobs/workers", False),
        ("/:only/work", False),
        ("internal/jobs/work", False),
        ("/internal.jobs.work", False),
    ],
)
def test_a_route_is_compared_with_its_parameters_and_wildcards(tmp_path: Path, route: str, is_public: bool) -> None:
    """Rule check.rules."""
    spec = {
        "routes": [{"path": route, "auth": "none"}],
        "queues": [{"name": "work", "endpoint": "/internal/jobs/work?x=1"}],
        "internalDependencies": ["iec-queue"],
    }
    path = tmp_path / "catalog-info.yaml"
    path.write_text(yaml.safe_dump({"kind": "Component", "metadata": {"name": "shop"}, "spec": spec}))
    assert [finding.code for finding in linter.lint([path])] == (["public_endpoint"] if is_public else [])


def test_other_kinds_and_the_sample_service_have_no_findings(tmp_path: Path) -> None:
    """Rule check.rules."""
    path = tmp_path / "catalog-info.yaml"
    path.write_text("kind: API\nmetadata: {name: x}\n---\nkind: Location\nspec: {targets: [./a]}\n")
    assert linter.lint([path, ROOT / "sample-service/catalog-info.yaml", tmp_path / "missing.yaml"]) == []
