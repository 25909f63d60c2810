"""YAML 1.2 with a place for everything: plain values, and the line and column each of them stands at.

Knows YAML (through ruamel.yaml's event stream). Must not know what a scenario is.

A document comes from outside, so it is bounded in size, nesting and number of nodes after its aliases are
expanded; whatever is wrong with it is a `Mistake`, never a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Document",
    "Mistake",
    "MistakesError",
    "Place",
    "parse_document",
]

#: The largest scenario file that is read; the largest shipped one has a few KiB.
MAX_BYTES = 1 << 20
#: How deep collections may nest.
MAX_DEPTH = 32
#: How many values a document may have once its aliases are expanded (a "billion laughs" has a billion).
MAX_NODES = 50_000

#: Where a value stands: keys and indices from the root.
Place: TypeAlias = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """Something wrong in a file; line and column count from 1, ``str()`` is ``file:line:column: message``."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class MistakesError(Exception):
    """One or more files cannot be used; ``mistakes`` has everything that is wrong with them, in order."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes))
        super().__init__("\n".join(map(str, self.mistakes)))


@dataclass(slots=True)
class Document:
    """A parsed document.

    Attributes:
        file: the name to use in messages.
        data: plain dicts, lists, strings, numbers, booleans and None.
        keys: where the key that leads to a place stands, as (line, column) from 1.
        values: where the value at a place begins.
    """

    file: str
    data: Any = None
    keys: dict[Place, tuple[int, int]] = field(default_factory=dict)
    values: dict[Place, tuple[int, int]] = field(default_factory=dict)

    def mistake(self, place: Place, message: str, *, key: bool = False) -> Mistake:
        """A mistake at a place, or at the nearest enclosing one that is known."""
        table = self.keys if key else self.values
        if place in table:
            return Mistake(self.file, *table[place], message)
        for size in range(len(place), -1, -1):
            known = self.values.get(place[:size])
            if known is not None:
                return Mistake(self.file, *known, message)
        return Mistake(self.file, 1, 1, message)


def read_bounded(path: Path, name: str, limit: int) -> bytes:
    """The bytes of a file of at most ``limit`` bytes.

    Raises:
        MistakesError: it is missing, unreadable, not a regular file, or too large.
    """
    try:
        if path.is_dir():
            raise MistakesError([Mistake(name, 1, 1, "this is a directory")])
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise MistakesError([Mistake(name, 1, 1, f"cannot be read: {error.strerror}")]) from error
    if len(data) > limit:
        raise MistakesError([Mistake(name, 1, 1, f"is larger than {limit} bytes")])
    return data


def parse_document(data: bytes, name: str) -> Document:
    """Parse one YAML document.

    Args:
        data: the file's bytes.
        name: what to call the file in messages.

    Raises:
        MistakesError: it is not UTF-8, not YAML, empty, too deep, too large once expanded, or has a key
        twice.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MistakesError([Mistake(name, line, 1, "is not UTF-8")]) from error
    composer = _Composer(Document(name))
    try:
        composer.compose(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = " ".join(str(part).strip() for part in (error.context, error.problem) if part)
        raise MistakesError([Mistake(name, line, column, f"not valid YAML: {message}")]) from error
    except (YAMLError, ValueError) as error:
        first = (str(error).splitlines() or ["unreadable"])[0]
        raise MistakesError([Mistake(name, 1, 1, f"not valid YAML: {first}")]) from error
    if composer.mistakes:
        raise MistakesError(composer.mistakes)
    return composer.document


@dataclass(slots=True)
class _Open:
    """A collection that is being filled."""

    place: Place
    value: Any
    anchor: str | None
    key: str | None = None
    waiting_for_key: bool = True


class _Stop(Exception):
    """Composing cannot go on."""


class _Composer:
    """Builds plain values from YAML events without recursion."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.mistakes: list[Mistake] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Place, Any]] = {}
        self._nodes = 0
        self._documents = 0

    def compose(self, events: Iterator[Any]) -> None:
        """Take in all events; what is wrong ends up in ``mistakes``."""
        try:
            for event in events:
                self._event(event)
        except _Stop:
            return
        if self._documents == 0:
            self._wrong((1, 1), "the document is empty")

    def _event(self, event: Any) -> None:
        at = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._wrong(at, "a second document: one file holds one scenario")
                raise _Stop
        elif isinstance(event, ScalarEvent):
            value = self._scalar(event, at)
            place = self._put(value, at, scalar=event)
            self._remember(event.anchor, place, value)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._refuse_tag(event, at)
            container: dict[Any, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
            if len(self._stack) >= MAX_DEPTH:
                self._wrong(at, f"nested deeper than {MAX_DEPTH} levels")
                raise _Stop
            place = self._put(container, at)
            self._stack.append(_Open(place, container, event.anchor))
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            done = self._stack.pop()
            self._remember(done.anchor, done.place, done.value)
        elif isinstance(event, AliasEvent):
            self._alias(event, at)

    def _count(self, at: tuple[int, int], nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._wrong(at, f"more than {MAX_NODES} values once aliases are expanded")
            raise _Stop

    def _remember(self, anchor: str | None, place: Place, value: Any) -> None:
        if anchor is not None:
            self._anchors[anchor] = (place, value)

    def _alias(self, event: Any, at: tuple[int, int]) -> None:
        if event.anchor not in self._anchors:
            self._wrong(at, f"*{event.anchor} refers to an anchor that is not (or not yet) there")
            self._put(None, at)
            return
        _, value = self._anchors[event.anchor]
        self._count(at, _size(value, MAX_NODES))
        self._put(_copy(value), at)

    def _put(self, value: Any, at: tuple[int, int], scalar: Any = None) -> Place:
        """Hang a value into the collection that is open; returns its place."""
        self._count(at, 1)
        if not self._stack:
            self.document.data = value
            self.document.values[()] = at
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            place = (*top.place, len(top.value))
            top.value.append(value)
            self.document.values[place] = self.document.keys[place] = at
            return place
        if top.waiting_for_key:
            return self._put_key(top, at, scalar)
        top.waiting_for_key = True
        if top.key is None:  # its key was a mistake
            return top.place
        place = (*top.place, top.key)
        top.value[top.key] = value
        self.document.values[place] = at
        return place

    def _put_key(self, top: _Open, at: tuple[int, int], scalar: Any) -> Place:
        top.waiting_for_key = False
        if scalar is None:
            self._wrong(at, "a key must be a word")
            raise _Stop
        key = str(scalar.value)
        if key in top.value:
            self._wrong(at, f"{key!r} is here for the second time")
            top.key = None
            return top.place
        top.key = key
        top.value[key] = None
        place = (*top.place, key)
        self.document.keys[place] = at
        return place

    def _scalar(self, event: Any, at: tuple[int, int]) -> Any:
        """A scalar's value by YAML 1.2's core schema."""
        text = str(event.value)
        self._refuse_tag(event, at, "tag:yaml.org,2002:str")
        if not event.implicit[0] or event.tag is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if len(text) > 40:
            return text
        if _INT.match(text):
            return int(text, 0) if text[:2] in {"0o", "0x"} else int(text, 10)
        return float(text) if _FLOAT.match(text) else text

    def _refuse_tag(self, event: Any, at: tuple[int, int], allowed: str = "") -> None:
        """A tag could ask for an object to be built; the only one that is understood is ``!!str``."""
        if event.tag is not None and str(event.tag) != allowed:
            self._wrong(at, f"the tag {event.tag} means nothing here")

    def _wrong(self, at: tuple[int, int], message: str) -> None:
        self.mistakes.append(Mistake(self.document.file, *at, message))


def _size(value: Any, limit: int) -> int:
    """How many values a value holds, itself included; stops counting beyond the limit."""
    total, todo = 0, [value]
    while todo and total <= limit:
        item = todo.pop()
        total += 1
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return total


def _copy(value: Any) -> Any:
    """A copy that shares nothing; the depth was bounded when the value was composed."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
