"""The watchers: what a scenario expects, held against the journal of what happened.

Knows the kinds of journal records and the grammar's expectations. Must not know how a step is acted: a
watcher sees nothing but records, so the same judgement can be passed on a journal that was read from a
file.

**On the real clock exact times become bounds**, because a real nap is longer than asked for and a real
process takes time to start: a duration of E may take from 0.95 E - 5 ms to 1.25 E + 2 s; a number of
attempts n may be anything from half of it to n + 3 (a list of attempts is judged by its length). Orders,
states, events, errors and QMP commands stay exact.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fakeqemu.scripts.units import format_duration
from virtsim.errors import VirtsimError
from virtsim.journal import Record
from virtsim.sim.grammar import Bounds, ErrorExpect, RunExpect, StateExpect, StepExpect

__all__ = ["Check", "Failure", "StepWindow", "check_run", "check_step"]

#: See the module's docstring.
REAL_SHORTER, REAL_EARLY_NS = 0.95, 5_000_000
REAL_LONGER, REAL_LATE_NS = 1.25, 2_000_000_000
REAL_FEWER, REAL_MORE = 0.5, 3

#: Where a state begins that was never noted: defined and not started.
FIRST_STATE = ("SHUTOFF", "UNKNOWN")

_CALL_KINDS = {"api.call", "api.return"}


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what was seen instead, in words and JSON values."""

    what: str
    ok: bool
    expected: Any
    actual: Any
    step: str = ""

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, saw {self.actual}"


@dataclass(frozen=True, slots=True)
class Failure:
    """The error a call ended in, as the journal and expectations have it."""

    code: str
    text: str

    @classmethod
    def of(cls, error: VirtsimError) -> Failure:
        """The failure that an error of the library is."""
        return cls(error.code.name, error.text)

    def __str__(self) -> str:
        return f"{self.code} {self.text!r}"


class StepWindow:
    """The part of a journal that one step is judged by.

    Args:
        step: its number. targets: the domains it was about; empty for a step about none, whose window
        holds everybody's records. records: everything from its begin to its end, also of others that ran
        at the same time. failures: domain -> the error its part of the step ended in. states: domain ->
        state and reason at the end of the step.
    """

    def __init__(
        self,
        step: str,
        targets: tuple[str, ...],
        records: Sequence[Record],
        failures: Mapping[str, Failure],
        states: Mapping[str, tuple[str, str]],
    ) -> None:
        self.targets = targets
        self.records = records
        self.failures = failures
        self.states = states
        # Sorted once: a step may be about a thousand domains.
        self._by_target: dict[str, list[Record]] = {}
        self._by_actor: dict[tuple[str, str], list[Record]] = {}
        owner: dict[int, str] = {}
        for record in records:
            self._by_actor.setdefault((record["kind"], record["actor"]), []).append(record)
            call = record.get("call")
            if record["kind"] == "api.call" and record.get("step") == step:
                owner[record["call"]] = record["actor"]
            if call in owner:
                self._by_target.setdefault(owner[call], []).append(record)

    def of_calls(self, kind: str, target: str) -> list[Record]:
        """The records of a kind that the step's API calls for a domain caused."""
        return [record for record in self._by_target.get(target, ()) if record["kind"] == kind]

    def of(self, kind: str, targets: Sequence[str]) -> list[Record]:
        """The records of a kind about some domains; about anybody where there are none."""
        if len(targets) == 1:
            return self._by_actor.get((kind, targets[0]), [])
        wanted = set(targets)
        return [
            record
            for record in self.records
            if record["kind"] == kind and (not wanted or record["actor"] in wanted)
        ]

    def elapsed_ns(self, target: str | None) -> int:
        """How long the step took for a domain: its API call, or the whole step where there was none."""
        calls = [
            record["t"] for record in self._by_target.get(target or "", ()) if record["kind"] in _CALL_KINDS
        ]
        times = calls or [self.records[0]["t"], self.records[-1]["t"]]
        return int(times[-1] - times[0])


def check_step(
    expect: StepExpect, window: StepWindow, *, real: bool, returned: Any = None, succeeded: int = 0
) -> Iterator[Check]:
    """Judge one step: each line of its expectation for each of its domains, and whether it failed unasked."""
    if expect.succeed is not None:
        yield Check("succeed", succeeded == expect.succeed, expect.succeed, succeeded)
    targets: Sequence[str | None] = window.targets or (None,)
    many = len(targets) > 1
    for target in targets:
        name = f"{target}: " if many else ""
        for check in _check_target(expect, window, target, real=real):
            yield Check(name + check.what, check.ok, check.expected, check.actual)
    if expect.events is not None:
        yield _check_events(expect.events, window.of("event", window.targets))
    if expect.returns is not None:
        yield Check("returns", returned == expect.returns, expect.returns, returned)


def _check_target(
    expect: StepExpect, window: StepWindow, target: str | None, *, real: bool
) -> Iterator[Check]:
    failure = window.failures.get(target or "")
    yield from _check_error(expect.error, failure)
    if target is not None:
        state, reason = window.states.get(target, FIRST_STATE)
        yield from _check_state(expect.state, expect.reason, state, reason)
    if expect.elapsed is not None:
        yield _check_duration("elapsed", expect.elapsed, window.elapsed_ns(target), real=real)
    if target is None:
        return
    if expect.attempts is not None:
        yield _check_attempts(expect.attempts, window, target, real=real)
    if expect.limit is not None:
        yield _check_limit(expect.limit, window, target)
    if expect.qmp is not None:
        sent = [record["name"] for record in window.of_calls("qmp.command", target)]
        yield Check("qmp", sent == expect.qmp, expect.qmp, sent)
    if expect.signals is not None:
        yield _check_signals(expect.signals, window, target, real=real)


def check_run(
    expect: RunExpect,
    records: Sequence[Record],
    states: dict[str, tuple[str, str]],
    instances: dict[str, tuple[str, ...]],
    *,
    real: bool,
) -> Iterator[Check]:
    """Judge the whole run, from the begin of its first step to the end of its last one."""
    events = [record for record in records if record["kind"] == "event"]
    if expect.events is not None:
        yield _check_events(expect.events, events)
    if expect.event_counts is not None:
        for name, number in expect.event_counts.items():
            seen = sum(1 for event in events if "/".join(_event_words(event)[1:]) == name)
            yield Check(f"number of {name}", seen == number, number, seen)
    for written, wanted in expect.states.items():
        for name in instances[written]:
            yield from _check_final_state(name, wanted, states.get(name, FIRST_STATE))
    if expect.elapsed is not None:
        elapsed = records[-1]["t"] - records[0]["t"] if records else 0
        yield _check_duration("elapsed", expect.elapsed, elapsed, real=real)


def _check_final_state(name: str, wanted: StateExpect, seen: tuple[str, str]) -> Iterator[Check]:
    for check in _check_state(wanted.state, wanted.reason, *seen):
        yield Check(f"{name}: {check.what} at the end", check.ok, check.expected, check.actual)


def _check_error(expect: ErrorExpect | None, failure: Failure | None) -> Iterator[Check]:
    seen = str(failure) if failure is not None else "success"
    if expect is None:
        if failure is not None:
            yield Check("outcome", ok=False, expected="success", actual=seen)
        return
    if failure is None and expect.optional:
        return
    if failure is None:
        yield Check("error", ok=False, expected=_wanted(expect), actual=seen)
        return
    ok = (
        (expect.code is None or expect.code == failure.code)
        and (expect.text is None or expect.text == failure.text)
        and (expect.matches is None or re.search(expect.matches, failure.text) is not None)
    )
    yield Check("error", ok, _wanted(expect), seen)


def _wanted(expect: ErrorExpect) -> str:
    parts = [expect.code or ""]
    if expect.text is not None:
        parts.append(repr(expect.text))
    if expect.matches is not None:
        parts.append(f"a text matching {expect.matches!r}")
    return " ".join(part for part in parts if part) or "an error"


def _check_state(state: str | None, reason: str | None, seen_state: str, seen_reason: str) -> Iterator[Check]:
    if state is not None:
        yield Check("state", state == seen_state, state, seen_state)
    if reason is not None:
        wanted = reason.upper().replace("-", "_")
        yield Check("reason", wanted == seen_reason, wanted, seen_reason)


def _check_duration(what: str, wanted: Bounds, seen: int, *, real: bool) -> Check:
    low, high = wanted.min, wanted.max
    if wanted.exact is not None:
        if not real:
            expected = format_duration(wanted.exact)
            return Check(what, seen == wanted.exact, expected, format_duration(seen))
        low, high = real_bounds(wanted.exact)
    ok = (low is None or seen >= low) and (high is None or seen <= high)
    parts = [f"at least {format_duration(low)}"] if low is not None else []
    parts += [f"at most {format_duration(high)}"] if high is not None else []
    return Check(what, ok, " and ".join(parts), format_duration(seen))


def real_bounds(exact_ns: int) -> tuple[int, int]:
    """What an exact duration may be on the real clock."""
    return max(0, int(exact_ns * REAL_SHORTER) - REAL_EARLY_NS), int(exact_ns * REAL_LONGER) + REAL_LATE_NS


def _check_attempts(wanted: int | tuple[int, ...], window: StepWindow, target: str, *, real: bool) -> Check:
    begins = window.of_calls("wait.begin", target)
    tries = window.of_calls("attempt", target)
    if isinstance(wanted, tuple) and not real:
        begin = begins[0]["t"] if begins else 0
        seen = [record["t"] - begin for record in tries]
        return Check("attempts", seen == list(wanted), _times(wanted), _times(seen))
    number = wanted if isinstance(wanted, int) else len(wanted)
    if not real:
        return Check("attempts", len(tries) == number, number, len(tries))
    low, high = int(number * REAL_FEWER), number + REAL_MORE
    return Check("attempts", low <= len(tries) <= high, f"{low} to {high}", len(tries))


def _times(times: Sequence[int]) -> str:
    return "[" + ", ".join(map(format_duration, times)) + "]"


def _check_limit(wanted: int | str, window: StepWindow, target: str) -> Check:
    begins = window.of_calls("wait.begin", target)
    seen = begins[0]["limit_ns"] if begins else "no wait"
    shown = "none" if seen is None else format_duration(seen) if isinstance(seen, int) else seen
    expected = wanted if isinstance(wanted, str) else format_duration(wanted)
    return Check("limit", shown == expected, expected, shown)


def _check_signals(
    wanted: Sequence[tuple[str, int]], window: StepWindow, target: str, *, real: bool
) -> Check:
    begin = window.records[0]["t"]
    seen = [
        (_signal_name(record["signal"]), record["t"] - begin)
        for record in window.of("signal", [target])
        if record["signal"] not in {0, "0"}
    ]
    ok = len(seen) == len(wanted) and all(
        name == want and (time == when if not real else real_bounds(when)[0] <= time <= real_bounds(when)[1])
        for (name, time), (want, when) in zip(seen, wanted, strict=False)
    )
    return Check("signals", ok, _signals(wanted), _signals(seen))


def _signal_name(value: int | str) -> str:
    """A signal's name; journals have it by name or by number."""
    return value if isinstance(value, str) else signal.Signals(value).name


def _signals(signals: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} at {format_duration(when)}" for name, when in signals) or "none"


def _event_words(record: Record) -> tuple[str, ...]:
    detail = record.get("detail")
    return (record["actor"], record["event"], *([detail] if detail else []))


def _check_events(wanted: Sequence[tuple[str, ...]], events: Sequence[Record]) -> Check:
    seen = [_event_words(event) for event in events]
    return Check("events", seen == list(wanted), _events(wanted), _events(seen))


def _events(events: Sequence[tuple[str, ...]]) -> str:
    shown = [f"{name} {'/'.join(words)}" for name, *words in events[:20]]
    if len(events) > len(shown):
        shown.append(f"and {len(events) - len(shown)} more")
    return ", ".join(shown) or "none"
