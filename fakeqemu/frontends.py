"""What the machine has plugged into its character devices: consoles, agents, the monitor for people.

Knows which device uses which character device. Must not know what those say.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.channel import Channel
    from fakeqemu.machine import FakeQemu

__all__ = ["attach", "pty_opened"]


def attach(machine: FakeQemu, chardev: str, conn: int) -> Channel | None:
    """Who speaks to a client of a character device; None when nobody does."""
    del machine, chardev, conn
    return None


def pty_opened(machine: FakeQemu, chardev: str, conn: int, name: str) -> None:
    """A terminal is there for a character device."""
    del name
    channel = attach(machine, chardev, conn)
    if channel is not None:
        machine.channels[conn] = channel
