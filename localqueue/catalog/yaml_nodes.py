"""Read YAML into nodes that know their line and column, within bounds."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml

from localqueue.core.text import safe

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_ALIASES = 50
WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")


class BadYaml(Exception):
    """A problem in a YAML text and its position; line and column count from 1."""

    def __init__(self, line: int, column: int, code: str, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.code, self.message = line, column, code, message


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its value in a mapping."""

    key: yaml.Node
    value: yaml.Node


class _Composer(yaml.composer.Composer, yaml.resolver.Resolver):
    """A composer of parsed events: to parse the text again would double the time."""

    def __init__(self, events: Iterable[yaml.Event]) -> None:
        yaml.composer.Composer.__init__(self)
        yaml.resolver.Resolver.__init__(self)
        self._events = deque(events)

    def roots(self) -> list[yaml.Node]:
        """Return the root of every document."""
        roots = []
        while self.check_node():
            roots.append(self.get_node())
        return [root for root in roots if root is not None]

    def check_event(self, *kinds: type[yaml.Event]) -> bool:
        return bool(self._events) and isinstance(self._events[0], kinds)

    def peek_event(self) -> yaml.Event:
        return self._events[0]

    def get_event(self) -> yaml.Event:
        return self._events.popleft()


def compose(raw: bytes) -> list[yaml.Node]:
    """Return the root of every document. Raises BadYaml."""
    text = _decode(raw)
    try:
        roots = _Composer(_events(text)).roots()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadYaml(*where, "invalid_yaml", error.problem or "invalid YAML") from None
    except yaml.reader.ReaderError as error:
        raise _unreadable(text, error) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadYaml(1, 1, "invalid_yaml", f"invalid YAML: {error}") from None
    for root in roots:
        _check_duplicates(root)
    return roots


def pairs(node: yaml.Node | None) -> list[Pair]:
    """Return the members of a mapping, merge keys (`<<`) resolved; none for another node."""
    if not isinstance(node, yaml.MappingNode):
        return []
    if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
        try:
            yaml.constructor.SafeConstructor().flatten_mapping(node)
        except (yaml.YAMLError, RecursionError) as error:
            raise BadYaml(*position(node), "invalid_yaml", f"invalid merge: {error}") from None
    return [Pair(key, value) for key, value in node.value]


def get(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """Return the value of a key of a mapping, or None."""
    value = None
    for pair in pairs(node):
        if isinstance(pair.key, yaml.ScalarNode) and pair.key.value == name:
            value = pair.value  # a merged key comes before the mapping's own
    return value


def text(node: yaml.Node | None) -> str | None:
    """Return the text of a node, or None if it isn't a text."""
    is_text = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"
    return node.value if is_text and node is not None else None


def is_null(node: yaml.Node) -> bool:
    """Return whether a node is empty."""
    return bool(node.tag == "tag:yaml.org,2002:null")


def is_int(node: yaml.Node) -> bool:
    """Return whether a node is a whole number in decimal notation."""
    return node.tag == "tag:yaml.org,2002:int" and bool(WHOLE.fullmatch(node.value))


def described(node: yaml.Node) -> str:
    """Return what a node is, for messages."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if text(node) is not None:
        return f'"{safe(node.value, 60)}"'
    return safe(node.value, 60) or "empty"


def position(node: yaml.Node) -> tuple[int, int]:
    """Return line and column of a node, counted from 1."""
    return node.start_mark.line + 1, node.start_mark.column + 1


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise BadYaml(1, 1, "too_large", f"the file has {len(raw)} bytes; the limit is {MAX_BYTES}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadYaml(line, 1, "invalid_utf8", "not UTF-8 text") from None


def _unreadable(text: str, error: yaml.reader.ReaderError) -> BadYaml:
    before = text[: error.position]
    column = len(before) - (before.rfind("\n") + 1) + 1
    return BadYaml(before.count("\n") + 1, column, "invalid_yaml", "control characters are not allowed")


def _events(text: str) -> list[yaml.Event]:
    """Return the events within the bounds: composing is recursive, and aliases multiply. Raises BadYaml."""
    events = []
    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        events.append(event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            mark = event.start_mark
            where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            what = (
                f"is nested deeper than {MAX_DEPTH} levels"
                if depth > MAX_DEPTH
                else f"has more than {MAX_ALIASES} aliases"
            )
            raise BadYaml(*where, "too_complex", f"the file {what}")
    return events


def _check_duplicates(root: yaml.Node) -> None:
    for node in _walk(root):
        seen: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            first = seen.setdefault(key.value, key)
            if first is not key:
                message = f'duplicate key "{safe(key.value, 60)}", first in line {position(first)[0]}'
                raise BadYaml(*position(key), "duplicate_key", message)


def _walk(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Yield every mapping once, even if aliases form circles."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
