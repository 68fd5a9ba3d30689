"""Let schemathesis compare a server with its OpenAPI document: `python -m tests.campaigns.openapi --seconds 60`."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.support import serving, write_catalog

VERSION = "4.32.5"
FOLDER = Path(__file__).parents[2] / ".venv-openapi"
CONFIG = Path(__file__).with_name("openapi.toml")


def main() -> int:
    """Return the exit code: 0 if the document is true."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.openapi", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for random requests; the fixed ones come first")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="it repeats a run")
    given = parser.parse_args()
    program = _install()
    with tempfile.TemporaryDirectory() as name:
        write_catalog(Path(name), retries=1)
        with serving(Path(name), "--ephemeral", "--clock", "virtual") as server:
            command = [
                *(str(program), "--config-file", str(CONFIG), "run", f"{server.url}/_localqueue/openapi.json"),
                *("--max-time", str(given.seconds), "--seed", str(given.seed), "--continue-on-failure", "--no-color"),
            ]
            return subprocess.run(command, cwd=name, check=False).returncode


def _install() -> Path:
    """Install schemathesis into an environment of its own: as a pytest plugin it would change every other test."""
    ready = FOLDER / VERSION
    if not ready.exists():
        venv.create(FOLDER, clear=True, with_pip=True)
        pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"schemathesis=={VERSION}"], check=True)
        ready.touch()
    return FOLDER / "bin" / "schemathesis"


if __name__ == "__main__":
    sys.exit(main())
