"""Jobs about snapshots of the whole machine: ``snapshot-save``, ``-load`` and ``-delete``.

Knows that QEMU 7.2 does their work at one go, with its main loop standing still (migration/savevm.c). Must
not know states of jobs.
"""

from __future__ import annotations

from fakeqemu.jobs.engine import engine_of
from fakeqemu.jobs.job import Driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.jobs.job import Job
    from fakeqemu.machine import FakeQemu

__all__ = ["snapshot_delete", "snapshot_load", "snapshot_save"]


class Whole(Driver):
    """Does its work when it runs."""

    __slots__ = ("act", "kind")

    block = False
    swift = False

    def __init__(self, kind: str, act: Callable[[], None]) -> None:
        super().__init__()
        self.kind, self.act = kind, act

    def run(self, job: Job) -> None:
        """The work itself."""
        job.pace.total = 1
        job.pace.done = True
        self.act()


def snapshot_save(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``snapshot-save``.

    Raises:
        CommandError: what QEMU says against it.
    """
    from fakeqemu.jobs import snapshots

    def act() -> None:
        tag, vmstate, devices = arguments["tag"], arguments["vmstate"], arguments["devices"]
        snapshots.save(machine, tag, vmstate=vmstate, devices=devices)

    _start(machine, arguments, "snapshot-save", act)


def snapshot_load(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``snapshot-load``.

    Raises:
        CommandError: what QEMU says against it.
    """
    from fakeqemu.jobs import snapshots

    def act() -> None:
        tag, vmstate, devices = arguments["tag"], arguments["vmstate"], arguments["devices"]
        snapshots.load(machine, tag, vmstate=vmstate, devices=devices)

    _start(machine, arguments, "snapshot-load", act)


def snapshot_delete(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``snapshot-delete``.

    Raises:
        CommandError: what QEMU says against it.
    """
    from fakeqemu.jobs import snapshots

    def act() -> None:
        snapshots.delete(machine, arguments["tag"], devices=arguments["devices"])

    _start(machine, arguments, "snapshot-delete", act)


def _start(machine: FakeQemu, arguments: dict[str, Any], kind: str, act: Callable[[], None]) -> None:
    engine_of(machine).start(arguments["job-id"], Whole(kind, act), auto_dismiss=False)
