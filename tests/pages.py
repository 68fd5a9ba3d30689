"""Take the files that a how-to page shows out of it: each code block that begins with a comment naming its file."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```[a-z]*\n(?:#|//) ([\w./-]+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path) -> list[str]:
    """Write the files of a page into a folder; return their names."""
    found = _BLOCK.findall((ROOT / page).read_text())
    for name, text in found:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [name for name, _ in found]
