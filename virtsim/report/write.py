"""Writes the files of a report into a run's folder, scenario by scenario, each file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from virtsim.report.figures import RunFigures, ScenarioFigures
from virtsim.report.junit import render_junit
from virtsim.report.page import render_page
from virtsim.report.read import read_source
from virtsim.report.results import render_results
from virtsim.report.scenarios import scenario_figures
from virtsim.report.summary import render_summary
from virtsim.report.trace import MAX_PROCESSES, Event, trace_events, write_trace

__all__ = ["FILES", "ReportError", "find_journals", "write_report"]

#: The formats `write_report` writes: key and file name.
FILES = {
    "html": "index.html",
    "json": "results.json",
    "junit": "junit.xml",
    "trace": "trace.json",
    "summary": "summary.md",
}

#: Where GitHub Actions wants a job's summary.
_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


class ReportError(Exception):
    """A folder that no report can be made of, or made in; the text names it and says why."""


def find_journals(run_dir: Path) -> list[Path]:
    """The journals below a run's folder, sorted by path.

    Raises:
        ReportError: there is no such folder.
    """
    if not run_dir.is_dir():
        raise ReportError(f"{run_dir}: no such folder")
    return sorted(run_dir.rglob("journal.jsonl"))


def write_report(run_dir: Path, step_summary: Path | None = None) -> dict[str, Path]:
    """Read every journal below a run's folder and write the report beside them.

    A journal that is cut off, damaged, of another version or none at all becomes a scenario of the report
    whose outcome says so. A folder without journals gives a report without scenarios.

    Args:
        run_dir: the run's folder.
        step_summary: a file to append the Markdown summary to; by default the one that
            ``$GITHUB_STEP_SUMMARY`` names, if it is set.

    Returns:
        The files written, by the keys of `FILES`.

    Raises:
        ReportError: there is no such folder, or a file cannot be written. Files already replaced stay; no
            file is ever half written.
    """
    journals = find_journals(run_dir)
    scenarios: list[ScenarioFigures] = []
    paths = {key: run_dir / name for key, name in FILES.items()}
    try:
        trace = _beside(paths["trace"])
        try:
            with trace.open("w", encoding="utf-8") as out:
                write_trace(out, _read_all(journals, run_dir, scenarios))
            trace.replace(paths["trace"])
        finally:
            trace.unlink(missing_ok=True)
        run = RunFigures(tuple(scenarios))
        summary = render_summary(run)
        _write(paths["html"], render_page(run).encode())
        _write(paths["json"], render_results(run).encode())
        _write(paths["junit"], render_junit(run))
        _write(paths["summary"], summary.encode())
    except OSError as error:
        raise ReportError(f"{error.filename or run_dir}: {error.strerror or error}") from error
    _append(step_summary or _named_by_environment(), summary)
    return paths


def _read_all(
    journals: Sequence[Path], run_dir: Path, scenarios: list[ScenarioFigures]
) -> Iterator[Iterator[Event]]:
    """Yield each scenario's trace and add its figures; only one journal is in memory at a time."""
    pid = 1
    for path in journals:
        source = read_source(path, run_dir)
        scenario = scenario_figures(source)
        scenarios.append(scenario)
        many = scenario.domain_count > MAX_PROCESSES
        yield trace_events(source, pid, {d.name: d.twins for d in scenario.domains} if many else None)
        pid += len({record["actor"] for record in source.records})


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step."""
    new = _beside(path)
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _named_by_environment() -> Path | None:
    name = os.environ.get(_STEP_SUMMARY)
    return Path(name) if name else None


def _append(path: Path | None, summary: str) -> None:
    """Append to the job's summary; a file that cannot be written takes nothing from the report."""
    if path is None:
        return
    with suppress(OSError), path.open("a", encoding="utf-8") as out:
        out.write(summary)
