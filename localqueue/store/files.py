"""Create the files on disk; only their owner can read them."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from localqueue.core.errors import DatabaseUnusable

FOLDER = ".localqueue"


def unusable(path: Path, error: OSError) -> DatabaseUnusable:
    """Return the error for a file that the system refuses."""
    return DatabaseUnusable(
        f"can't use {path}: {error.strerror}",
        "Use another database file (--db PATH) or a temporary one (--ephemeral).",
    )


def check_name(db: Path) -> None:
    """Refuse a path that names no file: a folder, or `:memory:`. Raises DatabaseUnusable."""
    if os.path.isdir(db):  # unlike Path.is_dir, it takes names that are too long
        raise DatabaseUnusable(
            f"{db} isn't a database file but a folder",
            f"Name a file in it: --db {shlex.quote(str(db / 'queue.db'))}, or use a temporary database: --ephemeral",
        )
    if str(db).startswith((":", "file:")):
        raise DatabaseUnusable(f"{db} isn't a database file", "For a temporary database: --ephemeral")


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
        raise unusable(folder, error) from error


def _make_private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _check_owned(folder)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        write_private(ignore, "*\n")  # whole or not at all: a full disk must not leave an empty one


def open_private(path: Path) -> int:
    """Open a regular file that only its owner can read, or create it. Raises DatabaseUnusable."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(path, error) from error
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode):
        os.close(descriptor)
        raise DatabaseUnusable(f"{path} isn't a regular file", "Use another file: --db PATH")
    if info.st_uid == os.getuid():
        os.fchmod(descriptor, 0o600)
    return descriptor


def write_private(path: Path, text: str) -> None:
    """Write a small file that only its owner can read; readers see the whole text or none. Raises DatabaseUnusable."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(part, flags, 0o600), "w") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise unusable(path, error) from error


def _check_owned(folder: Path) -> None:
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise DatabaseUnusable(f"{folder} is not a folder", "Remove it, or use another file: --db PATH")
    if info.st_uid != os.getuid():
        raise DatabaseUnusable(f"{folder} belongs to another user", "Use another file: --db PATH")
    folder.chmod(0o700)
