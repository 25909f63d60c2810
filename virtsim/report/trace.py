"""A run as a trace that Perfetto (ui.perfetto.dev) opens: Chrome's trace event format, times in microseconds.

Each domain is a process named ``domain (scenario)``, its times those of the run's clock. Asynchronous slices
show API calls, states, naps, jobs and QMP commands, each category on its own track; instants show attempts,
events, signals and faults. Flow arrows go from an API call to the QMP commands made for it, and from a
command to the event that it causes.

The format ties arrows to slices of a thread, so each process has one thread, "sequence", with a short slice
for each link of a chain. Where a scenario has more domains than `MAX_PROCESSES`, those of the very same
course share one process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from virtsim.journal import Record
from virtsim.report.read import Source, clean, number
from virtsim.report.scenarios import header_of
from virtsim.report.words import describe, errno_name, error_text, field, signal_name, state_name

__all__ = ["MAX_PROCESSES", "Event", "trace_events", "write_trace"]

Event = dict[str, Any]

#: A scenario with more domains than this has one process for all domains of one course.
MAX_PROCESSES = 50

_SEQUENCE_TID = 1

#: Length of a slice that arrows can be tied to, in microseconds.
_LINK_US = 1

#: QMP event -> the commands that cause it, as QEMU's QAPI documents say.
_CAUSES = {
    "RESUME": ("cont",),
    "STOP": ("stop",),
    "RESET": ("system_reset",),
    "POWERDOWN": ("system_powerdown",),
    "SHUTDOWN": ("system_powerdown", "quit"),
    "BALLOON_CHANGE": ("balloon",),
    "DEVICE_DELETED": ("device_del",),
}

_INSTANTS = {
    "attempt": "wait",
    "socket": "wait",
    "qmp.event": "qmp",
    "qmp.greeting": "qmp",
    "qmp.closed": "qmp",
    "event": "event",
    "signal": "process",
    "spawn": "process",
    "exit": "process",
    "exec.failed": "process",
    "fault": "fault",
    "expect": "expect",
}


def write_trace(out: IO[str], groups: Iterable[Iterable[Event]]) -> None:
    """Write the document, one event a line, as the groups arrive."""
    out.write('{"displayTimeUnit":"ms","otherData":{"clock":"the run\'s own, from 0"},"traceEvents":[')
    encode = json.JSONEncoder(separators=(",", ":")).encode
    separator = "\n"
    for events in groups:
        for event in events:
            out.write(separator + encode(event))
            separator = ",\n"
    out.write("\n]}\n")


def trace_events(
    source: Source, first_pid: int, twins: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Event]:
    """The events of one scenario; its actors are processes numbered from ``first_pid``.

    Args:
        source: the scenario's journal.
        first_pid: number of the first process.
        twins: for a scenario of many domains: a domain -> others with the very same course, which are left
            out and counted in the domain's name.
    """
    header = header_of(source)
    twins = twins or {}
    left_out = {name for names in twins.values() for name in names}
    by_actor: dict[str, list[Record]] = {}
    for record in source.records:
        by_actor.setdefault(clean(record["actor"]), []).append(record)
    for offset, (actor, records) in enumerate(by_actor.items()):
        if actor not in left_out:
            more = f" and {len(twins[actor]):,} like it" if twins.get(actor) else ""
            name = f"{actor}{more} ({header.scenario})"
            yield from _Process(first_pid + offset, name).events(records)


def _us(ns: int) -> int | float:
    return ns // 1000 if ns % 1000 == 0 else ns / 1000


class _Process:
    """Makes the events of one actor."""

    def __init__(self, pid: int, name: str) -> None:
        self._pid = pid
        self._name = name
        self._slices = 0
        self._flows = 0
        self._open: dict[tuple[str, str], tuple[int, str]] = {}
        self._calls: dict[str, int] = {}
        self._commands: dict[str, int] = {}

    def events(self, records: Sequence[Record]) -> Iterator[Event]:
        """All events, metadata first."""
        yield self._meta("process_name", {"name": self._name})
        yield self._meta("process_sort_index", {"sort_index": self._pid})
        yield self._meta("thread_name", {"name": "sequence"})
        end_ns = 0
        for record in records:
            end_ns = record["t"]
            yield from self._slice(record)
            yield from self._links(record)
            category = _INSTANTS.get(record["kind"])
            if category is not None:
                yield self._instant(record, category)
        for category, key in list(self._open):
            yield from self._end(category, key, end_ns, {"unfinished": True})

    # -- slices

    def _slice(self, record: Record) -> Iterator[Event]:
        kind, at_ns = record["kind"], record["t"]
        opening = _OPENINGS.get(kind)
        if kind == "state":
            yield from self._end("state", "", at_ns, {})
        if opening is not None:
            category, key, name = opening
            yield self._begin(category, field(record, key, 80) if key else "", at_ns, name(record), record)
        elif kind in _CLOSINGS:
            category, key = _CLOSINGS[kind]
            yield from self._end(category, field(record, key, 80) if key else "", at_ns, _result(record))
        elif kind == "job":
            yield from self._job(record)
        elif kind == "attempt":
            yield from self._nap(at_ns, number(record["nap_ns"]) or 0)

    def _nap(self, at_ns: int, nap_ns: int) -> Iterator[Event]:
        if nap_ns > 0:
            yield self._begin("nap", "", max(0, at_ns - nap_ns), "nap")
            yield from self._end("nap", "", at_ns, {})

    def _job(self, record: Record) -> Iterator[Event]:
        key = f"{field(record, 'job', 40)} {field(record, 'api', 80)}"
        if record["op"] == "begin":
            yield self._begin("job", key, record["t"], field(record, "job", 40), record)
        elif record["op"] == "end":
            yield from self._end("job", key, record["t"], {})
        else:
            yield self._instant(record, "job")

    def _begin(self, category: str, key: str, at_ns: int, name: str, record: Record | None = None) -> Event:
        self._slices += 1
        self._open[category, key] = (self._slices, name)
        args = {"what": describe(record)} if record is not None else {}
        return self._async(category, self._slices, name, {"ph": "b", "ts": _us(at_ns), "args": args})

    def _end(self, category: str, key: str, at_ns: int, args: dict[str, Any]) -> Iterator[Event]:
        opened = self._open.pop((category, key), None)
        if opened is not None:
            rest = {"ph": "e", "ts": _us(at_ns), "args": args}
            yield self._async(category, opened[0], opened[1], rest)

    def _async(self, category: str, slice_number: int, name: str, rest: Event) -> Event:
        identity = {"local": f"0x{slice_number:x}"}
        return {
            "cat": category,
            "name": name,
            "id2": identity,
            "pid": self._pid,
            "tid": _SEQUENCE_TID,
            **rest,
        }

    # -- instants and arrows

    def _instant(self, record: Record, category: str) -> Event:
        return {
            "ph": "i",
            "s": "p",
            "cat": category,
            "name": _instant_name(record),
            "pid": self._pid,
            "tid": _SEQUENCE_TID,
            "ts": _us(record["t"]),
            "args": {"what": describe(record)},
        }

    def _links(self, record: Record) -> Iterator[Event]:
        """A link slice for each member of a chain, and the arrow that leads to it."""
        kind, call = record["kind"], str(record.get("call"))
        if kind == "api.call":
            yield self._link(record, field(record, "api", 80))
            self._calls[call] = record["t"]
        elif kind == "qmp.command":
            yield self._link(record, field(record, "name", 80))
            if call in self._calls:
                yield from self._arrow(self._calls[call], record["t"], "API call to QMP command")
            self._commands[field(record, "name", 80)] = record["t"]
        elif kind == "qmp.event":
            yield self._link(record, field(record, "name", 80))
            causes = [
                self._commands[name]
                for name in _CAUSES.get(field(record, "name", 80), ())
                if name in self._commands
            ]
            if causes:
                yield from self._arrow(max(causes), record["t"], "QMP command to event")

    def _link(self, record: Record, name: str) -> Event:
        return {
            "ph": "X",
            "cat": record["kind"],
            "name": name,
            "pid": self._pid,
            "tid": _SEQUENCE_TID,
            "ts": _us(record["t"]),
            "dur": _LINK_US,
            "args": {"what": describe(record)},
        }

    def _arrow(self, from_ns: int, to_ns: int, name: str) -> Iterator[Event]:
        self._flows += 1
        for phase, at_ns in (("s", from_ns), ("f", to_ns)):
            yield {
                "ph": phase,
                **({"bp": "e"} if phase == "f" else {}),
                "cat": "flow",
                "name": name,
                "id": f"{self._pid}.{self._flows}",
                "pid": self._pid,
                "tid": _SEQUENCE_TID,
                "ts": _us(at_ns),
            }

    def _meta(self, name: str, args: dict[str, Any]) -> Event:
        return {"ph": "M", "name": name, "pid": self._pid, "tid": _SEQUENCE_TID, "ts": 0, "args": args}


def _result(record: Record) -> dict[str, Any]:
    error = error_text(record.get("error"))
    outcome = field(record, "outcome", 80)
    return {name: value for name, value in (("error", error), ("outcome", outcome)) if value}


def _step_name(record: Record) -> str:
    return f"{field(record, 'verb', 40)} {field(record, 'target', 80)}".rstrip()


#: kind -> category, the field that tells slices apart (or none), and how the slice is called.
_OPENINGS: dict[str, tuple[str, str, Callable[[Record], str]]] = {
    "api.call": ("api", "call", lambda record: field(record, "api", 80)),
    "qmp.command": ("qmp", "id", lambda record: field(record, "name", 80)),
    "state": ("state", "", state_name),
    "wait.begin": ("wait", "", lambda record: f"wait {field(record, 'policy', 60)}"),
    "step.begin": ("step", "step", _step_name),
}

#: kind -> category and key field of the slice it ends.
_CLOSINGS = {
    "api.return": ("api", "call"),
    "qmp.reply": ("qmp", "id"),
    "wait.end": ("wait", ""),
    "step.end": ("step", "step"),
}


def _instant_name(record: Record) -> str:
    match record["kind"]:
        case "attempt":
            return errno_name(record["errno"]) or "connected"
        case "signal":
            return signal_name(record["signal"])
        case "event":
            return " ".join(
                part for part in (field(record, "event", 60), field(record, "detail", 60)) if part
            )
        case "qmp.event":
            return field(record, "name", 80)
        case "socket":
            return f"socket {field(record, 'what', 40)}"
        case kind:
            return str(kind)
