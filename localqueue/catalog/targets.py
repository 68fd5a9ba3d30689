"""The base URLs of services: `--target URL` and `--target NAMESPACE=URL`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

BASE_URL = (
    r"^[hH][tT][tT][pP][sS]?://"
    r"(\[[0-9a-fA-F:.]+(%[0-9A-Za-z._-]+)?\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"  # an address or a name, and a port
    r"(/[!-\"$->@-\[\]-~]*)?$"  # a path: visible ASCII without # ? and the backslash
)
"""The form of the base URL of a service, for the API's schema, too."""
_ORIGIN = "must be http://HOST[:PORT] or https://HOST[:PORT]"


def split_targets(options: Iterable[str]) -> tuple[str | None, dict[str, str]]:
    """Return the one URL and the URLs by namespace of `URL` and `NAMESPACE=URL`. Raises ValueError."""
    split = [_split(option) for option in options]
    targets = dict(split)
    if len(targets) != len(split) or (None in targets and len(targets) > 1):
        raise ValueError("give one URL, or NAMESPACE=URL once for each namespace")
    single = targets.pop(None, None)
    return single, {name: url for name, url in targets.items() if name is not None}


def _split(option: str) -> tuple[str | None, str]:
    name, separator, url = option.partition("=")
    return (name, url) if separator and "://" not in name else (None, option)


def target_problem(url: str) -> str | None:
    """Return what is wrong with the base URL of a service, or None."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return _ORIGIN
    if parts.username is not None or parts.query or parts.fragment or not _is_plain(url):
        return "must not contain a user, a query, a fragment, a backslash or spaces"
    return None if re.fullmatch(BASE_URL, url) else _ORIGIN


def _is_plain(url: str) -> bool:
    return all("!" <= character <= "~" and character != "\\" for character in url)
