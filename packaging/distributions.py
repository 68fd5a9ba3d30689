"""Build the sdist and the wheel, the same bytes for the same source: `make dist`."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "localqueue")


def make_distributions(target: Path) -> list[Path]:
    """Write the sdist, and the wheel that is built from it, into a folder; return both."""
    with tempfile.TemporaryDirectory() as name:
        source, built = Path(name, "source"), Path(name, "built")
        _export(source)
        command = [sys.executable, "-m", "build", "--outdir", str(built), str(source)]
        env = os.environ | {"SOURCE_DATE_EPOCH": str(_date())}
        found = subprocess.run(command, env=env, capture_output=True, text=True)
        if found.returncode:
            sys.exit(found.stdout + found.stderr)
        (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
        target.mkdir(parents=True, exist_ok=True)
        (target / sdist.name).write_bytes(_normalized(sdist))
        (target / wheel.name).write_bytes(wheel.read_bytes())
    return [target / sdist.name, target / wheel.name]


def _git(*words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or str(error)
        sys.exit(f"Error: only files that git knows are shipped, so the build needs git and a clone\n{why}")


def _export(folder: Path) -> None:
    """Copy what is shipped, as it is in the working tree, without what git doesn't know."""
    for name in _git("ls-files", "-z", "--", *SHIPPED).split("\0")[:-1]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, path)
        path.chmod(0o644)


def _date() -> int:
    """Return the time of the last commit: archives have it instead of the time of the build."""
    return int(_git("log", "-1", "--format=%ct"))


def _normalized(sdist: Path) -> bytes:
    """Return an sdist that depends on nothing but its files: setuptools writes the time of the build into it."""
    buffer = io.BytesIO()
    with (
        tarfile.open(sdist) as found,
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=_date()) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for info in sorted(found.getmembers(), key=lambda member: member.name):
            info.mtime, info.uid, info.gid, info.uname, info.gname, info.pax_headers = _date(), 0, 0, "", "", {}
            tar.addfile(info, found.extractfile(info) if info.isfile() else None)
    return buffer.getvalue()


if __name__ == "__main__":
    for path in make_distributions(Path(sys.argv[1] if sys.argv[1:] else ROOT / "dist")):
        print(f"{path.name}  {path.stat().st_size / 1e3:.0f} kB")
