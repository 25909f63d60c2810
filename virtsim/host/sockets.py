"""Unix sockets: listen for one peer, connect to one.

Knows the kernel's rules for AF_UNIX, and that a virtual loop may own a net of its own. Must not know what is
spoken.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from virtsim.errors import InternalError

__all__ = ["MAX_SOCKET_PATH", "Listener", "absence_probe", "connect_unix", "listen_unix"]

_P = TypeVar("_P", bound=asyncio.BaseProtocol)

#: Longest path of a Unix socket, bytes: sun_path has 108 with the closing NUL (unix(7)).
MAX_SOCKET_PATH = 107

#: How long to wait before a connect is tried again that found the peer's queue full, seconds. Short against
#: any patience of a caller, long against the cost of a try (about 20 us).
_FULL_QUEUE_NAP_S = 0.01

#: Read this much at once, bytes. asyncio's own 256 KiB make glibc map and unmap memory for every message.
_READ_SIZE = 64 * 1024


class Listener(Protocol):
    """A listening socket that is meant for a child: it inherits ``fd``, then our copy is closed."""

    @property
    def fd(self) -> int:
        """The descriptor, to be given to ``Launcher.spawn(fds=...)``."""
        ...

    @property
    def path(self) -> str:
        """Where it listens."""
        ...

    def close(self) -> None:
        """Close our copy of the descriptor; the socket file stays. Twice is fine."""
        ...


class _UnixListener:
    """A `Listener` of the kernel's."""

    def __init__(self, path: str, backlog: int) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Linux takes the node's mode from the socket at bind, so the node is never open to others, not
            # even for a moment; umask() would do the same to every thread of the program.
            os.fchmod(self._socket.fileno(), 0o600)
            self._socket.bind(path)
            try:
                self._socket.listen(backlog)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                raise
        except BaseException:
            self._socket.close()
            raise

    @property
    def fd(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def listen_unix(path: str, backlog: int = 1) -> Listener:
    """Bind ``path`` with mode 0600 and listen, on the running loop's own net if it has one.

    When it fails nothing is left behind.

    Args:
        path: where; nothing may be there yet.
        backlog: how many clients may wait beyond the one served; QEMU and libvirt use 1.

    Raises:
        OSError: EADDRINUSE when anything is there already, ENOENT without its directory, EACCES.
        InternalError: the path is longer than `MAX_SOCKET_PATH`; libvirt's text (8.5.0
            qemuOpenChrChardevUNIXSocket).
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise InternalError(f"UNIX socket path '{path}' too long")
    own = _loop_door("listen_unix")
    if own is not None:
        return cast("Listener", own(path, backlog))
    return _UnixListener(path, backlog)


def absence_probe(path: str) -> Callable[[], bool] | None:
    """A way to see, for less than a connect costs, that a connect to ``path`` would give ENOENT now.

    Only a loop that owns its net has one. On the kernel's net it is None: there a connect is the one way to
    know, and asking before it would be a race. Nor is there one for a path that is too long to connect to.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        return None
    door = _loop_door("absence_of_path")
    return None if door is None else cast("Callable[[], bool]", door(path))


async def connect_unix(factory: Callable[[], _P], path: str) -> tuple[asyncio.Transport, _P]:
    """Connect to a Unix socket once, as a blocking ``connect()`` would, but without blocking.

    One attempt has one outcome. Only a full queue of the listener (EAGAIN), on which a blocking connect would
    wait, is waited out here, for as long as it lasts; callers set their own limit. When it fails or is
    cancelled no descriptor is left.

    asyncio's own ``create_unix_connection(path=...)`` must not be used for it: on Python 3.11 to 3.13 it
    takes EAGAIN
    for "in progress" and reports success on a socket that was never connected.

    Args:
        factory: makes the protocol; called once, when connected.
        path: where the peer listens.

    Returns:
        The transport and the protocol.

    Raises:
        OSError: FileNotFoundError, ConnectionRefusedError, PermissionError and so on, as the system gave it.
        InternalError: the path is longer than `MAX_SOCKET_PATH`; libvirt's text (8.5.0 qemuMonitorOpenUnix).
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise InternalError(f"Monitor path {path} too big for destination")
    while True:
        try:
            return await _connect_once(factory, path)
        except BlockingIOError:
            await asyncio.sleep(_FULL_QUEUE_NAP_S)


async def _connect_once(factory: Callable[[], _P], path: str) -> tuple[asyncio.Transport, _P]:
    """Connect, or raise what the system said; BlockingIOError for a full queue."""
    loop = asyncio.get_running_loop()
    if _loop_door("listen_unix") is not None:
        return await loop.create_unix_connection(factory, path)
    sock = _connected_socket(path)
    try:
        protocol = factory()
    except BaseException:
        sock.close()
        raise
    # From here on the transport owns the socket, also when the wait for it is cancelled.
    transport, _ = await loop.create_unix_connection(lambda: protocol, sock=sock)
    if hasattr(transport, "max_size"):
        transport.max_size = _READ_SIZE
    return transport, protocol


def _connected_socket(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        number = sock.connect_ex(path)
        if number:
            raise OSError(number, os.strerror(number), path)
    except BaseException:
        sock.close()
        raise
    return sock


def _loop_door(name: str) -> Callable[..., Any] | None:
    """A door that the running loop owns, if it is of the kind that does."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return getattr(loop, name, None)
