# ruff: noqa: SLF001  (the net and its transports are one thing)
"""Sockets that exist only inside one virtual loop.

Knows names, modes, backlogs and descriptors of listening sockets, as the Linux kernel treats them. Must not
know what is said on a connection (`virtsim.sim.net_transport` carries the bytes).
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from virtsim.host.memory import MemoryFiles
from virtsim.sim.net_transport import MemoryTransport, pair

if TYPE_CHECKING:
    from virtsim.sim.loop import VirtualLoop

__all__ = ["MemoryNet", "MemorySocket"]

#: Numbers of descriptors in memory start here: far above what a process has, so that a mix-up gives EBADF.
FIRST_FD = 1_000_000
#: First port given out for port 0 (Linux: net.ipv4.ip_local_port_range).
FIRST_PORT = 32_768
#: The one address of the one host of this net.
LOOPBACK = "127.0.0.1"
#: Longest path that fits into sockaddr_un with its NUL.
MAX_PATH = 107

Accepted = Callable[[MemoryTransport], None]


class _Node:
    """A bound socket, whatever names and descriptors still lead to it."""

    __slots__ = (
        "accept_handle",
        "backlog",
        "descriptors",
        "family",
        "listening",
        "mode",
        "name",
        "queue",
        "waiters",
    )

    def __init__(self, loop: VirtualLoop, name: Any, mode: int, family: socket.AddressFamily) -> None:
        self.name = name
        self.mode = mode
        self.family = family
        self.listening = False
        self.backlog = 0
        self.descriptors = 0
        self.queue: deque[MemoryTransport] = deque()
        self.waiters: deque[tuple[MemorySocket, Accepted]] = deque()
        self.accept_handle = asyncio.Handle(self.accept, (), loop)

    def accept(self) -> None:
        """Hand queued clients to whoever waits for one."""
        while self.waiters and self.queue:
            _, accepted = self.waiters.popleft()
            transport = self.queue.popleft()
            try:
                accepted(transport)
            except BaseException:
                transport.drop()
                raise


class MemorySocket:
    """A descriptor of a bound socket: a `ServerSocket`, a `Listener`, and a socket for asyncio's Server."""

    type = socket.SOCK_STREAM
    #: asyncio prints it.
    proto = 0

    def __init__(self, net: MemoryNet, node: _Node, fd: int) -> None:
        self.fd = fd
        self._net = net
        self._node = node
        node.descriptors += 1

    def __repr__(self) -> str:
        return f"<MemorySocket fd={self.fd} {self._node.name!r}>"

    @property
    def path(self) -> str:
        """Path of the socket file; a TCP socket's ``host:port``."""
        name = self._node.name
        return name if isinstance(name, str) else f"{name[0]}:{name[1]}"

    @property
    def family(self) -> socket.AddressFamily:
        """AF_UNIX or AF_INET."""
        return self._node.family

    def getsockname(self) -> Any:
        """As `socket.socket.getsockname`."""
        return self._node.name

    def getpeername(self) -> Any:
        """As a listener's: there is no peer."""
        raise _os_error(errno.ENOTCONN, self.path)

    def fileno(self) -> int:
        """The number under which a child inherits this descriptor."""
        return self.fd

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001  (the signature of socket.socket)
        """Nothing here ever blocks."""

    def listen(self, backlog: int = 100) -> None:
        """See `ServerSocket.listen`."""
        node = self._node
        node.backlog = max(0, backlog)
        if not node.listening:
            node.listening = True
            self._net._note(self.path, "listening")

    def accept_one(self, factory: Callable[[], asyncio.BaseProtocol], server: Any = None) -> None:
        """See `ServerSocket.accept_one`."""

        def accepted(transport: MemoryTransport) -> None:
            transport.attach(factory(), server)

        self.wait_for_client(accepted)

    def wait_for_client(self, accepted: Accepted) -> None:
        """Call ``accepted`` with the server's end of one connection as soon as there is one."""
        node = self._node
        node.waiters.append((self, accepted))
        if node.queue:
            self._net._wake(node)

    def stop_waiting(self) -> None:
        """Take back every `wait_for_client` of this descriptor."""
        waiters = self._node.waiters
        kept = [entry for entry in waiters if entry[0] is not self]
        waiters.clear()
        waiters.extend(kept)

    def close(self) -> None:
        """See `ServerSocket.close`."""
        if self._net._descriptors.pop(self.fd, None) is None:
            return
        self.stop_waiting()
        node = self._node
        node.descriptors -= 1
        if node.descriptors:
            return
        was_listening, node.listening = node.listening, False
        while node.queue:
            node.queue.popleft().drop(reset=True)
        self._net._closed(node)
        if was_listening:
            self._net._note(self.path, "closed")


class MemoryNet:
    """The net of a virtual loop.

    Attributes:
        files: the file system in which the socket files lie.
    """

    def __init__(self, loop: VirtualLoop, files: MemoryFiles | None = None) -> None:
        self.files = files if files is not None else MemoryFiles()
        self.files.on_socket_unlinked = self._unlinked
        self._loop = loop
        self._descriptors: dict[int, MemorySocket] = {}
        self._next_fd = itertools.count(FIRST_FD).__next__
        self._next_port = itertools.count(FIRST_PORT).__next__
        self._tcp: dict[int, _Node] = {}
        self._streams: dict[int, MemoryTransport] = {}
        self._observers: list[Callable[[str, str], None]] = []

    def bind(self, path: str, mode: int | None = None) -> MemorySocket:
        """See `Net.bind`."""
        _check_length(path)
        node = _Node(self._loop, path, 0o755 if mode is None else mode, socket.AF_UNIX)
        try:
            self.files.add_socket(path, node)
        except FileExistsError:
            raise _os_error(errno.EADDRINUSE, path) from None
        self._note(path, "bound")
        return self._open(node)

    def bind_anew(self, path: str) -> MemorySocket:
        """As `bind`, but a socket file that lies there is replaced, as asyncio's servers do."""
        with suppress(FileNotFoundError):
            if self.files.socket(path) is not None:
                self.unlink(path)
        return self.bind(path)

    def bind_tcp(self, port: int) -> MemorySocket:
        """A TCP socket on the loopback of this net; port 0 takes the next free one.

        Raises:
            OSError: EADDRINUSE.
        """
        port = port or self._next_port()
        if port in self._tcp:
            raise OSError(errno.EADDRINUSE, f"error while attempting to bind on address {(LOOPBACK, port)}")
        node = self._tcp[port] = _Node(self._loop, (LOOPBACK, port), 0o777, socket.AF_INET)
        return self._open(node)

    def adopt(self, fd: int) -> MemorySocket:
        """See `Net.adopt`."""
        found = self._descriptors.get(fd)
        if found is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._open(found._node)

    def stream_pair(self) -> tuple[int, MemoryTransport]:
        """A connected pair: the number of one end, to hand to a machine, and the other end."""
        near, far = pair(self._loop, "")
        fd = self._next_fd()
        self._streams[fd] = far
        return fd, near

    def is_stream(self, fd: int) -> bool:
        """See `Net.is_stream`."""
        return fd in self._streams

    def take_stream(self, fd: int) -> MemoryTransport:
        """The end of a stream behind a number, which is no more.

        Raises:
            OSError: EBADF, there is no such stream.
        """
        stream = self._streams.pop(fd, None)
        if stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return stream

    def close_stream(self, fd: int) -> None:
        """See `Net.close_stream`."""
        self.take_stream(fd).drop()

    def add_terminal(self, path: str, reader: Callable[[], asyncio.Protocol]) -> None:
        """Something that is opened as a terminal is: any number of times, each with a protocol of its own."""
        self.files.make_dirs(path.rpartition("/")[0])
        node = _Node(self._loop, path, 0o620, socket.AF_UNIX)
        node.listening, node.backlog = True, 1 << 16
        self.files.add_socket(path, node)
        door = MemorySocket(self, node, 0)

        def opened(transport: MemoryTransport) -> None:
            transport.attach(reader())
            door.wait_for_client(opened)

        door.wait_for_client(opened)

    def remove_terminal(self, path: str) -> None:
        """The terminal is no more; whoever has it open keeps it."""
        with suppress(FileNotFoundError):
            node = self.files.socket(path)
            if isinstance(node, _Node):
                node.waiters.clear()
                self.files.discard(path)

    def unlink(self, path: str) -> None:
        """See `Net.unlink`."""
        self.files.unlink(path)

    def observe(self, callback: Callable[[str, str], None]) -> None:
        """See `Net.observe`."""
        self._observers.append(callback)

    def open_descriptors(self) -> list[int]:
        """Numbers of the descriptors that are still open."""
        return list(self._descriptors)

    def listen_unix(self, path: str, backlog: int = 1) -> MemorySocket:
        """Bind and listen; what `virtsim.host.sockets.listen_unix` gives on this loop."""
        listener = self.bind(path)
        listener.listen(backlog)
        return listener

    async def wait_for_path(self, path: str) -> None:
        """Return once the path exists."""
        if self.files.exists(path):
            return
        appeared: asyncio.Future[None] = self._loop.create_future()

        def tell() -> None:
            if not appeared.done():
                appeared.set_result(None)

        self.files.watch(path, tell)
        try:
            await appeared
        finally:
            self.files.unwatch(path, tell)

    def connect(self, path: str) -> MemoryTransport:
        """Connect once, without blocking, and return the client's end.

        Raises:
            FileNotFoundError: no such path.
            ConnectionRefusedError: nobody listens there.
            PermissionError: the mode of the socket file has no write bit for its owner.
            BlockingIOError: the backlog is full (EAGAIN).
        """
        if len(path) > MAX_PATH or not path.isascii():
            _check_length(path)
        node = self.files.socket(path)  # raises FileNotFoundError
        if not isinstance(node, _Node):
            raise _os_error(errno.ECONNREFUSED, path)
        if not node.mode & 0o200:
            raise _os_error(errno.EACCES, path)
        if not node.listening:
            raise _os_error(errno.ECONNREFUSED, path)
        if len(node.queue) > node.backlog:
            raise _os_error(errno.EAGAIN, path)
        return self._connected(node, "")

    def connect_tcp(self, port: int) -> MemoryTransport:
        """As `connect`, to a port of the loopback.

        Raises:
            ConnectionRefusedError: nobody listens there.
        """
        node = self._tcp.get(port)
        if node is None or not node.listening:
            raise _os_error(errno.ECONNREFUSED, f"{LOOPBACK}:{port}")
        return self._connected(node, (LOOPBACK, self._next_port()))

    def _connected(self, node: _Node, client_name: Any) -> MemoryTransport:
        client, server = pair(self._loop, node.name, node.family, client_name)
        node.queue.append(server)
        if node.waiters:
            self._wake(node)
        return client

    def _open(self, node: _Node) -> MemorySocket:
        opened = MemorySocket(self, node, self._next_fd())
        self._descriptors[opened.fd] = opened
        return opened

    def _wake(self, node: _Node) -> None:
        if node.accept_handle not in self._loop._arrivals:
            self._loop._arrivals.append(node.accept_handle)

    def _closed(self, node: _Node) -> None:
        if node.family != socket.AF_UNIX:
            del self._tcp[node.name[1]]

    def _unlinked(self, path: str) -> None:
        self._note(path, "unlinked")

    def _note(self, path: str, what: str) -> None:
        for observer in self._observers:
            observer(path, what)


def _check_length(path: str) -> None:
    if len(os.fsencode(path)) > MAX_PATH:
        raise OSError("AF_UNIX path too long")


def _os_error(number: int, name: str) -> OSError:
    return OSError(number, os.strerror(number), name)
