"""What the loop's driver opens on a fake QEMU's behalf: terminals, connections, descriptors, files, TCP.

Knows the loop's net and its descriptors. Must not know what is said on a stream.
"""

from __future__ import annotations

import asyncio
import os
import stat
import tty
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fakeqemu import actions as do
from virtsim.host.context import Context
from virtsim.sim.net_memory import MemoryNet
from virtsim.sim.net_real import ClientSocket
from virtsim.sim.wires import DescriptorTransport, Sink, Terminal, Wire

if TYPE_CHECKING:
    from virtsim.sim.launcher import SimProcess

__all__ = ["ACTIONS", "bind_tcp"]

#: How often to knock where the backlog is full, in seconds; as in `fakeqemu.driver.streams`.
_KNOCK_S = 0.01


def _reason(error: OSError) -> str:
    """The system's words for an error."""
    return os.strerror(error.errno) if error.errno else error.strerror or str(error)


def _open_pty(process: SimProcess, action: do.OpenPty) -> None:
    wire = Wire(process, action.chardev)
    net = process.net
    if isinstance(net, MemoryNet):
        terminal = Terminal(wire)
        name = f"/dev/pts/{process.terminal()}"
        net.add_terminal(name, terminal.reader)
        terminal.on_close = lambda: net.remove_terminal(name)
        wire.transport = terminal
    else:
        master, slave = os.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        os.close(slave)
        wire.transport = DescriptorTransport(master, wire, reading=True, terminal=True)
    process.number(wire)
    process.plan(process.machine.pty_opened(Context.now_ns(), action.chardev, wire.number, name))


def _open_file(process: SimProcess, action: do.OpenFile) -> None:
    wire = Wire(process, action.chardev)
    if action.kind == "stdio":
        sink = Sink(wire, process.output)
    elif action.kind == "file":
        sink = Sink(wire, _appender(process, action.path, append=action.append))
    else:
        words = os.strerror(2)
        process.plan(process.machine.bind_failed(Context.now_ns(), action.chardev, action.path, words))
        return
    wire.connection_made(sink)


def _appender(process: SimProcess, path: str, *, append: bool) -> Callable[[bytes], None]:
    host = process.host
    if not append:
        host.write(path, b"", truncate=True)

    def put(data: bytes) -> None:
        host.write(path, data, offset=host.length(path) or 0)

    return put


def _connect(process: SimProcess, action: do.Connect) -> None:
    wire = process.wires[action.conn] = Wire(process, "", action.conn)
    address = action.address
    loop = process.loop

    def once() -> Awaitable[Any]:
        if isinstance(address, str):
            return loop.create_unix_connection(lambda: wire, address)
        return loop.create_connection(lambda: wire, address[0] or "127.0.0.1", address[1])

    async def dial() -> None:
        while True:
            try:
                await once()
            except BlockingIOError:
                await asyncio.sleep(_KNOCK_S)
            except OSError as error:
                process.refused(wire, _reason(error))
                return
            else:
                return

    task = loop.create_task(dial())
    process.tasks[task] = None
    task.add_done_callback(lambda done: process.tasks.pop(done, None))


def _adopt(process: SimProcess, action: do.Adopt) -> None:
    wire = process.wires[action.conn] = Wire(process, "", action.conn)
    net = process.net
    try:
        if isinstance(net, MemoryNet):
            transport = net.take_stream(action.fd)
            if not action.reading:
                wire.pace(reading=False, rate=None)
            transport.attach(wire)
            return
        if stat.S_ISSOCK(os.fstat(action.fd).st_mode):
            _serve(process, wire, action.fd, reading=action.reading)
            return
        descriptor = DescriptorTransport(action.fd, wire, reading=action.reading)
    except OSError as error:
        process.refused(wire, _reason(error))
    else:
        wire.connection_made(descriptor)


def _serve(process: SimProcess, wire: Wire, fd: int, *, reading: bool) -> None:
    """A connected socket that came with a message."""
    if not reading:
        wire.pace(reading=False, rate=None)
    sock = ClientSocket(fileno=fd)
    sock.settimeout(0)

    async def serve() -> None:
        await process.loop.connect_accepted_socket(lambda: wire, sock)

    task = process.loop.create_task(serve())
    process.tasks[task] = None
    task.add_done_callback(lambda done: process.tasks.pop(done, None))


def _close_fd(process: SimProcess, action: do.CloseFd) -> None:
    with suppress(OSError):
        process.net.close_stream(action.fd)


def _drain(process: SimProcess, action: do.Drain) -> None:
    wire = process.wires.get(action.conn)
    if wire is not None:
        wire.drain()


def _pace(process: SimProcess, action: do.Pace) -> None:
    wire = process.wires.get(action.conn)
    if wire is not None:
        wire.pace(reading=action.reading, rate=action.rate)


def bind_tcp(process: SimProcess, name: str, address: tuple[str, int]) -> None:
    """Bind a TCP socket, or tell the machine why there is none."""
    try:
        process.bound[name] = process.net.bind_tcp(address[1])
    except OSError as error:
        where = f"{address[0]}:{address[1]}"
        process.plan(process.machine.bind_failed(Context.now_ns(), name, where, _reason(error)))


ACTIONS: dict[type[do.Action], Callable[[Any, Any], None]] = {
    do.Adopt: _adopt,
    do.CloseFd: _close_fd,
    do.Connect: _connect,
    do.Drain: _drain,
    do.OpenFile: _open_file,
    do.OpenPty: _open_pty,
    do.Pace: _pace,
}
