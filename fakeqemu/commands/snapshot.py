"""Snapshots of the whole machine, as jobs."""

from __future__ import annotations

from fakeqemu.registry import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["snapshot_delete", "snapshot_load", "snapshot_save"]


@command("snapshot-save", takes=True)
def snapshot_save(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Take a snapshot of the machine and its disks."""
    del session
    from fakeqemu.jobs import whole

    whole.snapshot_save(machine, arguments)


@command("snapshot-load", takes=True)
def snapshot_load(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Go back to a snapshot."""
    del session
    from fakeqemu.jobs import whole

    whole.snapshot_load(machine, arguments)


@command("snapshot-delete", takes=True)
def snapshot_delete(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Remove a snapshot."""
    del session
    from fakeqemu.jobs import whole

    whole.snapshot_delete(machine, arguments)
