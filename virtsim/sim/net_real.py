"""The kernel's sockets behind the interface of `virtsim.sim.net`.

Knows socket files and asyncio's public calls. Must not know which loop runs: an ordinary or a virtual one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["ClientSocket", "RealNet", "RealSocket", "connected"]


def connected(path: str) -> socket.socket:
    """A non-blocking socket connected to ``path``, by one connect().

    asyncio's own ``sock_connect`` takes EAGAIN, a full backlog, for a connect under way and then reports
    success on a socket that is not connected.

    Raises:
        OSError: as connect() failed; BlockingIOError for a full backlog.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        number = sock.connect_ex(path)
        if number:
            raise OSError(number, os.strerror(number))
    except BaseException:
        sock.close()
        raise
    return sock


class ClientSocket(socket.socket):
    """A connected socket that keeps the descriptors which come with bytes (SCM_RIGHTS)."""

    _MAX_FDS = 16

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As `socket.socket.recv`; what came beside the bytes waits for `take_fds`."""
        data, fds, _, _ = socket.recv_fds(self, size, self._MAX_FDS, flags | socket.MSG_CMSG_CLOEXEC)
        if fds:
            self.__dict__.setdefault("fds", []).extend(fds)
        return data

    def take_fds(self) -> list[int]:
        """The descriptors that have arrived and nobody has taken yet."""
        fds: list[int] = self.__dict__.pop("fds", [])
        return fds


class RealSocket:
    """A bound socket of the kernel; see `ServerSocket`."""

    def __init__(self, sock: socket.socket, observers: list[Callable[[str, str], None]]) -> None:
        sock.settimeout(0)
        self._sock = sock
        self._observers = observers
        self._factories: deque[Callable[[], asyncio.BaseProtocol]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[asyncio.Task[None], None] = {}

    @property
    def path(self) -> str | None:
        """Path of the socket file, or None."""
        name = self._sock.getsockname() if self._sock.fileno() >= 0 else None
        return name if isinstance(name, str) and name else None

    def listen(self, backlog: int) -> None:
        """See `ServerSocket.listen`."""
        self._sock.listen(backlog)
        for observer in self._observers:
            observer(self.path or "", "listening")

    def accept_one(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        """See `ServerSocket.accept_one`; needs a running loop."""
        self._factories.append(factory)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            client, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        factory = self._factories.popleft()
        if not self._factories:
            self._disarm()
        client = ClientSocket(fileno=client.detach())
        client.settimeout(0)
        task = loop.create_task(self._serve(loop, client, factory))
        self._tasks[task] = None
        task.add_done_callback(self._served)

    @staticmethod
    async def _serve(
        loop: asyncio.AbstractEventLoop, client: socket.socket, factory: Callable[[], Any]
    ) -> None:
        try:
            await loop.connect_accepted_socket(factory, client)
        except BaseException:
            client.close()
            raise

    def _served(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler(
                {"message": "a client could not be served", "exception": error, "task": task}
            )

    def _disarm(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._loop = None

    def close(self) -> None:
        """See `ServerSocket.close`."""
        if self._sock.fileno() < 0:
            return
        path = self.path
        if self._loop is not None and not self._loop.is_closed():
            self._disarm()
        self._factories.clear()
        self._sock.close()
        for observer in self._observers:
            observer(path or "", "closed")


class RealNet:
    """The kernel's Unix sockets."""

    def __init__(self) -> None:
        self._observers: list[Callable[[str, str], None]] = []

    def bind(self, path: str, mode: int | None = None) -> RealSocket:
        """See `Net.bind`."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(path)
            if mode is not None:
                os.chmod(path, mode)  # noqa: PTH101  (the seam speaks of paths as strings)
        except BaseException:
            sock.close()
            raise
        self._note(path, "bound")
        return RealSocket(sock, self._observers)

    def adopt(self, fd: int) -> RealSocket:
        """See `Net.adopt`."""
        return RealSocket(socket.socket(fileno=os.dup(fd)), self._observers)

    def bind_tcp(self, port: int) -> RealSocket:
        """See `Net.bind_tcp`."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        return RealSocket(sock, self._observers)

    @staticmethod
    def is_stream(fd: int) -> bool:
        """See `Net.is_stream`."""
        try:
            return not stat.S_ISSOCK(os.fstat(fd).st_mode)
        except OSError:
            return False

    @staticmethod
    def close_stream(fd: int) -> None:
        """See `Net.close_stream`."""
        os.close(fd)

    def unlink(self, path: str) -> None:
        """See `Net.unlink`."""
        os.unlink(path)  # noqa: PTH108  (as above)
        self._note(path, "unlinked")

    def observe(self, callback: Callable[[str, str], None]) -> None:
        """See `Net.observe`: what goes through this object."""
        self._observers.append(callback)

    def _note(self, path: str, what: str) -> None:
        for observer in self._observers:
            observer(path, what)
