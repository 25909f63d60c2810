"""What the process driver opens on the machine's behalf: terminals, connections, descriptors, files, TCP.

Knows the system calls. Must not know what is said on a stream. Imported when a machine first wants one.
"""

from __future__ import annotations

import _socket
import posix
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM
from _socket import socket as Socket  # noqa: N812 - a class, whatever its case
from select import EPOLLOUT

from fakeqemu import actions as do
from fakeqemu.driver.daemon import detach
from fakeqemu.driver.realhost import reason
from fakeqemu.driver.wires import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.driver.process import Process

__all__ = ["ACTIONS", "bind_tcp"]

_AGAIN, _IN_PROGRESS = 11, 115
#: How often to knock where the backlog is full; a QEMU waits in a blocking connect().
_KNOCK_NS = 10_000_000


def _open_pty(driver: Process, action: do.OpenPty) -> None:
    """As chardev/char-pty.c: raw, and our copy of the other side closed again."""
    import tty
    from termios import TCSAFLUSH

    try:
        master, slave = posix.openpty()
    except OSError as error:
        driver.plan(driver.machine.bind_failed(driver.now(), action.chardev, "/dev/ptmx", reason(error)))
        return
    tty.setraw(slave, TCSAFLUSH)
    name = posix.ttyname(slave)
    posix.close(slave)
    posix.set_blocking(master, False)
    wire = Wire(driver, driver.number(), fd=master, terminal=True)
    driver.wires[wire.number] = wire
    wire.begin()
    driver.plan(driver.machine.pty_opened(driver.now(), action.chardev, wire.number, name))


def _connect(driver: Process, action: do.Connect) -> None:
    try:
        family, target = _resolved(action.address)
        sock = Socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    except OSError as error:
        _opened(driver, action.conn, reason(error))
        return
    wire = driver.wires[action.conn] = Wire(driver, action.conn, sock=sock)
    wire.opening = True
    _knock(driver, wire, target)


def _resolved(address: str | tuple[str, int]) -> tuple[int, Any]:
    """Family and address for the system calls."""
    if isinstance(address, str):
        return AF_UNIX, address
    found = _socket.getaddrinfo(address[0] or "127.0.0.1", address[1], 0, SOCK_STREAM)
    return found[0][0], found[0][4]


def _knock(driver: Process, wire: Wire, target: Any) -> None:
    sock = wire.sock
    if sock is None or wire.number not in driver.wires:
        return
    try:
        number = sock.connect_ex(target)
    except OSError as error:  # a path that is too long
        _failed(driver, wire, str(error))
        return
    if number == _AGAIN:
        driver.later(_KNOCK_NS, lambda: _knock(driver, wire, target))
    elif number == _IN_PROGRESS:
        driver.watch(wire.fd, EPOLLOUT, lambda _events: _answered(driver, wire))
    elif number:
        _failed(driver, wire, posix.strerror(number))
    else:
        _ready(driver, wire)


def _answered(driver: Process, wire: Wire) -> None:
    """A TCP connection under way has been made, or refused."""
    driver.forget(wire.fd)
    number = wire.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR) if wire.sock is not None else 0
    if number:
        _failed(driver, wire, posix.strerror(number))
    else:
        _ready(driver, wire)


def _ready(driver: Process, wire: Wire) -> None:
    wire.begin()
    _opened(driver, wire.number, None)


def _failed(driver: Process, wire: Wire, text: str) -> None:
    del driver.wires[wire.number]
    if wire.sock is not None:
        wire.sock.close()
    _opened(driver, wire.number, text)


def _opened(driver: Process, conn: int, text: str | None) -> None:
    driver.plan(driver.machine.opened(driver.now(), conn, text))


def _adopt(driver: Process, action: do.Adopt) -> None:
    try:
        mode = posix.fstat(action.fd).st_mode
        posix.set_inheritable(action.fd, False)  # noqa: FBT003 - the system call's own signature
        posix.set_blocking(action.fd, False)
    except OSError as error:
        _opened(driver, action.conn, reason(error))
        return
    if not action.reading and not _writable(action.fd):
        posix.close(action.fd)
        _opened(driver, action.conn, posix.strerror(9))
        return
    if mode & 0o170000 == 0o140000:
        wire = Wire(driver, action.conn, sock=Socket(fileno=action.fd), reading=action.reading)
    else:
        wire = Wire(driver, action.conn, fd=action.fd, reading=action.reading)
    driver.wires[action.conn] = wire
    _ready(driver, wire)


def _writable(fd: int) -> bool:
    from fcntl import F_GETFL, fcntl

    return fcntl(fd, F_GETFL) & posix.O_ACCMODE != posix.O_RDONLY


def _open_file(driver: Process, action: do.OpenFile) -> None:
    """As chardev/char-file.c, char-pipe.c and char-stdio.c."""
    fd, out = 0, 1
    try:
        if action.kind == "file":
            more = posix.O_APPEND if action.append else posix.O_TRUNC
            fd = out = posix.open(action.path, posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC | more, 0o666)
        elif action.kind == "pipe":
            fd, out = _open_pipe(action.path)
    except OSError as error:
        driver.plan(driver.machine.bind_failed(driver.now(), action.chardev, action.path, reason(error)))
        return
    wire = Wire(driver, driver.number(), fd=fd, out=out, reading=action.kind != "file")
    driver.attach(action.chardev, wire)


def _open_pipe(path: str) -> tuple[int, int]:
    """``path.in`` and ``path.out``, else ``path`` for both ways."""
    flags = posix.O_RDWR | posix.O_CLOEXEC | posix.O_NONBLOCK
    try:
        fd = posix.open(f"{path}.in", flags)
    except OSError:
        fd = posix.open(path, flags)
        return fd, fd
    try:
        return fd, posix.open(f"{path}.out", flags)
    except OSError:
        posix.close(fd)
        fd = posix.open(path, flags)
        return fd, fd


def _close_fd(_driver: Process, action: do.CloseFd) -> None:
    try:
        posix.close(action.fd)
    except OSError:
        return  # closed already


def _drain(driver: Process, action: do.Drain) -> None:
    wire = driver.wires.get(action.conn)
    if wire is not None:
        wire.drain()


def _pace(driver: Process, action: do.Pace) -> None:
    wire = driver.wires.get(action.conn)
    if wire is not None:
        wire.pace(reading=action.reading, rate=action.rate)


def bind_tcp(driver: Process, name: str, address: tuple[str, int]) -> Socket | None:
    """A bound TCP socket; None when the machine was told that there is none."""
    sock = None
    try:
        found = _socket.getaddrinfo(
            address[0] or None, address[1], 0, SOCK_STREAM, 0, _socket.AI_PASSIVE
        )  # fmt: skip
        sock = Socket(found[0][0], SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        sock.bind(found[0][4])
    except OSError as error:
        if sock is not None:
            sock.close()
        where = f"{address[0]}:{address[1]}"
        driver.plan(driver.machine.bind_failed(driver.now(), name, where, reason(error)))
        return None
    return sock


ACTIONS: dict[type[do.Action], Callable[[Any, Any], None]] = {
    do.Adopt: _adopt,
    do.CloseFd: _close_fd,
    do.Connect: _connect,
    do.Daemonize: detach,
    do.Drain: _drain,
    do.OpenFile: _open_file,
    do.OpenPty: _open_pty,
    do.Pace: _pace,
}
