"""Turns the journal of one scenario into figures: outcome, expectations, steps and domains.

Knows which domains deserve a timeline when there are too many. Must not know pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from virtsim.journal import Record
from virtsim.report.figures import OUTCOMES, DomainFigures, Expectation, Header, ScenarioFigures, StepFigures
from virtsim.report.read import Source, clean, number, text
from virtsim.report.timelines import build_timeline, course, waits_of
from virtsim.report.units import cut
from virtsim.report.words import error_text, field, state_name

__all__ = ["MAX_TIMELINES", "header_of", "scenario_figures"]

#: Timelines of one scenario; the other domains are listed by name.
MAX_TIMELINES = 25

#: Expectations and steps of one scenario that a page can show.
_MAX_LIST = 500

#: Actors that are not domains.
_STAGE = frozenset({"run", "host"})


def header_of(source: Source) -> Header:
    """The journal's first record, with a name even where there is none."""
    fallback = "." if source.folder == "." else source.folder
    if not source.records:
        return Header(scenario=fallback, title=fallback)
    record = source.records[0]
    scenario = record["scenario"]
    about: Mapping[str, Any] = scenario if isinstance(scenario, dict) else {"id": scenario}
    identity = cut(text(about.get("id")), 200) or fallback
    return Header(
        scenario=identity,
        title=cut(text(about.get("name")), 300) or identity,
        about=cut(text(about.get("about")), 2_000),
        source=cut(text(about.get("source")), 1_000),
        file=cut(text(about.get("file")), 500),
        seed=field(record, "seed", 80),
        clock=field(record, "clock", 40),
        hypervisor=field(record, "hypervisor", 80),
        policy=_policy(record["policy"]),
        version=field(record, "version", 80),
        replay=field(record, "replay", 1_000),
        memory_kib=tuple(_memories(record["domains"])),
    )


def _policy(value: Any) -> str:
    if isinstance(value, dict) and "name" in value:
        return cut(text(value["name"]), 80)
    return cut(text(value), 80)


def _memories(domains: Any) -> Iterable[tuple[str, int | None]]:
    for domain in domains if isinstance(domains, list) else ():
        if isinstance(domain, dict):
            yield clean(str(domain.get("name", ""))), number(domain.get("memory_kib"))
        else:
            yield clean(str(domain)), None


def scenario_figures(source: Source) -> ScenarioFigures:
    """All figures of one scenario; of a journal without a usable record, that it is one."""
    header = header_of(source)
    outcome, message = _outcome(source)
    records = source.records
    domains, count, attempts = _domains(records, header)
    begin_ns = records[0]["t"] if records else 0
    return ScenarioFigures(
        folder=source.folder,
        header=header,
        outcome=outcome,
        message=message,
        problem=source.problem or "",
        elapsed_ns=max(record["t"] for record in records) - begin_ns if records else 0,
        records=len(records),
        expectations=tuple(_expectations(records)),
        steps=tuple(_steps(records)),
        domains=domains,
        domain_count=count,
        attempts=attempts,
        leftovers=tuple(_leftovers(records)),
    )


def _outcome(source: Source) -> tuple[str, str]:
    ends = [record for record in source.records if record["kind"] == "end"]
    if ends:
        outcome = field(ends[-1], "outcome", 40)
        message = field(ends[-1], "message", 4_000)
        if outcome in OUTCOMES:
            return outcome, message
        return "error", f"unknown outcome {outcome!r} {message}".rstrip()
    if not source.records:
        return "error", source.problem or "the journal is empty"
    if source.problem:
        return "error", source.problem
    return "interrupted", "the journal ends before the scenario does"


def _expectations(records: Sequence[Record]) -> Iterable[Expectation]:
    found = [record for record in records if record["kind"] == "expect"]
    # The failed ones first in line when there are too many to show.
    kept = [record for record in found if record["ok"] is not True][:_MAX_LIST]
    room = _MAX_LIST - len(kept)
    kept_ids = {id(record) for record in kept}
    for record in found:
        failed = id(record) in kept_ids
        if not failed and (record["ok"] is not True or room <= 0):
            continue
        room -= not failed
        yield Expectation(
            field(record, "step", 120),
            field(record, "what", 300),
            record["ok"] is True,
            field(record, "expected", 2_000),
            field(record, "actual", 2_000),
        )


def _steps(records: Sequence[Record]) -> Iterable[StepFigures]:
    ends: dict[str, Record] = {}
    begins: list[Record] = []
    for record in records:
        if record["kind"] == "step.begin":
            begins.append(record)
        elif record["kind"] == "step.end":
            ends[field(record, "step", 120)] = record
    for begin in begins[:_MAX_LIST]:
        step = field(begin, "step", 120)
        end = ends.get(step)
        yield StepFigures(
            step,
            field(begin, "verb", 60),
            field(begin, "target", 120),
            begin["t"],
            None if end is None else number(end["elapsed_ns"]),
            field(end, "outcome", 60) if end is not None else "not finished",
            error_text(end.get("error")) if end is not None else "",
        )


def _leftovers(records: Sequence[Record]) -> Iterable[str]:
    for record in records:
        if record["kind"] == "leftovers":
            for name in ("processes", "files", "sockets", "fds", "tasks"):
                if record.get(name):
                    yield f"{name}: {field(record, name)}"


def _domains(records: Sequence[Record], header: Header) -> tuple[tuple[DomainFigures, ...], int, int]:
    """The domains that a page lists, how many there are, and their attempts."""
    memory = dict(header.memory_kib)
    mine: dict[str, list[Record]] = {name: [] for name in memory}
    for record in records:
        if record["actor"] not in _STAGE:
            mine.setdefault(clean(record["actor"]), []).append(record)
    attempts = sum(1 for record in records if record["kind"] == "attempt")

    groups: dict[str, list[str]] = {}
    for name, own in mine.items():
        groups.setdefault(f"{memory.get(name)} {course(own, name)}", []).append(name)
    leaders = [names for names in groups.values() if mine[names[0]]]
    silent = [name for names in groups.values() if not mine[names[0]] for name in names]

    missed = {id(names) for names in leaders if any(_is_trouble(record) for record in mine[names[0]])}
    drawn = sorted(leaders, key=lambda names: id(names) not in missed)  # stable: trouble first, then in order
    figures = [
        _domain(
            names[0], mine[names[0]], memory.get(names[0]), tuple(names[1:]), drawn=position < MAX_TIMELINES
        )
        for position, names in enumerate(drawn)
    ]
    figures += [_domain(name, [], memory.get(name), (), drawn=False) for name in silent]
    return tuple(figures), len(mine), attempts


def _is_trouble(record: Record) -> bool:
    return (record["kind"] == "expect" and record["ok"] is not True) or (
        record["kind"] == "api.return" and bool(record.get("error"))
    )


def _domain(
    name: str, records: Sequence[Record], memory_kib: int | None, twins: tuple[str, ...], *, drawn: bool
) -> DomainFigures:
    waits = waits_of(records)
    states = [record for record in records if record["kind"] == "state"]
    errors = [record.get("error") for record in records if record["kind"] == "api.return"]
    ended = [wait.end_ns - wait.begin_ns for wait in waits if wait.end_ns is not None]
    return DomainFigures(
        name=name,
        memory_kib=memory_kib,
        state=state_name(states[-1]) if states else "",
        attempts=sum(len(wait.attempts) for wait in waits),
        waited_ns=max(ended) if ended else None,
        limit_ns=waits[-1].limit_ns if waits else None,
        errors=tuple(error_text(error) for error in errors if error)[:10],
        records=len(records),
        twins=twins,
        timeline=build_timeline(records) if drawn and records else None,
    )
