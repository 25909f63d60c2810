"""``fakeqemu``: the toolbox around the fake: record a profile, list profiles, check a script.

Knows click and the package's tools. Must not know the machine.

Exit status: 0 all well, 1 it did not work (the QEMU could not be asked, a profile is damaged), 2 wrong
usage or a script with mistakes.
"""

from __future__ import annotations

from pathlib import Path

import click

from fakeqemu.tools.emulator import install_emulator
from fakeqemu.tools.profiles import profiles, record

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="virtsim", prog_name="fakeqemu")
def main() -> None:
    """Tools around fakeqemu, a QEMU that is not there."""


main.add_command(record)
main.add_command(profiles)


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def check(files: tuple[str, ...]) -> None:
    """Check behaviour scripts; every mistake as file:line:column: message."""
    from fakeqemu.check import check_text
    from fakeqemu.script import MAX_FILE

    wrong = False
    for name in files:
        try:
            with Path(name).open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            click.echo(f"{name}: {error.strerror}", err=True)
            wrong = True
            continue
        for line, column, message in check_text(data)[1]:
            click.echo(f"{name}:{line}:{column}: {message}")
            wrong = True
    if wrong:
        raise SystemExit(2)


main.add_command(install_emulator)
