"""Build the single binary and the npm tarballs for this platform: `make binary`, `make npm`."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
WORK = ROOT / "build" / "binary"
EXCLUDED = ("pytest", "_pytest", "setuptools", "pkg_resources", "pip", "tkinter", "zstandard")
UNUSED = ("libtinfo*", "libncursesw*", "libreadline*", "readline.*", "_curses*", "_codecs_*", "_tkinter*")
LEVEL = 9


def version() -> str:
    """Return the version of the source tree."""
    sys.path.insert(0, str(ROOT))
    from localqueue import __version__

    return __version__


def platform_name() -> str:
    """Return the platform in the terms of Node: linux-x64, darwin-arm64."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine())
    return f"{sys.platform}-{machine}"


def make_folder() -> Path:
    """Return a folder with the executable and everything that it needs, made by PyInstaller."""
    shutil.rmtree(WORK, ignore_errors=True)
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "--onedir", "--strip"]
    command += ["--name", "localqueue", "--distpath", str(WORK / "dist"), "--workpath", str(WORK / "work")]
    command += ["--specpath", str(WORK), "--collect-data", "localqueue", "--collect-submodules", "localqueue"]
    command += ["--collect-data", "tzdata", *(f"--exclude-module={name}" for name in EXCLUDED)]
    subprocess.run([*command, str(ROOT / "packaging/entry.py")], check=True, cwd=WORK.parent)
    folder = WORK / "dist" / "localqueue"
    for pattern in UNUSED:
        for path in folder.rglob(pattern):
            path.unlink()
    return folder


def archive(folder: Path) -> bytes:
    """Return a folder as a tar.gz that depends on nothing but its content."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=LEVEL, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder), recursive=False, filter=_anonymous)
    return buffer.getvalue()


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.mode & 0o100 else 0o644
    return info


def make_binary(folder: Path) -> Path:
    """Write the single file: a launcher with the archive behind it."""
    content = archive(folder)
    text = (ROOT / "packaging/launcher.sh").read_text()
    values = {"VERSION": version(), "PLATFORM": platform_name(), "HASH": hashlib.sha256(content).hexdigest()[:16]}
    values["LINES"] = str(text.count("\n") + 1)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    path = DIST / "localqueue"
    DIST.mkdir(exist_ok=True)
    path.write_bytes(text.encode() + content)
    path.chmod(0o755)
    return path


def make_npm(folder: Path) -> list[Path]:
    """Write the tarballs of the npm package and of this platform's executable."""
    name = f"localqueue-{platform_name()}"
    target, packages = DIST / "npm", WORK / "npm"
    shutil.rmtree(packages, ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "npm/localqueue", packages / "localqueue")
    shutil.copytree(folder, packages / name / "localqueue", symlinks=True)
    (packages / name / "package.json").write_text(json.dumps(_platform_package(name), indent=2) + "\n")
    for package in (packages / "localqueue", packages / name):
        shutil.copy(ROOT / "LICENSE", package)
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", str(target)], cwd=package, check=True)
    return [target / f"{each}-{version()}.tgz" for each in ("localqueue", name)]


def _platform_package(name: str) -> dict[str, object]:
    system, _, machine = platform_name().partition("-")
    return {
        "name": name,
        "version": version(),
        "description": f"The executable of localqueue for {platform_name()}.",
        "license": "MIT",
        "os": [system],
        "cpu": [machine],
        "preferUnplugged": True,
    }


def main() -> None:
    """Build what the arguments say: binary, npm, or both."""
    wanted = sys.argv[1:] or ["binary", "npm"]
    os.chdir(ROOT)
    (ROOT / "build").mkdir(exist_ok=True)
    folder = make_folder()
    made = [make_binary(folder)] if "binary" in wanted else []
    made += make_npm(folder) if "npm" in wanted else []
    for path in made:
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
