"""The net of a loop: Unix sockets that live in memory, or the kernel's, behind one interface.

Knows what a server needs of either net. Must not know who serves or what is said.

A memory net does what the kernel does with a QEMU monitor's socket: ENOENT where there is no file,
ECONNREFUSED where nobody listens, EACCES by the file's mode, one client served and ``backlog + 1`` queued
before EAGAIN, a bounded buffer each way, end of file, half-close and reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from virtsim.sim.net_memory import MemoryNet, MemorySocket
from virtsim.sim.net_real import RealNet
from virtsim.sim.net_transport import MemoryTransport

__all__ = ["MemoryNet", "MemorySocket", "MemoryTransport", "Net", "RealNet", "ServerSocket", "net_of"]

#: ``callback(path, what)`` with what in bound, listening, unlinked, closed.
SocketObserver = Callable[[str, str], None]


class ServerSocket(Protocol):
    """A bound stream socket from the side of a server that serves one client at a time when it likes."""

    @property
    def path(self) -> str | None:
        """Path of the socket file; None when it has no name."""
        ...

    def listen(self, backlog: int) -> None:
        """Let clients connect: ``backlog + 1`` of them wait to be accepted, the next one gets EAGAIN."""
        ...

    def accept_one(self, factory: Callable[[], asyncio.Protocol]) -> None:
        """Make one connection, with ``factory()``, as soon as a client is there; once a call."""
        ...

    def close(self) -> None:
        """Give up this descriptor; the socket file stays. The last descriptor ends the listening."""
        ...


class Net(Protocol):
    """Where server sockets come from."""

    def bind(self, path: str, mode: int | None = None) -> ServerSocket:
        """Create a socket file; ``mode`` is its permission bits, None for the usual ones.

        Raises:
            OSError: EADDRINUSE where something already has that path, ENOENT without the directory.
        """
        ...

    def adopt(self, fd: int) -> ServerSocket:
        """A copy of an inherited listening descriptor, as a child process has one.

        Raises:
            OSError: EBADF, there is no such descriptor.
        """
        ...

    def bind_tcp(self, port: int) -> ServerSocket:
        """A TCP socket on the loopback; port 0 takes a free one.

        Raises:
            OSError: EADDRINUSE.
        """
        ...

    def is_stream(self, fd: int) -> bool:
        """Whether a descriptor is there that is no listening socket: one end of a stream, a pipe, a file."""
        ...

    def close_stream(self, fd: int) -> None:
        """Close a descriptor that came with a message.

        Raises:
            OSError: EBADF, there is no such descriptor.
        """
        ...

    def unlink(self, path: str) -> None:
        """Remove a socket file. Raises FileNotFoundError."""
        ...

    def observe(self, callback: SocketObserver) -> None:
        """Tell ``callback`` of what happens to sockets from now on."""
        ...


def net_of(loop: asyncio.AbstractEventLoop) -> Net:
    """The loop's own net, or the kernel's for an ordinary loop."""
    net: Net | None = getattr(loop, "net", None)
    return RealNet() if net is None else net
