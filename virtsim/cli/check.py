"""``virtsim check``: every mistake in scenarios and domain documents."""

from __future__ import annotations

import click

from virtsim.cli.exits import Exit

__all__ = ["check"]


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing about what is right.")
def check(paths: tuple[str, ...], quiet: bool) -> int:
    """Check scenarios (*.yaml) and domain documents (*.xml); a folder means all of them below it.

    Prints each mistake as file:line:column: message, all of them at once, and exits with status 2 if
    there is any. What is kept but understood by nobody is a warning and does no harm.
    """
    from virtsim.sim.check import check_paths

    checked = check_paths(list(paths))
    for mistake in checked.mistakes:
        click.echo(str(mistake), err=not mistake.message.startswith("warning: "))
    wrong = checked.wrong
    if not quiet:
        mistakes = "1 mistake" if wrong == 1 else f"{wrong} mistakes"
        files = "1 file" if checked.files == 1 else f"{checked.files} files"
        click.echo(f"{files} checked: {mistakes if wrong else 'no mistake'}")
    return Exit.USAGE if wrong else Exit.OK
