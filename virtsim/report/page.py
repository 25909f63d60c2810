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
from virtsim.report.units import brief, cut, duration, long_duration, plural, size

__all__ = ["pack_timeline", "render_page"]

#: Letters, by estimate, that one page has for sections without their timelines, for timelines, and for the
#: lines of scenarios without a section; they keep a page below 5 MB. What did not pass comes first.
_SECTIONS, _TIMELINES, _LINES = 1_500_000, 1_500_000, 1_300_000

#: Names listed of domains that have no timeline of their own, and letters of the filter's text.
_MAX_NAMES, _MAX_FILTER = 1_200, 16_000

#: Estimated letters of HTML around the texts of one scenario, one row of a table, one line of a scenario.
_FRAME, _ROW, _LINE = 3_000, 220, 420

#: Letters of a title on a line, and of the words by which the filter finds it.
_MAX_TITLE, _MAX_LINE_FILTER = 300, 200

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
    sections, omitted = _sections(run)
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            run=run,
            sections=sections,
            omitted=omitted,
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


def _sections(run: RunFigures) -> tuple[list[_Section], int]:
    """The sections in the order of the run, and how many scenarios did not even get a line.

    Who gets a section, and whose timelines are drawn, goes by need: what did not pass comes first.
    """
    by_need = sorted(range(len(run.scenarios)), key=lambda index: run.scenarios[index].outcome == "passed")
    for_sections, for_timelines, for_lines = _SECTIONS, _TIMELINES, _LINES
    sections: dict[int, _Section] = {}
    for index in by_need:
        scenario = run.scenarios[index]
        cost, line = _letters(scenario), _LINE + min(len(scenario.header.title), _MAX_TITLE)
        if cost <= for_sections:
            for_sections -= cost
            sections[index], used = _section(scenario, index, for_timelines, full=True)
            for_timelines -= used
        elif line <= for_lines:
            for_lines -= line
            sections[index], _ = _section(scenario, index, 0, full=False)
    return [sections[index] for index in sorted(sections)], len(run.scenarios) - len(sections)


def _letters(scenario: ScenarioFigures) -> int:
    """About how long the section of a scenario is without its timelines."""
    header = scenario.header
    texts = [scenario.message, header.about, header.source, header.replay, header.title, header.file]
    texts += [text for item in scenario.expectations for text in (item.what, item.expected, item.actual)]
    texts += [text for step in scenario.steps for text in (step.verb, step.target, step.error)]
    rows = len(scenario.expectations) * 2 + len(scenario.steps)
    for domain in scenario.domains[:_MAX_NAMES]:
        texts += [domain.name, *domain.errors, *domain.twins[:_MAX_NAMES]]
        rows += 1
    filtered = min(_MAX_FILTER, sum(len(text) for text in texts))
    return _FRAME + rows * _ROW + sum(len(text) + 2 for text in texts) + filtered


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
    section = _Section(
        figures=scenario,
        anchor=f"s{index}",
        href=quote(scenario.journal, errors="replace"),
        filter=_filter_text(scenario)[: _MAX_FILTER if full else _MAX_LINE_FILTER],
        cards=tuple(cards),
        rest=tuple(rest),
        full=full,
    )
    return section, used


def _filter_text(scenario: ScenarioFigures) -> str:
    header = scenario.header
    words = [header.title, header.scenario, scenario.folder, scenario.outcome, header.policy]
    words += [header.hypervisor, header.clock, header.about, scenario.message]
    for domain in scenario.domains:
        words += [domain.name, *domain.twins, *domain.errors]
    return " ".join(words).lower()


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
        brief=brief, duration=duration, long_duration=long_duration, plural=plural, size=size, cut=cut
    )
    return environment
