"""One line of words for each record, as the tables, tooltips and traces show it."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable
from typing import Any

from virtsim.journal import Record
from virtsim.report.read import number, text
from virtsim.report.units import cut, duration

__all__ = ["describe", "errno_name", "error_text", "exit_text", "field", "signal_name", "state_name"]

#: Longest text of one field on a page; the journal has the rest.
_LONGEST = 400


def field(record: Record, name: str, limit: int = _LONGEST) -> str:
    """A field as text, cut to a length fit for a page; empty where it is absent."""
    return cut(text(record.get(name)), limit)


def ns(record: Record, name: str) -> str:
    """A field in nanoseconds as a duration; empty where it is absent."""
    value = number(record.get(name))
    return "" if value is None else duration(value)


def errno_name(value: Any) -> str:
    """The name of an errno given by number or name; empty for success (0, None or empty)."""
    if not value:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return errno.errorcode.get(value, f"errno {value}")
    return cut(text(value), 40)


def signal_name(value: Any) -> str:
    """The name of a signal given by number or name."""
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return signal.Signals(value).name
        except ValueError:
            return f"signal {value}"
    return cut(text(value), 40)


def error_text(value: Any) -> str:
    """An error field: libvirt's (code and text), QMP's (class and desc), or plain text."""
    if not isinstance(value, dict):
        return cut(text(value), _LONGEST)
    body = next((value[key] for key in ("text", "message", "desc") if value.get(key)), None)
    if body is None:
        return cut(text(value), _LONGEST)
    label = " ".join(
        _label(key, value[key]) for key in ("name", "code", "class") if value.get(key) is not None
    )
    return cut(f"{label}: {text(body)}" if label else text(body), _LONGEST)


def _label(key: str, value: Any) -> str:
    return f"error {text(value)}" if key == "code" else text(value)


def exit_text(record: Record) -> str:
    """How a process ended: ``exit code 1`` or ``killed by SIGKILL``."""
    if record.get("signal"):
        return f"killed by {signal_name(record['signal'])}"
    code = record.get("code")
    return f"exit code {text(code)}" if code is not None else "ended"


def state_name(record: Record) -> str:
    """``RUNNING (BOOTED)``."""
    state, reason = field(record, "state", 40), field(record, "reason", 40)
    return f"{state} ({reason})" if reason else state


def _with(head: str, *parts: str) -> str:
    return " \N{MIDDLE DOT} ".join(part for part in (head, *parts) if part)


def _step_end(record: Record) -> str:
    took = ns(record, "elapsed_ns")
    return _with(
        f"step {field(record, 'step')} {field(record, 'outcome')}",
        f"after {took}" if took else "",
        error_text(record.get("error")),
    )


def _expect(record: Record) -> str:
    verdict = "met" if record.get("ok") is True else "NOT MET"
    return _with(
        f"{verdict}: {field(record, 'what')}",
        f"expected {field(record, 'expected')}",
        f"seen {field(record, 'actual')}",
    )


def _attempt(record: Record) -> str:
    nap = number(record.get("nap_ns")) or 0
    outcome = errno_name(record.get("errno")) or "connected"
    return _with(f"attempt {field(record, 'n')}", f"nap {duration(nap)}" if nap else "no nap", outcome)


def _wait_begin(record: Record) -> str:
    limit = ns(record, "limit_ns")
    return _with(
        f"wait for the monitor, policy {field(record, 'policy')}",
        f"limit {limit}" if limit else "no limit",
        field(record, "path"),
    )


def _leftovers(record: Record) -> str:
    found = [
        f"{key}: {field(record, key)}"
        for key in ("processes", "files", "sockets", "fds", "tasks")
        if record.get(key)
    ]
    return _with("left behind", *found) if found else "nothing left behind"


def _answer(record: Record, name: str) -> str:
    error = error_text(record.get("error"))
    return _with(f"{name} failed" if error else f"{name} returned", error)


def _call(record: Record) -> str:
    args = field(record, "args")
    return f"{field(record, 'api')}({args})"


def _command(record: Record) -> str:
    return _with(f"{field(record, 'name')} [{field(record, 'id', 40)}]", field(record, "args"))


def _job(record: Record) -> str:
    holder, waited = field(record, "held_by"), ns(record, "waited_ns")
    return _with(
        f"job {field(record, 'job')} {field(record, 'op')} for {field(record, 'api')}",
        f"held by {holder}" if holder else "",
        f"waited {waited}" if waited else "",
    )


_WORDS: dict[str, Callable[[Record], str]] = {
    "header": lambda r: f"{field(r, 'clock')} clock, {field(r, 'hypervisor')}, seed {field(r, 'seed')}",
    "step.begin": lambda r: f"step {field(r, 'step')}: {field(r, 'verb')} {field(r, 'target')}".rstrip(),
    "step.end": _step_end,
    "expect": _expect,
    "leftovers": _leftovers,
    "end": lambda r: _with(field(r, "outcome"), field(r, "message")),
    "api.call": _call,
    "api.return": lambda r: _answer(r, field(r, "api")),
    "job": _job,
    "state": state_name,
    "event": lambda r: _with(f"event {field(r, 'event')}", field(r, "detail")),
    "spawn": lambda r: _with(f"pid {field(r, 'pid')}", _argv(r)),
    "exec.failed": lambda r: f"exec failed: {errno_name(r.get('errno'))}",
    "exit": lambda r: f"pid {field(r, 'pid')}: {exit_text(r)}",
    "signal": lambda r: _with(
        f"{signal_name(r.get('signal'))} to pid {field(r, 'pid')}",
        "" if r.get("delivered") in (True, None) else f"delivered: {field(r, 'delivered')}",
    ),
    "wait.begin": _wait_begin,
    "attempt": _attempt,
    "wait.end": lambda r: f"{field(r, 'outcome')} at attempt {field(r, 'n')}",
    "socket": lambda r: f"{field(r, 'what')}: {field(r, 'path')}",
    "qmp.greeting": lambda r: _with("greeting", field(r, "version")),
    "qmp.command": _command,
    "qmp.reply": lambda r: f"{_answer(r, field(r, 'name'))} [{field(r, 'id', 40)}]",
    "qmp.event": lambda r: _with(field(r, "name"), field(r, "data")),
    "qmp.closed": lambda r: f"monitor closed: {field(r, 'reason')}",
    "fault": lambda r: _with(f"rule {field(r, 'rule')}", field(r, "action")),
    "host": lambda r: _with(field(r, "op"), field(r, "detail")),
}


def _argv(record: Record) -> str:
    argv = record.get("argv")
    words = [text(word) for word in argv] if isinstance(argv, list) else [text(argv)]
    return cut(" ".join(words), _LONGEST)


def describe(record: Record) -> str:
    """One line that says what a record says; empty for a kind without words."""
    words = _WORDS.get(record["kind"])
    return words(record) if words is not None else ""
