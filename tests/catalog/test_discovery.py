"""Which catalog files are used when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from localqueue.catalog import discovery

QUEUES = "kind: Component\nmetadata: {name: shop}\nspec:\n  queues:\n    - {name: work, endpoint: /work}\n"
SCHEDULES = "kind: Component\nmetadata: {name: shop}\nspec:\n  schedules: [{name: nightly}]\n"
LOCATION = "kind: Location\nspec: {targets: [./apps]}\n"


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".") / "catalog-info.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def discovered(folder: Path) -> list[str]:
    return [str(path.parent.relative_to(folder)) for path in discovery.discover(folder)[0]]


@pytest.mark.parametrize("text", [QUEUES, SCHEDULES, "kind: Component\nspec: {queues: [\n"])
def test_the_catalog_of_the_folder_is_used_if_it_declares_queues_or_schedules(tmp_path: Path, text: str) -> None:
    """Rule catalog.discovery: also if it is broken, so that the error is reported."""
    write(tmp_path, apps__a=QUEUES)
    (tmp_path / "catalog-info.yaml").write_text(text)
    assert discovered(tmp_path) == ["."]


def test_a_root_catalog_without_queues_does_not_hide_those_below(tmp_path: Path) -> None:
    """Rule catalog.discovery."""
    (tmp_path / "catalog-info.yaml").write_text(LOCATION)
    write(tmp_path, apps__a=QUEUES, services__team__b=QUEUES, libs__c=LOCATION)
    assert discovered(tmp_path) == ["apps/a", "services/team/b"]


def test_only_three_levels_are_searched_and_no_folders_of_templates_or_packages(tmp_path: Path) -> None:
    """Rule catalog.discovery."""
    write(tmp_path, a__b__c=QUEUES, a__b__c__d=QUEUES, node_modules__x=QUEUES, _DOT_git__x=QUEUES)
    write(tmp_path, templates__x=QUEUES, t__skeleton=QUEUES, t__template=QUEUES)
    assert discovered(tmp_path) == ["a/b/c"]


def test_a_file_with_template_expressions_is_skipped_with_a_note(tmp_path: Path) -> None:
    """Rule catalog.discovery."""
    write(tmp_path, a=QUEUES, b=QUEUES.replace("shop", "${{ values.name }}"))
    paths, notes = discovery.discover(tmp_path)
    assert [path.parent.name for path in paths] == ["a"]
    assert [(note.code, note.is_error) for note in notes] == [("template", False)]
    assert "b/catalog-info.yaml: skipped" in str(notes[0])


def test_without_any_queue_the_catalog_of_the_folder_is_used(tmp_path: Path) -> None:
    """Rule catalog.discovery."""
    assert discovered(tmp_path) == []
    (tmp_path / "catalog-info.yaml").write_text(LOCATION)
    assert discovered(tmp_path) == ["."]
