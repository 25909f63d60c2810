# ruff: noqa: SIM105  (contextlib is not on this path)
"""The connections of the process driver: what is still to be sent, what is read, and how fast.

Knows descriptors and the kernel's answers about them. Must not know what is said on them, nor how one came
about (`fakeqemu.driver.process` accepts, `fakeqemu.driver.streams` opens). On the start-up path.
"""

from __future__ import annotations

import posix
import sys
from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOL_SOCKET
from select import EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, POLLHUP, poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket  # noqa: N812 - a class, whatever its case

    from fakeqemu.driver.process import Process

__all__ = ["Wire", "numbers"]

_READ_SIZE = 1 << 16
#: Descriptors that are taken with one message: TCP_MAX_FDS of QEMU 7.2's chardev/char-socket.c.
_MAX_FDS = 16
_ANCILLARY = CMSG_SPACE(_MAX_FDS * 4)
#: What is sent in one turn of the loop, so that no client starves the others.
_TURNS = 16
#: Whoever leaves this much unread is not listened to until it has read.
_FULL = 1 << 22
#: Whoever leaves this much unread has gone.
_LOST = 1 << 28
#: Parts of a second in which a slowed connection sends.
_TICKS = 100
#: What is kept for the reader of a terminal who is slow.
_TERMINAL = 1 << 16
#: After how long to look again where the kernel does not tell.
_SOON_NS = 1_000_000
_AGAIN = 11


class Wire:
    """One connection: a socket, a pipe, a terminal or a file.

    Attributes:
        fd: what is read from and, unless there is another, written to.
        opening: whether it is still being connected.
    """

    __slots__ = (
        "_always", "_drains", "_driver", "_mask", "_pending", "_queued", "_rate", "_reading", "_sent",
        "_terminal", "_waiting", "closing", "fd", "number", "opening", "out", "sock",
    )  # fmt: skip

    def __init__(
        self,
        driver: Process,
        number: int,
        *,
        sock: Socket | None = None,
        fd: int = -1,
        out: int | None = None,
        terminal: bool = False,
        reading: bool = True,
    ) -> None:
        self._driver, self.number, self.sock = driver, number, sock
        self.fd = sock.fileno() if sock is not None else fd
        self.out = self.fd if out is None else out
        self._terminal = terminal
        self._reading = reading
        self.closing = self.opening = False
        self._pending = bytearray()
        self._rate: int | None = None
        self._waiting = self._always = False
        self._mask = 0
        self._sent = self._queued = 0
        self._drains: list[int] = []

    # -- what the machine wants ------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes, in order; a terminal without a reader loses them."""
        if self.closing:
            return
        self._pending += data
        self._queued += len(data)
        if len(self._pending) > _LOST:
            self.lost()
        elif not self._waiting and not self.opening:
            self.flush()

    def close(self) -> None:
        """Close after what was sent before."""
        self.closing = True
        if not self._pending or self.opening:
            self.lost()

    def drain(self) -> None:
        """Say when all that was sent before has left the process."""
        self._drains.append(self._queued)
        if not self.opening:
            self._tell_drained()

    def pace(self, *, reading: bool, rate: int | None) -> None:
        """Read or not; send at most ``rate`` bytes a second, or as fast as they are taken."""
        self._reading, self._rate = reading, rate
        if not self.opening:
            self.flush()

    # -- what the kernel says --------------------------------------------------------------------------------

    def begin(self) -> None:
        """The connection is there: read, and send what has been said meanwhile."""
        self.opening = False
        self.flush()

    def ready(self, events: int) -> None:
        """The kernel has something for the connection, or room."""
        if events & EPOLLOUT:
            self.flush()
        if events & (EPOLLIN | EPOLLHUP | EPOLLERR) and self.number in self._driver.wires:
            self._read()

    def _read(self) -> None:
        fds: list[int] = []
        try:
            if self.sock is None:
                data = posix.read(self.fd, _READ_SIZE)
            else:
                data, extra, _, _ = self.sock.recvmsg(_READ_SIZE, _ANCILLARY, MSG_CMSG_CLOEXEC)
                for level, kind, payload in extra:
                    if level == SOL_SOCKET and kind == SCM_RIGHTS:
                        fds += numbers(payload)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        driver = self._driver
        if data:
            driver.plan(driver.machine.received(driver.now(), self.number, data, fds))
            if self._terminal:
                driver.later(_SOON_NS, self._again)  # edge-triggered: there may be more
        elif not self._terminal:
            self.lost()

    def _again(self) -> None:
        if self.number in self._driver.wires:
            self._read()

    def flush(self) -> None:
        """Send what can be sent now."""
        for _ in range(_TURNS):
            if not self._pending or self._waiting:
                break
            try:
                sent = self._write()
            except OSError as error:
                if error.errno == _AGAIN:
                    if self._terminal:
                        del self._pending[_TERMINAL:]
                    elif self.out != self.fd:
                        self._wait(_SOON_NS)
                    break
                # The peer has gone, and reading will say so; a terminal that nobody reads loses what is said.
                self._sent += len(self._pending)
                self._pending.clear()
                if not self._reading and not self._terminal:
                    self.lost()
                    return
                break
            self._sent += sent
            del self._pending[:sent]
        if self._drains:
            self._tell_drained()
        if self.closing and not self._pending:
            self.lost()
        else:
            self._interest()

    def _write(self) -> int:
        size = 1 << 20
        if self._rate is not None:
            size = max(1, self._rate // _TICKS)
        if self._terminal and _hung_up(self.fd):
            return len(self._pending)  # nobody has the other side open
        part = memoryview(self._pending)[:size]
        try:
            sent = self.sock.send(part) if self.sock is not None else posix.write(self.out, part)
        finally:
            part.release()
        if self._rate is not None:
            self._wait(sent * 1_000_000_000 // max(1, self._rate))
        return sent

    def _wait(self, delay_ns: int) -> None:
        self._waiting = True
        self._driver.later(delay_ns, self._waited)

    def _waited(self) -> None:
        self._waiting = False
        if self.number in self._driver.wires:
            self.flush()

    def _tell_drained(self) -> None:
        while self._drains and self._drains[0] <= self._sent:
            del self._drains[0]
            driver = self._driver
            driver.plan(driver.machine.drained(driver.now(), self.number))

    def _interest(self) -> None:
        """Tell the kernel what the connection waits for."""
        if self._always:
            return
        mask = 0
        if self._reading and len(self._pending) < _FULL:
            mask = EPOLLIN
        if self._pending and not self._waiting and self.out == self.fd:
            mask |= EPOLLOUT
        if self._terminal:
            mask = EPOLLIN | EPOLLOUT | EPOLLET  # level-triggered, one without a reader hangs up all the time
        if mask == self._mask:
            return
        driver = self._driver
        if not mask:
            driver.forget(self.fd)
        elif self._mask:
            driver.epoll.modify(self.fd, mask)
        else:
            try:
                driver.watch(self.fd, mask, self.ready)
            except PermissionError:
                self._always = True  # a file: always ready
                driver.files[self] = None
        self._mask = mask

    def more(self) -> None:
        """A file, which is always ready, gets its turn."""
        if self._pending and not self._waiting:
            self.flush()
        if self._reading and self.number in self._driver.wires:
            self._read()

    @property
    def idle(self) -> bool:
        """Whether a file has nothing to do now."""
        return not self._reading and (self._waiting or not self._pending)

    def lost(self) -> None:
        """The connection is no more."""
        driver = self._driver
        if driver.wires.pop(self.number, None) is None:
            return
        driver.forget(self.fd)
        driver.files.pop(self, None)
        if self.sock is not None:
            self.sock.close()
        else:
            for fd in {self.fd, self.out} - {0, 1, 2}:
                try:
                    posix.close(fd)
                except OSError:
                    pass  # closed already, by whoever handed it in
        driver.plan(driver.machine.disconnected(driver.now(), self.number))


def _hung_up(fd: int) -> bool:
    """Whether nobody has the other side of a terminal open (chardev/char-pty.c asks the same way)."""
    poller = poll()
    poller.register(fd, POLLHUP)
    return bool(poller.poll(0))


def numbers(payload: bytes) -> list[int]:
    """The descriptors of one SCM_RIGHTS message."""
    whole = len(payload) - len(payload) % 4
    return [int.from_bytes(payload[at : at + 4], sys.byteorder) for at in range(0, whole, 4)]
