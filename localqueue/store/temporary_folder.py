"""Temporary folders that don't outlive their process for long."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "localqueue-"
LOCK = "owner.lock"
MIN_AGE_S = 60
"""Younger folders are left alone: their owner may not have locked them yet."""


class TemporaryFolder:
    """A private folder that `close` removes; if the process was killed, the next TemporaryFolder removes it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _try_lock(self.path)
        _remove_abandoned(self.path.parent, self.path.stat().st_mtime)

    def close(self) -> None:
        """Remove the folder and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _remove_abandoned(parent: Path, now_s: float) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            info = folder.lstat()
            is_old = info.st_uid == os.getuid() and now_s - info.st_mtime > MIN_AGE_S
            if is_old and (folder / LOCK).exists():
                _remove_if_unlocked(folder)
        except OSError:  # somebody else removed it
            continue


def _remove_if_unlocked(folder: Path) -> None:
    lock = _try_lock(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """Return the descriptor of the folder's lock, or None if another process holds it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
