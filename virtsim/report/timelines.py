"""Turns the records of one domain into its timeline: spans, marks, waits and the rows of its table.

Knows what each kind of record looks like in time. Must not know pixels or pages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from virtsim.journal import Record
from virtsim.report.figures import Attempt, Mark, Row, Span, Timeline, Wait
from virtsim.report.read import number
from virtsim.report.units import duration
from virtsim.report.words import describe, errno_name, error_text, exit_text, field, signal_name, state_name

__all__ = ["MAX_ITEMS", "MAX_ROWS", "build_timeline", "course", "waits_of"]

#: Rows of a domain's table; the rest is in its journal.
MAX_ROWS = 250

#: Spans, and marks, of one timeline. A start has some 40 of each; a domain polled for an hour is cut here.
MAX_ITEMS = 1_500

#: Overlapping spans of one lane are stacked this high.
_MAX_STACK = 5

#: A timeline with this many attempts over at least this long opens in logarithmic time.
_LOG_ATTEMPTS, _LOG_NS = 6, 1_000_000_000

_STATE_TONES = {
    "RUNNING": "ok",
    "BLOCKED": "ok",
    "PAUSED": "warn",
    "SHUTDOWN": "dim",
    "SHUTOFF": "dim",
    "NOSTATE": "dim",
    "CRASHED": "bad",
    "PMSUSPENDED": "info",
}

#: Fields that differ between domains of one course: names, numbers given out, and paths.
_OWN_FIELDS = frozenset(
    {"t", "actor", "kind", "pid", "path", "call", "argv", "args", "wall", "data", "step", "id"}
)


#: A name of one or two letters is part of too many words to be taken out of them safely.
_SHORT_NAME = 2


def course(records: Sequence[Record], name: str) -> str:
    """A fingerprint of what happened to a domain and when; equal for domains that differ in name only."""
    digest = hashlib.blake2b(digest_size=16)
    for record in records:
        digest.update(f"\n{record['t']} {record['kind']}".encode())
        for key, value in record.items():
            if key in _OWN_FIELDS:
                continue
            words = value if isinstance(value, str) else json.dumps(value, default=str)
            if not isinstance(value, int) and len(name) > _SHORT_NAME:
                words = words.replace(name, "\0")
            digest.update(f" {key}={words}".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def waits_of(records: Sequence[Record]) -> tuple[Wait, ...]:
    """The monitor waits of a domain, with their attempts."""
    waits: list[Wait] = []
    begin: Record | None = None
    attempts: list[Attempt] = []

    def close(end: Record | None) -> None:
        nonlocal begin, attempts
        if begin is not None:
            waits.append(
                Wait(
                    begin["t"],
                    end["t"] if end else None,
                    field(begin, "policy", 60),
                    number(begin.get("limit_ns")),
                    field(end, "outcome", 60) if end else "",
                    tuple(attempts),
                )
            )
        begin, attempts = None, []

    for record in records:
        match record["kind"]:
            case "wait.begin":
                close(None)
                begin = record
            case "attempt":
                if begin is None:  # a journal that lost its wait.begin still shows the attempts
                    begin = record
                nap = number(record["nap_ns"]) or 0
                attempts.append(Attempt(record["t"], nap, errno_name(record["errno"])))
            case "wait.end":
                close(record)
    close(None)
    return tuple(waits)


def build_timeline(records: Sequence[Record]) -> Timeline:
    """The timeline of one domain from its records, in order and not empty."""
    waits = waits_of(records)
    begin_ns, end_ns = records[0]["t"], records[-1]["t"]
    drawing = _Drawing()
    for record in records:
        drawing.take(record)
    drawing.finish()
    rows = list(_rows(records))
    attempts = sum(len(wait.attempts) for wait in waits)
    return Timeline(
        origin_ns=waits[0].begin_ns if waits else begin_ns,
        begin_ns=begin_ns,
        end_ns=max(end_ns, begin_ns + 1),
        logarithmic=attempts >= _LOG_ATTEMPTS and end_ns - begin_ns >= _LOG_NS,
        waits=waits,
        spans=tuple(_stacked(drawing.spans))[:MAX_ITEMS],
        marks=tuple(drawing.marks)[:MAX_ITEMS],
        rows=tuple(row for row, _ in rows[:MAX_ROWS]),
        more_rows=sum(count for _, count in rows[MAX_ROWS:]),
    )


class _Drawing:
    """Collects spans and marks while the records go by."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.marks: list[Mark] = []
        self._open: dict[tuple[str, Any], tuple[int, str, str]] = {}

    def take(self, record: Record) -> None:
        """Draw one record."""
        draw = _DRAW.get(record["kind"])
        if draw is not None:
            draw(self, record)

    def finish(self) -> None:
        """Leave what is still open open-ended."""
        for (lane, _), (begin_ns, label, detail) in self._open.items():
            tone = _tone_of_state(label) if lane == "state" else "busy"
            self.spans.append(Span(lane, begin_ns, None, label, tone, detail))
        self._open.clear()

    def begin(self, lane: str, key: Any, record: Record, label: str, detail: str = "") -> None:
        """Open a span of a lane under a key."""
        self._open[lane, key] = (record["t"], label, detail)

    def end(self, lane: str, key: Any, record: Record, tone: str, detail: str = "") -> bool:
        """Close a span; False if none was open under this key."""
        opened = self._open.pop((lane, key), None)
        if opened is None:
            return False
        begin_ns, label, before = opened
        both = " \N{RIGHTWARDS ARROW} ".join(part for part in (before, detail) if part)
        self.spans.append(Span(lane, begin_ns, record["t"], label, tone, both))
        return True

    def mark(self, lane: str, record: Record, label: str, tone: str, shape: str) -> None:
        """Draw a mark where the record stands."""
        self.marks.append(Mark(lane, record["t"], label, tone, shape, describe(record)))

    # -- one method for each kind that needs more than a mark

    def state(self, record: Record) -> None:
        previous = self._open.get(("state", ""))
        if previous is not None:
            self.end("state", "", record, _tone_of_state(previous[1]))
        self.begin("state", "", record, state_name(record))

    def api_call(self, record: Record) -> None:
        self.begin("api", _key(record["call"]), record, field(record, "api", 60), describe(record))

    def api_return(self, record: Record) -> None:
        error = error_text(record.get("error"))
        if not self.end("api", _key(record["call"]), record, "bad" if error else "ok", error or "returned"):
            self.mark("api", record, field(record, "api", 60), "bad" if error else "ok", "square")

    def job(self, record: Record) -> None:
        word, key = field(record, "op", 20), (field(record, "job"), field(record, "api"))
        if word in {"begin", "acquire", "acquired", "start"}:
            self.begin("job", key, record, key[0], describe(record))
        elif word not in {"end", "release", "released", "finish"} or not self.end("job", key, record, "info"):
            tone = "bad" if word in {"timeout", "refused", "failed"} else "warn"
            self.mark("job", record, f"{key[0]} {word}", tone, "square")

    def spawn(self, record: Record) -> None:
        pid = field(record, "pid", 20)
        self.begin("process", pid, record, f"pid {pid}", describe(record))

    def exit(self, record: Record) -> None:
        clean_end = record.get("code") == 0
        pid = field(record, "pid", 20)
        self.end("process", pid, record, "ok" if clean_end else "warn", exit_text(record))
        self.mark("process", record, exit_text(record), "dim" if clean_end else "bad", "cross")

    def qmp_command(self, record: Record) -> None:
        self.begin("qmp", field(record, "id", 60), record, field(record, "name", 60), describe(record))

    def qmp_reply(self, record: Record) -> None:
        error = error_text(record.get("error"))
        if not self.end("qmp", field(record, "id", 60), record, "bad" if error else "ok", error):
            self.mark("qmp", record, field(record, "name", 60), "warn", "square")

    def expect(self, record: Record) -> None:
        if record["ok"] is not True:
            self.mark("event", record, "expectation not met", "bad", "cross")


def _key(value: Any) -> str:
    return str(value)


def _tone_of_state(label: str) -> str:
    return _STATE_TONES.get(label.partition(" ")[0].upper(), "info")


def _marker(lane: str, tone: str, shape: str, name: str | None) -> Callable[[_Drawing, Record], None]:
    """Draws a mark whose label is the field ``name``, or the whole line of words."""

    def draw(drawing: _Drawing, record: Record) -> None:
        label = field(record, name, 60) if name is not None else describe(record)
        drawing.mark(lane, record, label, tone, shape)

    return draw


def _signal(drawing: _Drawing, record: Record) -> None:
    drawing.mark("process", record, signal_name(record.get("signal")), "warn", "down")


_DRAW: dict[str, Callable[[_Drawing, Record], None]] = {
    "state": _Drawing.state,
    "api.call": _Drawing.api_call,
    "api.return": _Drawing.api_return,
    "job": _Drawing.job,
    "spawn": _Drawing.spawn,
    "exit": _Drawing.exit,
    "signal": _signal,
    "exec.failed": _marker("process", "bad", "cross", None),
    "socket": _marker("wait", "info", "up", "what"),
    "qmp.command": _Drawing.qmp_command,
    "qmp.reply": _Drawing.qmp_reply,
    "qmp.greeting": _marker("qmp", "info", "diamond", None),
    "qmp.event": _marker("qmp", "info", "up", "name"),
    "qmp.closed": _marker("qmp", "dim", "cross", None),
    "event": _marker("event", "info", "flag", "event"),
    "fault": _marker("fault", "bad", "down", "action"),
    "host": _marker("fault", "dim", "dot", "op"),
    "expect": _Drawing.expect,
}


def _stacked(spans: Sequence[Span]) -> list[Span]:
    """Give overlapping spans of one lane different rows, in the order in which they begin."""
    placed: list[Span] = []
    ends: dict[str, list[int]] = {}
    for span in sorted(spans, key=lambda item: (item.begin_ns, item.lane)):
        rows = ends.setdefault(span.lane, [])
        end_ns = span.end_ns if span.end_ns is not None else 1 << 63
        row = next((index for index, free_ns in enumerate(rows) if free_ns <= span.begin_ns), len(rows))
        if row < len(rows):
            rows[row] = end_ns
        elif row < _MAX_STACK:
            rows.append(end_ns)
        else:
            row = _MAX_STACK - 1
        placed.append(Span(span.lane, span.begin_ns, span.end_ns, span.label, span.tone, span.detail, row))
    return placed


def _rows(records: Sequence[Record]) -> list[tuple[Row, int]]:
    """The lines of the table and how many records each stands for; like attempts in a row share one."""
    rows: list[tuple[Row, int]] = []
    run: list[Record] = []

    def flush() -> None:
        if len(run) > 2:
            rows.append((_attempt_run(run), len(run)))
        else:
            rows.extend((_row(record), 1) for record in run)
        run.clear()

    for record in records:
        if run and not (record["kind"] == "attempt" and _alike(record, run[-1])):
            flush()
        if record["kind"] == "attempt":
            run.append(record)
        else:
            rows.append((_row(record), 1))
    flush()
    return rows


def _alike(one: Record, other: Record) -> bool:
    return bool(one["nap_ns"] == other["nap_ns"] and one["errno"] == other["errno"])


def _row(record: Record) -> Row:
    return Row(record["t"], record["kind"], describe(record))


def _attempt_run(run: Sequence[Record]) -> Row:
    first, last = run[0], run[-1]
    words = (
        f"attempts {field(first, 'n')} to {field(last, 'n')}, the last at {duration(last['t'])}"
        f" \N{MIDDLE DOT} nap {duration(number(first['nap_ns']) or 0)}"
        f" \N{MIDDLE DOT} {errno_name(first['errno']) or 'connected'}"
    )
    return Row(first["t"], "attempt", words)
