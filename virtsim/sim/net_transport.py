# ruff: noqa: SLF001  (the two ends of a connection are of one class and write into each other)
"""One end of a connection that exists only in memory, with the semantics of asyncio's socket transport.

Knows asyncio's Transport contract and how the kernel buffers a Unix stream. Must not know names, paths and
backlogs.

Each end has an inbox (the kernel's buffer, bounded) and an outbox (the transport's own, for what the inbox of
the other end could not take). A write to a peer that reads queues one handle that is made once and used
again: bytes that arrive before it runs are read together, 64 KiB at a time, as a real transport reads them.
Handles of arrivals run where the selector's events would, so both nets give one order of callbacks.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from virtsim.sim.loop import VirtualLoop

__all__ = ["CAPACITY", "MemoryTransport", "pair"]

logger = logging.getLogger("asyncio")

#: Bytes the "kernel" holds for a reader: Linux's net.core.wmem_default (it also counts its own overhead).
CAPACITY = 212_992
#: The writer may go on when this much or less is left unread: unix_writable() of net/unix/af_unix.c.
WRITABLE_BELOW = CAPACITY // 4
#: Most that one data_received() gets; see doors.RECV_SIZE.
READ_SIZE = 64 * 1024
#: asyncio's default limits of the write buffer.
HIGH_WATER = 64 * 1024
#: As asyncio: warn of writes into a dead connection after this many.
LOG_THRESHOLD = 5


class _SocketStandIn:
    """What ``get_extra_info("socket")`` gives: enough to tell the family and to send descriptors."""

    type = socket.SOCK_STREAM

    def __init__(self, transport: MemoryTransport, family: socket.AddressFamily) -> None:
        self.family = family
        self._transport = transport

    @property
    def _sock(self) -> _SocketStandIn:
        """Asyncio's own wrapper has the real socket there, and qemu.qmp takes it out."""
        return self

    def sendmsg(
        self, buffers: Iterable[bytes], ancillary: Iterable[tuple[int, int, bytes]] = (), *_: object
    ) -> int:
        """As `socket.socket.sendmsg` with SCM_RIGHTS."""
        data = b"".join(buffers)
        fds: list[int] = []
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.extend(struct.unpack(f"@{len(payload) // 4}i", payload))
        self._transport.send_fds(data, fds)
        return len(data)


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory; `pair` makes two of them."""

    __slots__ = (
        "__weakref__",
        "_arrivals",
        "_closing",
        "_conn_lost",
        "_context",
        "_deliver",
        "_eof",
        "_eof_in",
        "_fds",
        "_high",
        "_inbox",
        "_inbox_size",
        "_loop",
        "_low",
        "_outbox",
        "_paused",
        "_peer",
        "_plain",
        "_protocol",
        "_read_handle",
        "_reading",
        "_reset",
        "_scheduled",
        "_server",
        "_starves",
        "_write_handle",
        "_write_paused",
        "_writing",
    )  # fmt: skip

    def __init__(self, loop: VirtualLoop, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self._loop = loop
        self._arrivals = loop._arrivals
        self._context: Context | None = None
        self._peer: MemoryTransport | None = None
        self._protocol: asyncio.BaseProtocol | None = None
        self._deliver: Callable[[bytes], None] = _nothing
        self._server: Any = None
        # the kernel's side
        self._inbox: deque[bytes] = deque()
        self._inbox_size = 0
        self._fds: list[int] = []
        self._eof_in = False  # the peer has sent its last byte
        self._reset = False  # ... and went away with bytes of ours unread
        # the transport's side
        self._reading = False  # a reader is registered
        self._scheduled = False  # ... and its handle is queued
        self._paused = False
        self._outbox = bytearray()
        self._plain = True  # nothing stands in the way of a write but the room in the peer's inbox
        self._starves = False  # the peer waits for room in our inbox
        self._writing = False  # the writer's handle is queued
        self._write_paused = False
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._eof = False
        self._closing = False
        self._conn_lost = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's: sockname, peername, and a stand-in for socket."""
        if name == "socket":
            return _SocketStandIn(self, super().get_extra_info("family"))
        return super().get_extra_info(name, default)

    def __repr__(self) -> str:
        state = "closed" if self._protocol is None else "closing" if self._closing else "open"
        ends = f"{self.get_extra_info('sockname')!r} <-> {self.get_extra_info('peername')!r}"
        return f"<MemoryTransport {state} {ends}>"

    def attach(self, protocol: asyncio.BaseProtocol, server: Any = None) -> asyncio.Future[None]:
        """Give this end its protocol; connection_made comes with the loop's next turn.

        Returns:
            Done once connection_made has been called and reading has begun.
        """
        loop = self._loop
        self._context = copy_context()
        self._read_handle = asyncio.Handle(self._read_ready, (), loop, self._context)
        self._write_handle = asyncio.Handle(self._write_ready, (), loop, self._context)
        self.set_protocol(protocol)
        if server is not None:
            self._server = server
            _server_call(server._attach, self)
        waiter: asyncio.Future[None] = loop.create_future()
        loop.call_soon(protocol.connection_made, self, context=self._context)
        loop.call_soon(self._begin, waiter, context=self._context)
        return waiter

    def _begin(self, waiter: asyncio.Future[None]) -> None:
        if not self._closing and not self._paused:
            self._read_on()
        if not waiter.done():
            waiter.set_result(None)

    # -- protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """As asyncio's."""
        self._protocol = protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            self._deliver = self._fill
        else:
            self._deliver = protocol.data_received  # type: ignore[attr-defined]

    def get_protocol(self) -> asyncio.BaseProtocol:
        """As asyncio's; None after connection_lost."""
        return self._protocol  # type: ignore[return-value]

    # -- reading

    def is_reading(self) -> bool:
        """As asyncio's."""
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        """As asyncio's."""
        if self.is_reading():
            self._paused = True
            self._reading = False

    def resume_reading(self) -> None:
        """As asyncio's."""
        if not self._closing and self._paused:
            self._paused = False
            self._read_on()

    def _read_on(self) -> None:
        self._reading = True
        if (self._inbox or self._eof_in) and not self._scheduled:
            self._scheduled = True
            self._arrivals.append(self._read_handle)

    def _arrived(self) -> None:
        """The peer has put something into the inbox, or ended it."""
        if self._reading and not self._scheduled:
            self._scheduled = True
            self._arrivals.append(self._read_handle)

    def _read_ready(self) -> None:
        self._scheduled = False
        if not self._reading:
            return
        inbox = self._inbox
        if not inbox:
            self._at_eof()
            return
        if len(inbox) == 1 and self._inbox_size <= READ_SIZE:
            data = inbox.popleft()
            self._inbox_size = 0
        else:
            data = self._take(READ_SIZE)
        if self._starves and self._inbox_size <= WRITABLE_BELOW and self._peer is not None:
            self._peer._writable()
        if inbox or self._eof_in:
            self._scheduled = True
            self._arrivals.append(self._read_handle)
        try:
            self._deliver(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  (as asyncio: the connection dies, the loop does not)
            self._fatal(error, "Fatal error: protocol.data_received() call failed.")

    def _take(self, size: int) -> bytes:
        """Up to ``size`` bytes from the inbox, as one recv() gets them."""
        inbox = self._inbox
        parts = []
        while inbox and size:
            part = inbox.popleft()
            if len(part) > size:
                inbox.appendleft(part[size:])
                part = part[:size]
            size -= len(part)
            self._inbox_size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _fill(self, data: bytes) -> None:
        protocol = self._protocol
        while data and isinstance(protocol, asyncio.BufferedProtocol):
            buffer = protocol.get_buffer(-1)
            size = min(len(buffer), len(data))  # type: ignore[arg-type]
            if not size:
                raise RuntimeError("get_buffer() returned an empty buffer")
            memoryview(buffer).cast("B")[:size] = data[:size]
            protocol.buffer_updated(size)
            data = data[size:]
            protocol = self._protocol

    def _at_eof(self) -> None:
        if self._reset:
            self._reset = False
            self._fatal(
                ConnectionResetError(104, "Connection reset by peer"), "Fatal read error on socket transport"
            )
            return
        if not self._eof_in:
            return
        try:
            keep_open = self._protocol.eof_received()  # type: ignore[union-attr]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  (as above)
            self._fatal(error, "Fatal error: protocol.eof_received() call failed.")
            return
        if keep_open:
            self._reading = False
        else:
            self.close()

    # -- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """As asyncio's."""
        peer = self._peer
        if self._plain and type(data) is bytes and peer is not None and data:
            size = peer._inbox_size + len(data)
            if size <= CAPACITY:
                peer._inbox.append(data)
                peer._inbox_size = size
                if peer._reading and not peer._scheduled:
                    peer._scheduled = True
                    self._arrivals.append(peer._read_handle)
                return
        self._write_slowly(data)

    def _write_slowly(self, data: bytes | bytearray | memoryview) -> None:
        """Any write that is not bytes to a live peer with room in its inbox."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data:
            return
        if self._conn_lost:
            if self._conn_lost >= LOG_THRESHOLD:
                logger.warning("socket.send() raised exception.")
            self._conn_lost += 1
            return
        if self._peer is None:
            self._fatal(BrokenPipeError(32, "Broken pipe"), "Fatal write error on socket transport")
            return
        sent = 0 if self._outbox else self._push(data)
        if sent == len(data):
            return
        self._outbox += memoryview(data)[sent:]
        self._plain = False
        self._peer._starves = True
        if len(self._outbox) > self._high and not self._write_paused:
            self._write_paused = True
            self._tell("pause_writing")

    def _push(self, data: bytes | bytearray | memoryview) -> int:
        peer = self._peer
        if peer is None:
            return 0
        size = min(len(data), max(0, CAPACITY - peer._inbox_size))
        if size:
            peer._inbox.append(bytes(data[:size]))
            peer._inbox_size += size
            peer._arrived()
        return size

    def _writable(self) -> None:
        if not self._writing:
            self._writing = True
            self._arrivals.append(self._write_handle)

    def _write_ready(self) -> None:
        self._writing = False
        if not self._outbox:
            return
        peer = self._peer
        if peer is None:
            self._outbox.clear()
            self._fatal(BrokenPipeError(32, "Broken pipe"), "Fatal write error on socket transport")
            return
        del self._outbox[: self._push(self._outbox)]
        self._maybe_resume()
        if not self._outbox:
            peer._starves = False
            self._plain = not self._eof and not self._closing
            if self._closing:
                self._lost(None)
            elif self._eof:
                self._shut_down()

    def send_fds(self, data: bytes, fds: Iterable[int]) -> None:
        """Send bytes with descriptors beside them (SCM_RIGHTS); the peer finds them with `take_fds`.

        Raises:
            BrokenPipeError: the peer is gone.
        """
        if self._peer is None:
            raise BrokenPipeError(32, "Broken pipe")
        self._peer._fds.extend(fds)
        self.write(data)

    def take_fds(self) -> list[int]:
        """The descriptors that have arrived and nobody has taken yet."""
        fds, self._fds = self._fds, []
        return fds

    def can_write_eof(self) -> bool:
        """True: a Unix stream can be closed in one direction."""
        return True

    def write_eof(self) -> None:
        """As asyncio's."""
        if self._closing or self._eof:
            return
        self._eof = True
        self._plain = False
        if not self._outbox:
            self._shut_down()

    def _shut_down(self) -> None:
        if self._peer is not None:
            self._peer._eof_in = True
            self._peer._arrived()

    # -- flow control

    def get_write_buffer_size(self) -> int:
        """As asyncio's: what the peer's inbox could not take."""
        return len(self._outbox)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """As asyncio's."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As asyncio's."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low
        if len(self._outbox) > high and not self._write_paused:
            self._write_paused = True
            self._tell("pause_writing")

    def _maybe_resume(self) -> None:
        if self._write_paused and len(self._outbox) <= self._low:
            self._write_paused = False
            self._tell("resume_writing")

    def _tell(self, what: str) -> None:
        try:
            getattr(self._protocol, what)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  (as asyncio)
            self._loop.call_exception_handler(
                {
                    "message": f"protocol.{what}() failed",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )

    # -- the end

    def is_closing(self) -> bool:
        """As asyncio's."""
        return self._closing

    def close(self) -> None:
        """As asyncio's: what was written is still sent."""
        if self._closing:
            return
        self._closing = True
        self._reading = False
        if not self._outbox:
            self._plain = False
            self._conn_lost += 1
            self._loop.call_soon(self._lost, None, context=self._context)

    def abort(self) -> None:
        """As asyncio's: what was written and not sent is dropped."""
        self._force_close(None)

    def _force_close(self, error: BaseException | None) -> None:
        if self._conn_lost:
            return
        self._outbox.clear()
        self._plain = False
        self._closing = True
        self._reading = False
        self._conn_lost += 1
        self._loop.call_soon(self._lost, error, context=self._context)

    def _fatal(self, error: BaseException, message: str) -> None:
        if not isinstance(error, OSError):
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
            )
        self._force_close(error)

    def _lost(self, error: BaseException | None) -> None:
        protocol = self._protocol
        if protocol is None:
            return
        try:
            protocol.connection_lost(error)  # type: ignore[arg-type]
        finally:
            self._protocol = None
            self._deliver = _nothing
            server, self._server = self._server, None
            self._read_handle.cancel()
            self._write_handle.cancel()
            self.drop()
            if server is not None:
                _server_call(server._detach, self)

    def drop(self, *, reset: bool = False) -> None:
        """Close the kernel's side: the peer sees the end, or a reset when bytes were left unread."""
        peer, self._peer = self._peer, None
        if peer is None:
            return
        peer._peer = None
        peer._eof_in = True
        peer._reset = reset or bool(self._inbox)
        self._inbox.clear()
        if peer._outbox:
            peer._writable()
        peer._arrived()


def _nothing(_: bytes) -> None:
    """Takes what nobody wants any more."""


def _server_call(method: Any, transport: MemoryTransport) -> None:
    """Call ``Server._attach`` or ``_detach``; CPython 3.13 wants to know the transport, 3.11 does not."""
    if method.__code__.co_argcount > 1:
        method(transport)
    else:
        method()


def pair(
    loop: VirtualLoop, server_name: Any, family: socket.AddressFamily = socket.AF_UNIX, client_name: Any = ""
) -> tuple[MemoryTransport, MemoryTransport]:
    """A connected client's and server's end, neither with a protocol yet."""
    client = MemoryTransport(loop, {"sockname": client_name, "peername": server_name, "family": family})
    server = MemoryTransport(loop, {"sockname": server_name, "peername": client_name, "family": family})
    client._peer, server._peer = server, client
    return client, server
