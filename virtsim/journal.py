"""What a run writes down: versioned records, one JSON object a line.

Knows the kinds of record and their fields. Must not know who writes or reads them.

Every record has ``t`` (nanoseconds on the run's clock), ``actor`` (a domain's name, or ``run`` or ``host``)
and ``kind``; a run on the real clock adds ``wall`` (nanoseconds since the epoch). `KINDS` lists
the further fields.
``call`` ties records to the API call that caused them; ``id`` ties a QMP reply to its command. The same
scenario, seed and version write the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

__all__ = ["KINDS", "SCHEMA", "Journal", "JournalError", "Record", "read_journal"]

#: Name and version of the format; the first record of every journal carries it.
SCHEMA = "virtsim/journal@1"

Record: TypeAlias = dict[str, Any]

#: kind -> the fields it has besides t, actor and kind. A field ending in "?" may be absent.
KINDS: dict[str, tuple[str, ...]] = {
    # -- the run
    "header": (
        "schema",
        "version",
        "scenario",
        "seed",
        "clock",
        "hypervisor",
        "policy",
        "domains",
        "replay?",
    ),
    "step.begin": ("step", "verb", "target?", "line?"),
    "step.end": ("step", "outcome", "elapsed_ns", "error?"),
    "expect": ("step?", "what", "ok", "expected", "actual"),
    "leftovers": ("processes", "files", "sockets", "fds", "tasks"),
    "end": ("outcome", "message?"),
    # -- the API
    "api.call": ("call", "api", "args?", "step?"),
    "api.return": ("call", "api", "error?"),
    "job": ("op", "job", "api", "call?", "held_by?", "waited_ns?"),
    "state": ("state", "reason", "call?"),
    "event": ("event", "detail?"),
    # -- processes
    "spawn": ("pid", "argv", "call?"),
    "exec.failed": ("errno", "call?"),
    "exit": ("pid", "code?", "signal?"),
    "signal": ("pid", "signal", "delivered"),
    # -- waiting for the monitor
    "wait.begin": ("policy", "limit_ns", "path", "call?"),
    "attempt": ("n", "nap_ns", "errno", "call?"),
    "wait.end": ("n", "outcome", "call?"),
    "socket": ("path", "what"),
    # -- the conversation
    "qmp.greeting": ("version?",),
    "qmp.command": ("id", "name", "args?", "call?"),
    "qmp.reply": ("id", "name", "error?", "call?"),
    "qmp.event": ("name", "data?"),
    "qmp.closed": ("reason",),
    # -- the fake and the world around
    "fault": ("rule", "action"),
    "host": ("op", "detail?"),
}


class JournalError(Exception):
    """A journal that cannot be read, with the file and line."""


class Journal:
    """Writes records in order, to memory and (when given a file) to disk.

    Args:
        now_ns: the run's clock.
        sink: text file to write to, or None to keep the lines in memory only.
        wall_ns: wall clock whose readings are added to each record, or None on the virtual clock.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        sink: IO[str] | None = None,
        wall_ns: Callable[[], int] | None = None,
    ) -> None:
        self.records: list[Record] = []
        self._now_ns = now_ns
        self._wall_ns = wall_ns
        self._sink = sink

    def observe(self, kind: str, actor: str, fields: Mapping[str, Any]) -> None:
        """Write one record now. Raises KeyError for an unknown kind: that is a bug of the caller."""
        if kind not in KINDS:
            raise KeyError(kind)
        record: Record = {"t": self._now_ns(), "actor": actor, "kind": kind, **fields}
        if self._wall_ns is not None:
            record["wall"] = self._wall_ns()
        self.records.append(record)
        if self._sink is not None:
            self._sink.write(encode(record))


def encode(record: Record) -> str:
    """One line of a journal, with its newline."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str) + "\n"


def read_journal(path: Path) -> Iterator[Record]:
    """Read a journal's records in order.

    A last line that was cut off (the writer was killed) is left out.

    Raises:
        JournalError: not a journal, of another version, or damaged before its last line.
    """
    with path.open(encoding="utf-8") as lines:
        previous: str | None = None
        for number, line in enumerate(lines, 1):
            if previous is not None:
                yield _decode(previous, path, number - 1)
            previous = line
        if previous is None:
            raise JournalError(f"{path}: the journal is empty")
        if previous.endswith("\n"):
            yield _decode(previous, path, number)


def _decode(line: str, path: Path, number: int) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise JournalError(f"{path}:{number}: not a journal record: {error}") from error
    if not isinstance(record, dict) or record.get("kind") not in KINDS:
        raise JournalError(f"{path}:{number}: not a journal record")
    if number == 1 and record.get("schema") != SCHEMA:
        raise JournalError(f"{path}:1: expected a journal of version {SCHEMA}")
    return record
