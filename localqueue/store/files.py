"""Create and lock the files on disk; only their owner can read them."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path

from localqueue.core.errors import DatabaseInUse, DatabaseUnusable

FOLDER = ".localqueue"


def _unusable(path: Path, error: OSError) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"can't use {path}: {error.strerror}",
        "Use another database file (--db PATH) or a temporary one (--ephemeral).",
    )


def check_name(db: Path) -> None:
    """Refuse a path that names no file, such as `:memory:`. Raises DatabaseUnusable."""
    if not db.name or str(db).startswith((":", "file:")):
        name = "an empty path" if not db.name else str(db)
        raise DatabaseUnusable(f"{name} isn't a database file", "For a temporary database: --ephemeral")


def prepare_folder(path: Path) -> None:
    """Create the folder of a path. `.localqueue` is private and ignored by git. Raises DatabaseUnusable."""
    folder = path.parent
    try:
        if folder.name == FOLDER:
            folder.parent.mkdir(parents=True, exist_ok=True)
            _make_private_folder(folder)
        else:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error


def _make_private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _check_owned(folder)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def prepare(db: Path) -> None:
    """Create the database file, readable by its owner only. Raises DatabaseUnusable."""
    try:
        _prepare_file(db)
    except OSError as error:
        raise _unusable(db, error) from error


def write_private(path: Path, text: str) -> None:
    """Write a small file that only its owner can read. Raises DatabaseUnusable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise _unusable(path, error) from error


def _check_owned(folder: Path) -> None:
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise DatabaseUnusable(f"{folder} is not a folder", "Remove it, or use another file: --db PATH")
    if info.st_uid != os.getuid():
        raise DatabaseUnusable(f"{folder} belongs to another user", "Use another file: --db PATH")
    folder.chmod(0o700)


def _prepare_file(db: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(db, flags, 0o600)
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise DatabaseUnusable(f"{db} isn't a regular file", "Use another file: --db PATH")
        if info.st_uid == os.getuid():
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


class Lock:
    """The lock of a database for one server; the system releases it however the process ends."""

    def __init__(self, db: Path) -> None:
        self._path = db.with_name(db.name + ".lock")
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock. Raises DatabaseInUse, which names the holder, and DatabaseUnusable."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise DatabaseUnusable(f"can't open the lock file {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            self.close()
            raise DatabaseInUse(
                f"the database {self._path.with_suffix('')} is in use by another localqueue{holder}",
                "Stop that server, or use another file: --db PATH",
            ) from None

    def write_holder(self, port: int) -> None:
        """Write who holds the lock, for the message that a second server shows."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "port": port}).encode(), 0)

    def close(self) -> None:
        """Release the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _holder(self) -> str:
        try:
            holder = json.loads(os.pread(self._descriptor, 1000, 0))
            return f", pid {int(holder['pid'])}, port {int(holder['port'])}"
        except (ValueError, KeyError, TypeError):
            return ", which has just started"
