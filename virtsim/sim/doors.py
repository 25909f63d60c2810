"""The ways out of a simulated run, and the lock on each.

Knows every asyncio call that reaches out of the process or into another thread. Must not know the clock.

An answer from outside arrives after some real time; on a virtual clock it would arrive at a virtual time that
differs from run to run. So executors, subprocesses, signals and real hosts are refused, or counted
(``allow_external``) while the clock stands still. Connections are made on the loop's own net.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import socket
import stat
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from virtsim.sim.net import MemoryNet, MemorySocket, MemoryTransport, Net
from virtsim.sim.net_real import connected
from virtsim.sim.stall import SimForbidden

__all__ = ["GuardedLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: What a real transport asks of ``recv``: asyncio's own 256 KiB costs an mmap, mremap and munmap a message.
RECV_SIZE = 64 * 1024
#: The names under which a host finds itself.
LOOPBACK = frozenset({None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104

if TYPE_CHECKING:

    class _Base(asyncio.SelectorEventLoop):
        """The private parts of CPython's loop that are relied on."""

        _ready: deque[asyncio.Handle]
        _selector: Any
        _debug: bool
        _closed: bool
        _stopping: bool
        _clock_resolution: float
        _timer_cancelled_count: int
        _current_handle: asyncio.Handle | None
        _default_executor: Any

        def _process_events(self, events: Any) -> None: ...
        def _check_closed(self) -> None: ...
        def _check_thread(self) -> None: ...
        def _check_callback(self, callback: Any, method: str) -> None: ...
        def _make_socket_transport(self, *args: Any, **kwargs: Any) -> Any: ...
        def _start_serving(self, *args: Any, **kwargs: Any) -> None: ...
        def _stop_serving(self, sock: Any) -> None: ...
        def _child_watcher_callback(self, pid: int, returncode: int, transp: Any) -> None: ...
        async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Base = asyncio.SelectorEventLoop


class GuardedLoop(_Base):
    """A selector loop with its own net that lets nothing out unless it was told to."""

    net: Net
    allow_external = False

    def __init__(self) -> None:
        self._external = 0
        self._memory: MemoryNet | None = None
        super().__init__()

    def _outside(self, what: str) -> None:
        if not self.allow_external:
            raise SimForbidden(
                f"{what} is not possible inside a simulated run: its answer would arrive at a virtual time "
                "that differs from run to run (allow_external=True lets it through and stops the clock)"
            )

    def _finished_outside(self, _: object = None) -> None:
        self._external -= 1

    # -- threads, processes, signals, names

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> Any:
        """Refused, or counted while the clock stands still."""
        self._outside(f"running {_called(func)} in an executor")
        future = super().run_in_executor(executor, func, *args)
        self._external += 1
        future.add_done_callback(self._finished_outside)
        return future

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """Refused, or counted while the clock stands still."""
        self._outside(f"looking up the host {host!r}")
        return await super().getaddrinfo(host, port, **options)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Any:
        """Refused, or counted while the clock stands still."""
        self._outside(f"looking up the address {sockaddr!r}")
        return await super().getnameinfo(sockaddr, flags)

    async def subprocess_exec(self, protocol_factory: Any, program: Any, *args: Any, **options: Any) -> Any:
        """Refused, or counted while the clock stands still."""
        self._outside(f"starting the program {program!r}")
        return await super().subprocess_exec(protocol_factory, program, *args, **options)

    async def subprocess_shell(self, protocol_factory: Any, cmd: Any, **options: Any) -> Any:
        """Refused, or counted while the clock stands still."""
        self._outside(f"starting the shell command {cmd!r}")
        return await super().subprocess_shell(protocol_factory, cmd, **options)

    async def _make_subprocess_transport(self, *args: Any, **options: Any) -> Any:
        self._external += 1
        try:
            return await super()._make_subprocess_transport(*args, **options)
        except BaseException:
            self._external -= 1
            raise

    def _child_watcher_callback(self, pid: int, returncode: int, transp: Any) -> None:
        # A watcher thread may be the caller: the count belongs to the loop's thread.
        self.call_soon_threadsafe(self._finished_outside)
        super()._child_watcher_callback(pid, returncode, transp)

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Refused, or passed through: a signal arrives at whatever time the clock shows."""
        self._outside(f"handling signal {sig}")
        super().add_signal_handler(sig, callback, *args)

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """As asyncio's; the thread that waits for the others is counted too."""
        self._external += 1
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._external -= 1

    # -- Unix sockets

    async def create_unix_connection(
        self, protocol_factory: Any, path: Any = None, *, ssl: Any = None, sock: Any = None, **options: Any
    ) -> Any:
        """As asyncio's, on the loop's net, and with a full backlog reported.

        Raises:
            FileNotFoundError: no such path.
            ConnectionRefusedError: nobody listens there.
            PermissionError: the socket file's mode forbids it.
            BlockingIOError: the backlog is full (EAGAIN).
        """
        if path is None or sock is not None:
            return await super().create_unix_connection(protocol_factory, path, ssl=ssl, sock=sock, **options)
        memory = self._memory
        if memory is not None:
            if type(path) is not str:
                path = os.fsdecode(os.fspath(path))
            transport = memory.connect(path)
            self._no_tls(ssl)
            return await self._connected_memory(protocol_factory, transport)
        sock = connected(os.fspath(path))
        try:
            return await super().create_unix_connection(protocol_factory, sock=sock, ssl=ssl, **options)
        except BaseException:
            sock.close()
            raise

    @staticmethod
    async def _connected_memory(protocol_factory: Any, transport: MemoryTransport) -> Any:
        try:
            protocol = protocol_factory()
        except BaseException:
            transport.drop()
            raise
        waiter = transport.attach(protocol)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def create_unix_server(
        self,
        protocol_factory: Any,
        path: Any = None,
        *,
        sock: Any = None,
        backlog: int = 100,
        ssl: Any = None,
        start_serving: bool = True,
        **options: Any,
    ) -> Any:
        """As asyncio's, on the loop's net; the socket file stays when the server is closed, in all versions.

        Args:
            protocol_factory: makes the protocol of each connection.
            path: where to bind; a socket file that lies there is replaced.
            sock: or a bound socket; on the memory net what its ``bind`` or ``listen_unix`` gave.
            backlog: see `ServerSocket.listen`.
            ssl: TLS; not on the memory net.
            start_serving: listen at once.
            **options: as asyncio's.
        """
        bound: Any
        if isinstance(sock, MemorySocket):
            self._no_tls(ssl)
            bound = sock
        elif sock is None and self._memory is not None:
            self._no_tls(ssl)
            bound = self._memory.bind_anew(os.fsdecode(os.fspath(path)))
        elif sock is None:
            bound = _bind_real(os.fspath(path))
        else:
            bound = sock
        bound.setblocking(False)  # noqa: FBT003
        return await self._serve(protocol_factory, bound, backlog, start_serving, ssl, **options)

    async def _serve(  # noqa: PLR0917
        self,
        protocol_factory: Any,
        sock: Any,
        backlog: int,
        start_serving: bool,  # noqa: FBT001
        ssl: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        **_: Any,
    ) -> asyncio.base_events.Server:
        server = asyncio.base_events.Server(
            self, [sock], protocol_factory, ssl, backlog, ssl_handshake_timeout, ssl_shutdown_timeout
        )
        if start_serving:
            await server.start_serving()
        return server

    def _start_serving(
        self, protocol_factory: Any, sock: Any, sslcontext: Any = None, server: Any = None, *rest: Any
    ) -> None:
        if not isinstance(sock, MemorySocket):
            super()._start_serving(protocol_factory, sock, sslcontext, server, *rest)
            return

        def accepted(transport: Any) -> None:
            sock.wait_for_client(accepted)
            transport.attach(protocol_factory(), server)

        sock.wait_for_client(accepted)

    def _stop_serving(self, sock: Any) -> None:
        if isinstance(sock, MemorySocket):
            sock.close()
        else:
            super()._stop_serving(sock)

    def _make_socket_transport(self, *args: Any, **kwargs: Any) -> Any:
        transport = super()._make_socket_transport(*args, **kwargs)
        transport.max_size = RECV_SIZE
        return transport

    # -- TCP, to this host only

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, *, ssl: Any = None, **options: Any
    ) -> Any:
        """As asyncio's, to the loopback of the loop's net; other hosts are refused.

        Raises:
            SimForbidden: ``host`` is another one.
        """
        if options.get("sock") is not None:
            return await super().create_connection(protocol_factory, host, port, ssl=ssl, **options)
        if host not in LOOPBACK:
            self._outside(f"connecting to the host {host!r}")
        elif self._memory is not None:
            self._no_tls(ssl)
            return await self._connected_memory(protocol_factory, self._memory.connect_tcp(int(port)))
        else:
            host = "127.0.0.1"  # a number needs no look-up
        return await super().create_connection(protocol_factory, host, port, ssl=ssl, **options)

    async def create_server(
        self,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        ssl: Any = None,
        backlog: int = 100,
        start_serving: bool = True,
        **options: Any,
    ) -> Any:
        """As asyncio's, on the loopback of the loop's net; other addresses are refused.

        Raises:
            SimForbidden: ``host`` is another one.
        """
        if options.get("sock") is None and (not isinstance(host, str | None) or host not in LOOPBACK):
            self._outside(f"serving on the address {host!r}")
        elif options.get("sock") is None:
            if self._memory is not None:
                self._no_tls(ssl)
                sock = self._memory.bind_tcp(int(port or 0))
                return await self._serve(protocol_factory, sock, backlog, start_serving)
            host = "127.0.0.1"
        return await super().create_server(
            protocol_factory, host, port, ssl=ssl, backlog=backlog, start_serving=start_serving, **options
        )

    async def create_datagram_endpoint(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """Refused, or passed through."""
        self._outside("opening a datagram socket")
        return await super().create_datagram_endpoint(protocol_factory, *args, **options)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Refused on a memory net, or passed through: the kernel's sockets are outside of it."""
        if self._memory is not None:
            self._outside(f"connecting a socket of the kernel to {address!r}")
        await super().sock_connect(sock, address)

    @staticmethod
    def _no_tls(ssl: Any) -> None:
        if ssl:
            raise SimForbidden("the memory net has no TLS")


def _called(func: Any) -> str:
    """The name of what an executor was to run, without an address in memory: it may stand in a journal."""
    if isinstance(func, functools.partial):
        inner = func.func
        if getattr(inner, "__name__", "") == "run" and isinstance(
            getattr(inner, "__self__", None), contextvars.Context
        ):
            return _called(func.args[0])  # what asyncio.to_thread makes of a function
        return _called(inner)
    return str(getattr(func, "__qualname__", None) or type(func).__qualname__)


def _bind_real(path: str | bytes) -> socket.socket:
    """Bind as asyncio's create_unix_server does: only a socket file that is in the way is replaced."""
    name = Path(os.fsdecode(path))
    try:
        if stat.S_ISSOCK(name.stat().st_mode):
            name.unlink()
    except FileNotFoundError:
        pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except BaseException:
        sock.close()
        raise
    return sock
