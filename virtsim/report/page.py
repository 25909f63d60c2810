"""The HTML page: one file with its styles, its script and its data, readable offline from ``file://``.

Knows the template, the shape in which the script wants a timeline, and how large a page may become. Must not
know journals. Jinja2 escapes every text; data for the script goes through its ``tojson``, which leaves no
``<``, ``>``, ``&`` or ``'``; and the page's Content-Security-Policy lets no script run but the one whose hash
it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from virtsim.report.figures import LANES, OUTCOMES, DomainFigures, RunFigures, ScenarioFigures, Timeline, Wait
from virtsim.report.units import cut, duration, long_duration, plural, size

__all__ = ["MAX_DATA_BYTES", "MAX_SECTIONS", "pack_timeline", "render_page"]

#: Timeline data of one page, before which the remaining timelines are left out. Keeps a page below 5 MB.
MAX_DATA_BYTES = 3_300_000

#: Scenarios with a section of their own; the others are lines of a list. Failed ones come first.
MAX_SECTIONS = 400

#: Names listed of domains that have no timeline of their own, and letters of the filter's text.
_MAX_NAMES, _MAX_FILTER = 1_200, 16_000

_SYMBOLS = {"passed": "✓", "failed": "✗", "error": "!", "interrupted": "◼", "skipped": "\N{EN DASH}"}


@dataclass(frozen=True, slots=True)
class _Card:
    """A domain as the template lists it; ``key`` names its data, or is empty."""

    figures: DomainFigures
    key: str
    data: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Section:
    """A scenario as the template lists it."""

    figures: ScenarioFigures
    anchor: str
    href: str
    filter: str
    cards: tuple[_Card, ...]
    rest: tuple[DomainFigures, ...]
    full: bool


def render_page(run: RunFigures) -> str:
    """The whole page as one text. Depends on nothing but ``run``."""
    script = _asset("static", "timeline.js") + _asset("static", "page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            run=run,
            sections=_sections(run),
            style=Markup(_asset("static", "report.css")),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704
            script_hash=f"sha256-{digest}",
            outcomes=OUTCOMES,
            lanes=LANES,
            symbols=_SYMBOLS,
            max_names=_MAX_NAMES,
        )
    )


def pack_timeline(timeline: Timeline) -> dict[str, Any]:
    """A timeline as the script reads it: lists instead of objects, runs of equal attempts folded."""
    return {
        "origin": timeline.origin_ns,
        "begin": timeline.begin_ns,
        "end": timeline.end_ns,
        "log": timeline.logarithmic,
        "waits": [_pack_wait(wait) for wait in timeline.waits],
        "spans": [
            [span.lane, span.row, span.begin_ns, span.end_ns, span.label, span.tone, span.detail]
            for span in timeline.spans
        ],
        "marks": [
            [mark.lane, mark.at_ns, mark.label, mark.tone, mark.shape, mark.detail] for mark in timeline.marks
        ],
        "rows": [[row.at_ns, row.kind, row.text] for row in timeline.rows],
        "more": timeline.more_rows,
    }


def _pack_wait(wait: Wait) -> dict[str, Any]:
    runs: list[list[Any]] = []
    for attempt in wait.attempts:
        last = runs[-1] if runs else None
        follows = last is not None and attempt.nap_ns > 0 and last[1:3] == [attempt.nap_ns, attempt.errno]
        if last is not None and follows and attempt.at_ns == last[0] + last[3] * attempt.nap_ns:
            last[3] += 1
        else:
            runs.append([attempt.at_ns, attempt.nap_ns, attempt.errno, 1])
    return {
        "begin": wait.begin_ns,
        "end": wait.end_ns,
        "limit": wait.limit_ns,
        "policy": wait.policy,
        "outcome": wait.outcome,
        "runs": runs,
    }


def _sections(run: RunFigures) -> list[_Section]:
    """All scenarios in order; which of them, and of their timelines, are shown in full is decided by need."""
    by_need = sorted(range(len(run.scenarios)), key=lambda index: run.scenarios[index].outcome == "passed")
    budget = MAX_DATA_BYTES
    sections: dict[int, _Section] = {}
    for position, index in enumerate(by_need):
        sections[index], used = _section(run.scenarios[index], index, budget, full=position < MAX_SECTIONS)
        budget -= used
    return [sections[index] for index in range(len(run.scenarios))]


def _section(scenario: ScenarioFigures, index: int, budget: int, *, full: bool) -> tuple[_Section, int]:
    cards: list[_Card] = []
    rest: list[DomainFigures] = []
    used = 0
    for position, domain in enumerate(scenario.domains if full else ()):
        data = pack_timeline(domain.timeline) if domain.timeline is not None else None
        cost = len(json.dumps(data)) if data is not None else 0
        if data is None or used + cost > budget:
            rest.append(domain)
        else:
            used += cost
            cards.append(_Card(domain, f"t{index}-{position}", data))
    names = " ".join(" ".join((domain.name, *domain.twins)) for domain in scenario.domains)
    words = (
        scenario.header.title,
        scenario.header.scenario,
        scenario.folder,
        scenario.outcome,
        scenario.header.policy,
        scenario.header.hypervisor,
        scenario.header.clock,
        scenario.header.about,
        scenario.message,
        names,
    )
    section = _Section(
        figures=scenario,
        anchor=f"s{index}",
        href=quote(scenario.journal),
        filter=" ".join(words).lower()[: _MAX_FILTER if full else 300],
        cards=tuple(cards),
        rest=tuple(rest),
        full=full,
    )
    return section, used


def _asset(*names: str) -> str:
    return resources.files("virtsim.report").joinpath(*names).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: _asset("templates", name)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "sort_keys": True}
    environment.filters.update(
        duration=duration, long_duration=long_duration, plural=plural, size=size, cut=cut
    )
    return environment
