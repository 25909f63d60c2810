"""``fakeqemu``: the toolbox around the fake: record a profile, list profiles, check a script.

Knows click and the package's tools. Must not know the machine.

Exit status: 0 all well, 1 it did not work (the QEMU could not be asked, a profile is damaged), 2 wrong
usage or a script with mistakes.
"""

from __future__ import annotations

from pathlib import Path

import click

from fakeqemu.tools.emulator import install_emulator

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="virtsim", prog_name="fakeqemu")
def main() -> None:
    """Tools around fakeqemu, a QEMU that is not there."""


@main.command()
@click.option("--qemu", required=True, metavar="PATH", help="The QEMU to ask, by its path.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The profile to write (gzip'ed JSON).",
)
def record(qemu: str, output: Path) -> None:
    """Ask a real QEMU what managers ask, and write its answers down as a profile."""
    from fakeqemu.record import RecordError, write_profile
    from fakeqemu.record import record as ask

    try:
        members = ask(qemu)
        write_profile(members, output)
    except (RecordError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {len(members)} members")


@main.command()
def profiles() -> None:
    """List the shipped profiles."""
    from fakeqemu.profile import DIRECTORY, Profile, ProfileError

    for path in sorted(Path(DIRECTORY).glob("*.json.gz")):
        try:
            provenance = Profile(str(path)).provenance
        except ProfileError as error:
            raise click.ClickException(str(error)) from error
        words = [str(provenance[word]) for word in ("program", "version", "package")]
        click.echo(f"{path.name.removesuffix('.json.gz')}\t{' '.join(words)}".rstrip())


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
