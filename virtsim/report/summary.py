"""The summary of a run in Markdown, for a merge request or a CI job's page.

Failures first, in full; the rest as a table. Texts from journals are escaped: none becomes a link, a picture,
HTML or a broken table. GitHub takes up to 1 MiB; what is left out is counted.
"""

from __future__ import annotations

import re

from virtsim.report.figures import RunFigures, ScenarioFigures
from virtsim.report.units import brief, cut, long_duration, plural

__all__ = ["render_summary"]

_MAX_FAILURES, _MAX_LINES, _MAX_EXPECTATIONS = 50, 500, 20

_SYMBOLS = {"passed": "✅", "failed": "❌", "error": "💥", "interrupted": "⏹️", "skipped": "⏭️"}

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&@$-])")


def _plain(text: str, limit: int = 300) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", cut(" ".join(text.split()), limit))


def _code(text: str) -> str:
    """A code span that holds any text: fenced by more backticks than it contains."""
    line = " ".join(text.split())
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"`{line}`"


def render_summary(run: RunFigures) -> str:
    """The whole text, with its last newline."""
    counts = run.counts
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in reversed(counts) if counts[outcome])
    lines = [
        "# virtsim",
        "",
        "".join(
            (
                f"**{told or 'no scenarios'}** of {plural(len(run.scenarios), 'scenario')}, ",
                f"{long_duration(run.elapsed_ns)} on the runs' own clocks",
            )
        ),
        "",
    ]
    trouble = [item for item in run.scenarios if item.outcome not in {"passed", "skipped"}]
    for scenario in trouble[:_MAX_FAILURES]:
        lines += _failure(scenario)
    if len(trouble) > _MAX_FAILURES:
        lines += [f"{len(trouble) - _MAX_FAILURES:,} more did not pass; see the report.", ""]
    if run.scenarios:
        lines += ["| | scenario | domains | attempts | lasted |", "|---|---|--:|--:|--:|"]
        lines += [_line(item) for item in run.scenarios[:_MAX_LINES]]
    if len(run.scenarios) > _MAX_LINES:
        lines += ["", f"{len(run.scenarios) - _MAX_LINES:,} more scenarios in the report."]
    return "\n".join(lines).rstrip() + "\n"


def _line(scenario: ScenarioFigures) -> str:
    return (
        f"| {_SYMBOLS[scenario.outcome]} {scenario.outcome} | {_plain(scenario.header.title, 120)} "
        f"| {scenario.domain_count:,} | {scenario.attempts:,} | {brief(scenario.elapsed_ns)} |"
    )


def _failure(scenario: ScenarioFigures) -> list[str]:
    lines = [f"## {_SYMBOLS[scenario.outcome]} {_plain(scenario.header.title, 120)}", ""]
    if scenario.message:
        lines += [_plain(scenario.message, 1_000), ""]
    if scenario.problem and scenario.problem != scenario.message:
        lines += [f"{_code(scenario.journal)}: {_plain(scenario.problem)}", ""]
    for item in scenario.failures[:_MAX_EXPECTATIONS]:
        lines.append(
            f"* {_plain(item.step or 'whole run')}: {_plain(item.what)}: "
            f"expected {_code(cut(item.expected, 300))}, seen {_code(cut(item.actual, 300))}"
        )
    if len(scenario.failures) > _MAX_EXPECTATIONS:
        lines.append(f"* and {len(scenario.failures) - _MAX_EXPECTATIONS:,} more")
    if scenario.failures:
        lines.append("")
    if scenario.header.replay:
        lines += [f"Replay: {_code(scenario.header.replay)}", ""]
    return lines
