"""Database files and temporary folders: which paths work, and what a killed run leaves behind."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localqueue.core.errors import DatabaseUnusable
from localqueue.store import files, temporary_folder
from localqueue.store.database_lock import DatabaseLock
from localqueue.store.temporary_folder import TemporaryFolder
from tests.support import Server, serving, write_catalog


def test_the_folder_of_a_database_is_created(tmp_path: Path) -> None:
    """Rule storage.file."""
    write_catalog(tmp_path)
    with serving(tmp_path, "--db", "jobs/today/queue.db") as server:
        server.enqueue()
    assert (tmp_path / "jobs/today/queue.db").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (":memory:", ":memory: isn't a database file\n"),
        ("file:x?mode=memory", "file:x?mode=memory isn't a database file\n"),
        (".", ". isn't a database file but a folder\nName a file in it: --db queue.db, or"),
        ("", ". isn't a database file but a folder\n"),
        ("..", ".. isn't a database file but a folder\nName a file in it: --db ../queue.db, or"),
    ],
)
def test_a_database_that_is_not_a_file_is_refused_and_leaves_nothing_behind(
    tmp_path: Path, name: str, message: str
) -> None:
    """Rule storage.file."""
    write_catalog(tmp_path)
    code, error = Server(tmp_path, "--port", "0", f"--db={name}").finish()
    assert (code, "Traceback" in error) == (1, False)
    assert f"Error: {message}" in error and "--ephemeral" in error
    assert [path.name for path in tmp_path.iterdir()] == ["catalog-info.yaml"]


@pytest.mark.parametrize("kind", ["fifo", "long"])
def test_a_path_that_can_not_be_a_database_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    """Rule storage.foreign-file."""
    write_catalog(tmp_path)
    name = "pipe" if kind == "fifo" else "x" * 5000
    if kind == "fifo":
        os.mkfifo(tmp_path / name)
    code, error = Server(tmp_path, "--port", "0", "--db", name).finish()
    assert (code, "Traceback" in error) == (1, False), error
    assert name[:40] in error


def test_the_temporary_folder_of_a_killed_run_is_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule storage.ephemeral."""
    code = "import os, signal; from localqueue.store.temporary_folder import TemporaryFolder as T; "
    code += "print(T().path, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    young = TemporaryFolder()
    assert left.is_dir(), "a young folder may belong to a process that hasn't locked it yet"
    monkeypatch.setattr(temporary_folder, "MIN_AGE_S", -1)
    other = TemporaryFolder()
    assert not left.exists()
    assert young.path.is_dir(), "its owner is alive"
    young.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_lets_a_lock_be_marked_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule stop.signals."""
    lock = DatabaseLock(tmp_path / "queue.db")
    lock.acquire()
    lock.write_holder(4327, is_open=True)

    def full(*_: object) -> None:
        raise DatabaseUnusable("can't use it: No space left on device")

    monkeypatch.setattr(files, "write_private", full)
    lock.mark_closed(4327)
    lock.close()


def test_a_small_file_that_cannot_be_written_whole_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule cli.no-server: a command that reads it meanwhile finds the server."""
    path = tmp_path / "server.json"
    files.write_private(path, "before")
    monkeypatch.setattr(Path, "replace", lambda *_: os.link("nothing", "nowhere"))
    with pytest.raises(DatabaseUnusable):
        files.write_private(path, "after")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow, as on a full disk: it can be created, but stays empty."""
    limit, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))


def test_a_folder_that_a_full_disk_left_behind_ignores_itself_in_git_after_the_next_start(tmp_path: Path) -> None:
    """Rule security.files."""
    db = tmp_path / ".localqueue" / "queue.db"
    with full_disk(), pytest.raises(DatabaseUnusable):
        files.prepare_folder(db)
    assert list(db.parent.iterdir()) == []
    files.prepare_folder(db)
    assert (db.parent / ".gitignore").read_text() == "*\n"
