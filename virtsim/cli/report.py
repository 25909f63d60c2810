"""``virtsim report``: makes the report of a run again from its journals."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["report"]

_BAD_INPUT = 2


@click.command()
@click.argument("directories", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_context
def report(context: click.Context, directories: tuple[Path, ...]) -> None:
    """Write index.html, results.json, junit.xml, trace.json and summary.md from the journals of a run.

    DIR is the folder of a run (by default a run writes to reports/latest); every journal.jsonl below it is
    read. The same journals give the same bytes. Prints the path of each page.

    Exit status 2: a folder does not exist, holds no journal, or none that can be read.
    """
    from virtsim.report import ReportError, find_journals, write_report

    bad = False
    for directory in directories:
        try:
            if not find_journals(directory):
                raise ReportError(f"{directory}: no journal.jsonl in this folder or below it")
            paths = write_report(directory)
        except ReportError as error:
            click.echo(f"virtsim report: {error}", err=True)
            bad = True
            continue
        scenarios = json.loads(paths["json"].read_text(encoding="utf-8"))["scenarios"]
        for scenario in scenarios:
            if scenario["problem"] is not None:
                click.echo(
                    f"virtsim report: {directory / scenario['journal']}: {scenario['problem']}", err=True
                )
        bad = bad or not any(scenario["records"] for scenario in scenarios)
        click.echo(paths["html"])
    if bad:
        context.exit(_BAD_INPUT)
