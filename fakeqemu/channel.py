"""Whoever speaks on a connection: the base of monitors, consoles, agents and migration streams.

Knows what a driver tells of a connection. Must not know what is said on it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeqemu.machine import FakeQemu

__all__ = ["Acceptor", "Channel", "close_all"]


class Channel:
    """One end of a connection. Every method may add steps to the machine."""

    __slots__ = ("conn",)

    def __init__(self, conn: int = 0) -> None:
        self.conn = conn

    def opened(self, machine: FakeQemu, reason: str | None) -> None:
        """A channel that the machine opened is there; or is not, for this reason, and will never be."""

    def received(self, machine: FakeQemu, data: bytes, fds: Sequence[int]) -> None:
        """Bytes came, and perhaps descriptors; whoever does not want those closes them."""
        del data
        close_all(machine, fds)

    def drained(self, machine: FakeQemu) -> None:
        """All that was sent before a `fakeqemu.actions.Drain` has left the process."""

    def closed(self, machine: FakeQemu) -> None:
        """The peer has gone; the connection is no more."""


class Acceptor:
    """Who takes the clients of a listener: an entry of `fakeqemu.machine.FakeQemu.acceptors`, by its name."""

    __slots__ = ()

    def accepted(self, machine: FakeQemu, conn: int) -> Channel | None:
        """A client is there: who speaks to it, or None."""
        raise NotImplementedError

    def refused(self, machine: FakeQemu, reason: str) -> None:
        """The listener could not be opened, in the system's words; its entry is gone already."""


def close_all(machine: FakeQemu, fds: Sequence[int]) -> None:
    """Close descriptors that nobody wants."""
    from fakeqemu.actions import CloseFd

    for fd in fds:
        machine.do(0, CloseFd(fd))
