"""Jobs that make an image file, or change what its header says.

Knows QEMU 7.2's block/create.c and block/amend.c. Must not know image formats (`fakeqemu.block.images`) nor
states of jobs.
"""

from __future__ import annotations

from fakeqemu.jobs.engine import engine_of
from fakeqemu.jobs.job import Driver
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.jobs.job import Job
    from fakeqemu.machine import FakeQemu

__all__ = ["blockdev_amend", "blockdev_create"]

#: The drivers that can make an image; of them, those that this fake makes have a hand of their own.
CREATORS = (
    "file", "gluster", "luks", "nfs", "parallels", "qcow", "qcow2", "qed", "rbd", "ssh", "vdi", "vhdx",
    "vmdk", "vpc",
)  # fmt: skip
AMENDERS = ("luks", "qcow2")


class Create(Driver):
    """Makes an image file when it runs."""

    __slots__ = ("machine", "options")

    kind = "create"
    block = False

    def __init__(self, machine: FakeQemu, options: dict[str, Any]) -> None:
        super().__init__()
        self.machine, self.options = machine, options

    def run(self, job: Job) -> None:
        """The work itself; it is over at once when it fails."""
        job.pace.total = 1
        try:
            from fakeqemu.jobs.images import create

            create(self.machine, self.options)
        except CommandError:
            job.pace.done = True
            raise


class Amend(Driver):
    """Changes an image; there is nothing that would take time."""

    __slots__ = ()

    kind = "amend"
    block = False

    def run(self, job: Job) -> None:
        """Nothing to wait for."""
        job.pace.total, job.pace.instant = 1, True


#: Drivers whose modules are not installed where the profiles were recorded.
_ABSENT = ("ftp", "ftps", "http", "https", "iscsi", "gluster", "nfs", "rbd", "ssh")


def _known(driver: str) -> None:
    if driver in _ABSENT:
        raise CommandError("GenericError", f"Block driver '{driver}' not found or not supported")


def blockdev_create(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``blockdev-create``.

    Raises:
        CommandError: what QEMU says against it.
    """
    options: dict[str, Any] = arguments["options"]
    _known(options["driver"])
    if options["driver"] not in CREATORS:
        raise CommandError("GenericError", "Driver does not support blockdev-create")
    engine = engine_of(machine)
    engine.start(arguments["job-id"], Create(machine, options), auto_dismiss=False)


def blockdev_amend(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``x-blockdev-amend``.

    Raises:
        CommandError: what QEMU says against it.
    """
    from fakeqemu.block import graph_of

    node = graph_of(machine).lookup(None, arguments["node-name"])
    options: dict[str, Any] = arguments["options"]
    _known(options["driver"])
    if node.driver != options["driver"]:
        raise CommandError("GenericError", "x-blockdev-amend doesn't support changing the block driver")
    if options["driver"] not in AMENDERS:
        raise CommandError("GenericError", "Driver does not support x-blockdev-amend")
    engine_of(machine).start(arguments["job-id"], Amend(), auto_dismiss=False)
