"""Snapshots of the whole machine inside its images: for the human monitor and the jobs.

Knows QEMU 7.2's migration/savevm.c and block/snapshot.c. Must not know how a stream of state is written.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu

__all__ = ["delvm", "info_snapshots", "loadvm", "savevm"]


def savevm(machine: FakeQemu, name: str | None) -> str:
    """``savevm [NAME]``: what the human monitor prints."""
    raise NotImplementedError


def loadvm(machine: FakeQemu, name: str) -> str:
    """``loadvm NAME``: what the human monitor prints."""
    raise NotImplementedError


def delvm(machine: FakeQemu, name: str) -> str:
    """``delvm NAME``: what the human monitor prints."""
    raise NotImplementedError


def info_snapshots(machine: FakeQemu) -> str:
    """``info snapshots``: what the human monitor prints."""
    raise NotImplementedError
