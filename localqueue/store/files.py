"""Look after the files on disk: folder, permissions, lock. Nobody but their owner can read them."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from pathlib import Path

from localqueue.core.errors import DatabaseInUse, DatabaseUnusable

FOLDER = ".localqueue"


def _unusable(path: Path, error: OSError) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"can't use {path}: {error.strerror}",
        "Choose another database file with --db PATH, or --ephemeral for a temporary one.",
    )


def prepare_folder(path: Path) -> None:
    """Make sure that the folder `.localqueue` of a path is there, private, and ignored by git.

    Raises DatabaseUnusable where it can't be ours. Any other folder must exist already.
    """
    folder = path.parent
    if folder.name != FOLDER:
        return
    try:
        _make_folder(folder)
    except OSError as error:
        raise _unusable(folder, error) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _check_owned(folder)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def prepare(db: Path) -> None:
    """Make sure that the database file exists and is readable by its owner only.

    Raises DatabaseUnusable where it can't be ours.
    """
    try:
        _prepare_file(db)
    except OSError as error:
        raise _unusable(db, error) from error


def write_private(path: Path, text: str) -> None:
    """Write a small file that its owner alone can read. Raises DatabaseUnusable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise _unusable(path, error) from error


def _check_owned(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise DatabaseUnusable(f"{folder} is not a folder", "Remove it, or choose another file with --db PATH.")
    if found.st_uid != os.getuid():
        raise DatabaseUnusable(f"{folder} belongs to another user", "Choose another file with --db PATH.")
    folder.chmod(0o700)


def _prepare_file(db: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(db, flags, 0o600)
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def temporary() -> Path:
    """Return a database path in a new private folder."""
    return Path(tempfile.mkdtemp(prefix="localqueue-")) / "queue.db"


class Lock:
    """Hold a database for one server; the system releases it when the process ends, however it ends."""

    def __init__(self, db: Path) -> None:
        self._path = db.with_name(db.name + ".lock")
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock, or raise DatabaseInUse naming the holder, or DatabaseUnusable."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise DatabaseUnusable(f"can't open the lock file {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            self.release()
            raise DatabaseInUse(
                f"the database {self._path.with_suffix('')} is in use: already running{holder}",
                "Stop that one, or choose another file with --db PATH.",
            ) from None

    def tell(self, port: int) -> None:
        """Write who holds the lock, for the message that a second server shows."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "port": port}).encode(), 0)

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _holder(self) -> str:
        try:
            found = json.loads(os.pread(self._descriptor, 1000, 0))
            return f", pid {int(found['pid'])}, port {int(found['port'])}"
        except (ValueError, KeyError, TypeError):
            return " (it has only just started)"
