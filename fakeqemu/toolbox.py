"""``fakeqemu``: the toolbox around the fake: profiles, scripts, the control socket of a running fake.

Knows click and the package's tools. Must not know the machine.

Exit status: 0 all well, 1 it did not work (the QEMU could not be asked, a profile is damaged), 2 wrong
usage or a script with mistakes.
"""

from __future__ import annotations

import click

from fakeqemu.tools.ctl import ctl
from fakeqemu.tools.emulator import install_emulator
from fakeqemu.tools.latency import measure
from fakeqemu.tools.profiles import profiles, record
from fakeqemu.tools.scripts import check, compile_, presets
from fakeqemu.tools.server import server

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="virtsim", prog_name="fakeqemu")
def main() -> None:
    """Tools around fakeqemu, a QEMU that is not there."""


main.add_command(record)
main.add_command(profiles)
main.add_command(check)
main.add_command(compile_)
main.add_command(ctl)
main.add_command(presets)
main.add_command(measure)
main.add_command(install_emulator)
main.add_command(server)
