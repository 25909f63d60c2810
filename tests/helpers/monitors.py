"""A QEMU reduced to its monitor and its pid, for tests of whoever waits for it and talks to it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from virtsim.host.abc import ExitStatus
from virtsim.host.chance import SeededChance
from virtsim.host.clock import SystemClock
from virtsim.host.context import Context
from virtsim.host.memory import MemoryFiles
from virtsim.journal import Journal
from virtsim.qemu.monitor import Monitor
from virtsim.sim.net import net_of
from virtsim.wire.qmp import (
    NEED_DATA,
    Command,
    ErrorReply,
    Greeting,
    QmpEngine,
    Reply,
    Role,
)

__all__ = ["PATH", "QmpPeer", "StubProcess", "World", "qemu_version"]

PATH = "/run/monitor.sock"


def qemu_version(major: int = 7, minor: int = 2, micro: int = 0) -> dict[str, Any]:
    return {"qemu": {"major": major, "minor": minor, "micro": micro}, "package": ""}


class StubProcess:
    """A process that ends when it is told to."""

    def __init__(self, pid: int = 4711) -> None:
        self.pid = pid
        self.signals: list[tuple[int, int]] = []
        self.obeys: tuple[int, ...] = (signal.SIGKILL,)
        self.dies_after_s = 0.0
        self.refuses: int | None = None
        self._status: ExitStatus | None = None
        self._waiters: list[asyncio.Future[ExitStatus]] = []

    def alive(self) -> bool:
        return self._status is None

    def end(self, code: int = 0) -> None:
        self._status = ExitStatus(code=code)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(self._status)

    def signal(self, signum: int) -> None:
        if self._status is not None:
            raise ProcessLookupError(3, "No such process")
        if self.refuses is not None:
            raise OSError(self.refuses, os.strerror(self.refuses))
        self.signals.append((Context.now_ns() // 1_000_000, signum))
        if signum in self.obeys:
            if self.dies_after_s:
                asyncio.get_running_loop().call_later(self.dies_after_s, self.end)
            else:
                self.end()

    async def wait(self) -> ExitStatus:
        if self._status is not None:
            return self._status
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return await waiter


class QmpPeer(asyncio.Protocol):
    """QEMU's end of one connection; answers every command with an empty return unless told otherwise."""

    def __init__(self, *, greet: bool = True) -> None:
        self.greet = greet
        self.engine = QmpEngine(Role.SERVER)
        self.commands: list[Command] = []
        self.answer: Callable[[Command], Any] = lambda command: {}
        self.lost = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.greet:
            self.say_hello()

    def say_hello(self) -> None:
        self.send(Greeting(version=qemu_version(), capabilities=("oob",)))

    def send(self, event: Any) -> None:
        self.transport.write(self.engine.send(event))

    def data_received(self, data: bytes) -> None:
        self.engine.receive_data(data)
        while (command := self.engine.next_event()) is not NEED_DATA:
            assert isinstance(command, Command)
            self.commands.append(command)
            answer = self.answer(command)
            if isinstance(answer, ErrorReply):
                self.send(ErrorReply(error_class=answer.error_class, desc=answer.desc, id=command.id))
            elif answer is not None:
                self.send(Reply(value=answer, id=command.id))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class World:
    """A run's context on a virtual loop, its journal, one process and whoever serves its monitor."""

    def __init__(self, actor: str = "vm") -> None:
        loop = asyncio.get_running_loop()
        self.net = net_of(loop)
        self.files = getattr(self.net, "files", None) or MemoryFiles()
        self.files.make_dirs("/run")
        self.journal = Journal(Context.now_ns)
        self.context = Context(
            launcher=None,  # type: ignore[arg-type]
            files=self.files,
            wallclock=SystemClock(),
            chance=SeededChance("0"),
            run_dir="/run",
            observer=self.journal.observe,
        )
        self.actor = actor
        self.process = StubProcess()
        self.peers: list[QmpPeer] = []
        self.servers: list[Any] = []
        self.events: list[tuple[str, Any, Any]] = []
        self.closed: list[str] = []

    def monitor(self) -> Monitor:
        return Monitor(
            self.context,
            self.actor,
            on_event=lambda name, data, stamp: self.events.append((name, data, stamp)),
            on_closed=self.closed.append,
        )

    def serve(self, path: str = PATH, *, greet: bool = True, listen: bool = True) -> Any:
        """Bind a socket, and serve its client unless it does not listen; returns the server socket."""
        server = self.net.bind(path)
        self.servers.append(server)
        if listen:
            self.listen(server, greet=greet)
        return server

    def listen(self, server: Any, *, greet: bool = True) -> None:
        """Listen on a bound socket and serve its client."""
        server.listen(1)
        self.accept(server, greet=greet)

    def accept(self, server: Any, *, greet: bool = True) -> None:
        def factory() -> QmpPeer:
            peer = QmpPeer(greet=greet)
            self.peers.append(peer)
            return peer

        server.accept_one(factory)

    def close(self) -> None:
        """Close what the kernel would otherwise be left with."""
        for server in self.servers:
            server.close()
        for peer in self.peers:
            if not peer.lost:
                peer.transport.abort()

    def after(self, milliseconds: float, what: Callable[[], Any]) -> None:
        asyncio.get_running_loop().call_later(milliseconds / 1000, what)

    async def connected(self) -> tuple[Monitor, QmpPeer]:
        """A monitor that has greeted and is through with the negotiation, and its peer."""
        self.serve()
        _, monitor = await asyncio.get_running_loop().create_unix_connection(self.monitor, PATH)
        await monitor.wait_greeting()
        await monitor.execute("qmp_capabilities")
        return monitor, self.peers[0]

    def noted(self, kind: str, *fields: str) -> list[Any]:
        """What was noted of that kind: one field's value each, or tuples."""
        found = [record for record in self.journal.records if record["kind"] == kind]
        if len(fields) == 1:
            return [record.get(fields[0]) for record in found]
        return [tuple(record.get(field) for field in fields) for record in found]

    def attempts_ms(self) -> list[int]:
        times = [record["t"] for record in self.journal.records if record["kind"] == "attempt"]
        assert all(t % 1_000_000 == 0 for t in times)
        return [t // 1_000_000 for t in times]

    @staticmethod
    def now_ms() -> float:
        return Context.now_ns() / 1_000_000
