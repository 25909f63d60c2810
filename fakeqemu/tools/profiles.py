"""``fakeqemu record`` and ``fakeqemu profiles``: facts of a real QEMU, asked for and listed.

Knows click, the recorder and the profile. Must not know the machine. Exit status 1 when the QEMU cannot be
asked or a profile is damaged.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["profiles", "record"]


@click.command()
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
    """Ask a real QEMU, and write its answers as a profile."""
    from fakeqemu.facts.record import RecordError, write_profile
    from fakeqemu.facts.record import record as ask

    try:
        members = ask(qemu)
        write_profile(members, output)
    except (RecordError, OSError, EOFError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {len(members)} members, {output.stat().st_size} bytes")
    for question in json.loads(members["provenance"])["fatal"]:
        click.echo(f"QEMU aborted when asked: {question}", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The whole provenance of each, as JSON.")
def profiles(*, as_json: bool) -> None:
    """List the shipped profiles."""
    from fakeqemu.facts.profile import DIRECTORY, Profile, ProfileError

    listed = []
    for path in sorted(Path(DIRECTORY).glob("*.json.gz")):
        try:
            provenance = Profile(str(path)).provenance
        except ProfileError as error:
            raise click.ClickException(str(error)) from error
        name = path.name.removesuffix(".json.gz")
        listed.append({"name": name, "bytes": path.stat().st_size, **provenance})
        if not as_json:
            words = [str(provenance[word]) for word in ("program", "version", "package")]
            click.echo(f"{name}\t{' '.join(words)}".rstrip())
    if as_json:
        click.echo(json.dumps({"schema": "fakeqemu/profiles@1", "profiles": listed}, indent=1))
