"""``virtsim doctor``: what this machine offers."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from virtsim.cli.exits import Exit, Problem
from virtsim.cli.options import nearest_word

__all__ = ["SCHEMA", "doctor"]

#: Name and version of what ``--json`` prints.
SCHEMA = "virtsim/doctor@1"


@click.command()
@click.option("--need", "needs", multiple=True, metavar="NAME", help="Exit with status 3 if this is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(needs: tuple[str, ...], as_json: bool) -> int:
    """Show what this machine offers: each line is ok or missing, and says what it is for.

    The virtual clock needs nothing but Python. Things are tried, not looked at: KVM, for instance, by
    making a virtual machine.
    """
    from virtsim.sim.survey import SUBJECTS, survey

    for need in needs:
        if need not in SUBJECTS:
            raise click.UsageError(
                f"--need {need!r}: nothing of that name{nearest_word(need, list(SUBJECTS))}"
            )
    findings = survey()
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            word = click.style("ok     ", fg="green") if finding.ok else click.style("missing", fg="yellow")
            click.echo(f"{word} {finding.subject:<13} {finding.detail}")
            click.echo(f"{'':<22}for: {finding.meaning}")
    missing = [finding.subject for finding in findings if not finding.ok and finding.subject in needs]
    if missing:
        raise Problem(f"virtsim doctor: missing: {', '.join(missing)}", Exit.MISSING)
    return Exit.OK
