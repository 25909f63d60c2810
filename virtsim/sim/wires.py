"""The connections of a fake QEMU in the loop: what its driver does with each, and what it tells the machine.

Knows asyncio's transports, descriptors and terminals. Must not know what is said, nor how the machine works.

Every kind of connection answers the same calls, so the launcher treats a monitor's client, a terminal, an
adopted descriptor and a file alike.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

__all__ = ["DescriptorTransport", "Sink", "Terminal", "Wire", "WireOwner"]

_READ_SIZE = 64 * 1024
#: Whoever leaves this much unread has gone; as in `fakeqemu.driver.wires`.
_LOST = 1 << 28
#: Parts of a second in which a slowed connection sends.
_TICKS = 100


class WireOwner(Protocol):
    """Whose connection it is."""

    def wire_made(self, wire: Wire) -> None:
        """The connection is there."""
        ...

    def wire_received(self, wire: Wire, data: bytes, fds: Sequence[int]) -> None:
        """Bytes came, and perhaps descriptors."""
        ...

    def wire_drained(self, wire: Wire) -> None:
        """What was sent before a `Wire.drain` has left the process."""
        ...

    def wire_lost(self, wire: Wire) -> None:
        """The peer has gone."""
        ...

    def after(self, delay_ns: int, callback: Callable[[], None]) -> None:
        """Call back later, unless the process has ended."""
        ...


class Wire(asyncio.Protocol):
    """One connection, from the machine's side.

    Attributes:
        name: of the listener or character device it belongs to; empty for a channel of the machine's own.
        number: the machine's number for it; 0 until it has one.
    """

    __slots__ = (
        "_closing", "_drains", "_held", "_paused", "_rate", "_reading", "_take_fds", "_waiting", "name",
        "number", "owner", "transport",
    )  # fmt: skip

    def __init__(self, owner: WireOwner, name: str, number: int = 0) -> None:
        self.owner = owner
        self.name = name
        self.number = number
        self.transport: asyncio.Transport | None = None
        self._take_fds: Callable[[], list[int]] | None = None
        self._held: bytearray | None = None
        self._rate: int | None = None
        self._reading = True
        self._waiting = self._closing = self._paused = False
        self._drains = 0

    # -- asyncio's side --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio has the connection: let out what was said meanwhile."""
        self.transport = transport  # type: ignore[assignment]
        self._take_fds = _taker(transport)
        if not self._reading:
            self._read_or_not()
        self._pump()
        self.owner.wire_made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        fds = self._take_fds() if self._take_fds is not None else ()
        self.owner.wire_received(self, data, fds)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer has gone, or we have."""
        del exc
        self.owner.wire_lost(self)

    def pause_writing(self) -> None:
        """The peer does not take more."""
        self._paused = True

    def resume_writing(self) -> None:
        """The peer has taken what there was."""
        self._paused = False
        self._tell_drained()

    # -- the machine's side ----------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes, in order."""
        if self._held is None and self._rate is None and self.transport is not None:
            self.transport.write(data)
            if self.transport.get_write_buffer_size() > _LOST:
                self.transport.abort()
            return
        if self._closing:
            return
        self._held = self._held if self._held is not None else bytearray()
        self._held += data
        if len(self._held) > _LOST:
            self.abort()
        else:
            self._pump()

    def close(self) -> None:
        """Close after what was sent before."""
        self._closing = True
        self._pump()

    def abort(self) -> None:
        """Close at once."""
        self._closing, self._held = True, None
        if self.transport is not None:
            self.transport.abort()

    def end(self) -> None:
        """The process has ended: what the kernel has taken is delivered, what was in its memory is lost."""
        if self._held or (self.transport is not None and self.transport.get_write_buffer_size()):
            self.abort()
        else:
            self.close()

    def drain(self) -> None:
        """Say when all that was sent before has left the process."""
        self._drains += 1
        if self.transport is not None:
            self.transport.set_write_buffer_limits(0)
            self._tell_drained()

    def pace(self, *, reading: bool, rate: int | None) -> None:
        """Read or not; send at most ``rate`` bytes a second, or as fast as they are taken."""
        self._rate = rate
        if reading != self._reading:
            self._reading = reading
            self._read_or_not()
        self._pump()

    def _read_or_not(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self._reading:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _pump(self) -> None:
        if self.transport is None or self._waiting:
            return
        while self._held and not self._waiting:
            size = len(self._held) if self._rate is None else max(1, self._rate // _TICKS)
            part = bytes(self._held[:size])
            del self._held[:size]
            self.transport.write(part)
            if self._rate is not None:
                self._waiting = True
                self.owner.after(len(part) * 1_000_000_000 // max(1, self._rate), self._waited)
        if not self._held:
            self._held = None
            if self._closing:
                self.transport.close()
            elif self._drains:
                self._tell_drained()

    def _waited(self) -> None:
        self._waiting = False
        self._pump()

    def _tell_drained(self) -> None:
        while (
            self._drains
            and not self._held
            and not self._paused
            and self.transport is not None
            and not self.transport.get_write_buffer_size()
        ):
            self._drains -= 1
            self.owner.wire_drained(self)


def _taker(transport: Any) -> Callable[[], list[int]] | None:
    """What gives the descriptors that came with bytes, if this transport can bring any."""
    take = getattr(transport, "take_fds", None)
    if take is None:
        sock = transport.get_extra_info("socket")
        take = getattr(getattr(sock, "_sock", None), "take_fds", None)
    return take


def _nothing() -> None:
    """Nobody wants to know."""


class Sink(asyncio.Transport):
    """A transport into a function: files and standard output. Nothing ever comes from it."""

    def __init__(self, wire: Wire, write: Callable[[bytes], None]) -> None:
        super().__init__()
        self._wire = wire
        self._write = write
        self._closed = False

    def write(self, data: Any) -> None:
        """Hand the bytes over."""
        if not self._closed:
            self._write(bytes(data))

    def get_write_buffer_size(self) -> int:
        """Nothing waits here."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._closed

    def is_reading(self) -> bool:
        """There is nothing to read."""
        return False

    def pause_reading(self) -> None:
        """There is nothing to read."""

    def resume_reading(self) -> None:
        """There is nothing to read."""

    def close(self) -> None:
        """Take nothing more."""
        if not self._closed:
            self._closed = True
            asyncio.get_running_loop().call_soon(self._wire.connection_lost, None)

    def abort(self) -> None:
        """Take nothing more."""
        self.close()


class Terminal(Sink):
    """A simulated terminal: whoever connects to its path reads what is said from then on, and types.

    The machine's end is one connection that lives on, whoever comes and goes; without a reader what is said
    is lost, as on a real one.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire, self._say)
        self._readers: dict[_Reader, None] = {}
        #: Called once, when the terminal goes.
        self.on_close: Callable[[], None] = _nothing

    def reader(self) -> _Reader:
        """Somebody opens the terminal."""
        return _Reader(self)

    def _say(self, data: bytes) -> None:
        for reader in self._readers:
            if reader.transport is not None:
                reader.transport.write(data)

    def close(self) -> None:
        """Hang up on whoever reads."""
        if not self._closed:
            self.on_close()
        super().close()
        for reader in tuple(self._readers):
            if reader.transport is not None:
                reader.transport.close()


class _Reader(asyncio.Protocol):
    """Somebody who has opened a terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self.transport: asyncio.Transport | None = None
        self._terminal = terminal

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._terminal._readers[self] = None  # noqa: SLF001 - one mechanism

    def data_received(self, data: bytes) -> None:
        self._terminal._wire.data_received(data)  # noqa: SLF001 - one mechanism

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._terminal._readers.pop(self, None)  # noqa: SLF001 - one mechanism


class DescriptorTransport(Sink):
    """A descriptor of this process: pipe, file or terminal. It is closed with the transport.

    Files are read at once and whole; the others when the loop says so.

    Raises:
        OSError: there is no such descriptor.
    """

    def __init__(self, fd: int, wire: Wire, *, reading: bool, terminal: bool = False) -> None:
        super().__init__(wire, self._put)
        os.set_blocking(fd, False)
        self.fd = fd
        self._loop = asyncio.get_running_loop()
        self._terminal = terminal
        self._buffer = bytearray()
        self._is_file = self._watching = False
        self._wanted = reading
        if reading:
            self._loop.call_soon(self.resume_reading)

    def resume_reading(self) -> None:
        """Read from now on."""
        self._wanted = True
        if self._watching or self._closed:
            return
        try:
            self._loop.add_reader(self.fd, self._read)
            self._watching = True
        except PermissionError:
            self._is_file = True
            self._loop.call_soon(self._read)

    def pause_reading(self) -> None:
        """Read no more."""
        self._wanted = False
        if self._watching:
            self._loop.remove_reader(self.fd)
            self._watching = False

    def _read(self) -> None:
        if self._closed or not self._wanted:
            return
        try:
            data = os.read(self.fd, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            if self._terminal and error.errno == errno.EIO:
                # Nobody has the other side open; the kernel does not say when somebody will.
                self.pause_reading()
                self._loop.call_later(0.05, self.resume_reading)
                return
            data = b""
        if data:
            self._wire.data_received(data)
            if self._is_file:
                self._loop.call_soon(self._read)
        else:
            self.close()

    def _put(self, data: bytes) -> None:
        self._buffer += data
        self._flush()

    def _flush(self) -> None:
        if self._terminal and self._hung_up():
            self._buffer.clear()
        while self._buffer:
            try:
                sent = os.write(self.fd, self._buffer)
            except BlockingIOError:
                self._loop.add_writer(self.fd, self._writable)
                return
            except OSError:
                self._buffer.clear()
                if not self._terminal:
                    self.close()
                return
            del self._buffer[:sent]
        self._wire.resume_writing()

    def _hung_up(self) -> bool:
        """Whether nobody has the other side of the terminal open."""
        poller = select.poll()
        poller.register(self.fd, select.POLLHUP)
        return bool(poller.poll(0))

    def _writable(self) -> None:
        self._loop.remove_writer(self.fd)
        self._flush()
        if self._closed and not self._buffer:
            self._shut()

    def get_write_buffer_size(self) -> int:
        """What the descriptor did not take yet."""
        return len(self._buffer)

    def close(self) -> None:
        """Close after what was sent before."""
        if not self._closed:
            self.pause_reading()
            super().close()
            if not self._buffer:
                self._shut()

    def abort(self) -> None:
        """Close at once."""
        if self._buffer:
            self._buffer.clear()
            self._loop.remove_writer(self.fd)
            if self._closed:
                self._shut()
                return
        self.close()

    def _shut(self) -> None:
        with suppress(OSError):
            os.close(self.fd)
