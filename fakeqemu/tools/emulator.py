"""The toolbox's command ``install-emulator``.

Knows click. Must not know how a wrapper is written (`fakeqemu.tools.install`).
"""

from __future__ import annotations

from pathlib import Path

import click

from fakeqemu.tools.install import ARCHITECTURES, InstallError, install

__all__ = ["install_emulator"]


@click.command("install-emulator")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--arch",
    "architectures",
    multiple=True,
    type=click.Choice(ARCHITECTURES),
    help="Only this architecture; may be given more than once.",
)
@click.option("--python", metavar="PATH", help="The interpreter; by default one that every user can run.")
@click.option(
    "--package",
    type=click.Choice(["copy", "here"]),
    help="Copy the package into DIR, or use it where it is; by default as every user can read it.",
)
@click.option(
    "--script",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The behaviour of all of them; it is compiled.",
)
def install_emulator(
    directory: Path,
    architectures: tuple[str, ...],
    python: str | None,
    package: str | None,
    script: Path | None,
) -> None:
    """Write qemu-system-ARCH into DIR, for libvirt.

    It is named as <emulator> of a domain. No environment reaches an emulator there. It finds its behaviour
    beside itself: GUEST.fakeqemu.yaml for one guest, qemu-system-ARCH.fakeqemu.yaml for all (or .json), or
    what emulator.conf says in lines such as FAKEQEMU_SCRIPT=FILE; in the environment's FAKEQEMU_SCRIPT first
    (libvirt's qemu:env).
    """
    try:
        wrappers = install(
            directory,
            architectures=architectures or ARCHITECTURES,
            python=python,
            copy=None if package is None else package == "copy",
            script=script,
        )
    except (InstallError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for wrapper in wrappers:
        click.echo(wrapper)
