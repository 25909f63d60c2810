"""Stand-in QEMUs in the loop, scripted in Python: for tests that must control every step and every tie."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Any

from virtsim.api import Connection
from virtsim.host.abc import ExitStatus
from virtsim.host.chance import SeededChance
from virtsim.host.clock import SystemClock
from virtsim.host.context import Context
from virtsim.host.memory import MemoryFiles
from virtsim.journal import Journal
from virtsim.qemu.schedules import Policy
from virtsim.sim.net import net_of
from virtsim.wire.qmp import NEED_DATA, Command, ErrorReply, Event, Greeting, QmpEngine, Reply, Role

__all__ = ["XML", "Host", "Plot", "Qemu", "domain_xml"]

RUN_DIR = "/run"


def domain_xml(name: str = "vm", *, extra: str = "", devices: str = "", memory: str = "64") -> str:
    """A small domain; ``extra`` goes below ``<domain>``, ``devices`` below ``<devices>``."""
    return (
        f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type></os>{extra}"
        f"<devices>{devices}<memballoon model='virtio'/></devices></domain>"
    )


XML = domain_xml()


class Plot:
    """How the stand-ins behave; change it before the start."""

    def __init__(self) -> None:
        self.socket_after_s = 0.0
        self.greet_after_s: float | None = 0.0
        self.exit_after_s: float | None = None
        self.log = b""
        self.term_after_s: float | None = 0.0
        self.kill_after_s: float | None = 0.0
        self.linger_s = 0.0
        self.spawn_error: OSError | None = None
        #: command -> done instead of the usual answer; returns a reply, an ErrorReply, or None for silence
        self.answers: dict[str, Callable[[Qemu], Any]] = {}
        self.guest_obeys = True


class Qemu(asyncio.Protocol):
    """One QEMU: process and monitor."""

    def __init__(self, host: Host, pid: int, argv: Sequence[str], log: str) -> None:
        self.host = host
        self.plot = host.plot
        self.pid = pid
        self.argv = list(argv)
        self.log = log
        self.loop = asyncio.get_running_loop()
        self.engine = QmpEngine(Role.SERVER)
        self.transport: asyncio.Transport | None = None
        self.status: ExitStatus | None = None
        self.waiters: list[asyncio.Future[ExitStatus]] = []
        self.commands: list[str] = []
        self.running = False
        self.greeted = False
        self.server: Any = None
        self.path: str | None = None

    # -- process

    def alive(self) -> bool:
        return self.status is None

    def signal(self, signum: int) -> None:
        if self.status is not None:
            raise ProcessLookupError(3, "No such process")
        after_s = {signal.SIGTERM: self.plot.term_after_s, signal.SIGKILL: self.plot.kill_after_s}.get(
            signal.Signals(signum) if signum else 0
        )
        if after_s is None:
            return
        if signum == signal.SIGTERM and self.greeted:
            self.emit("SHUTDOWN", {"guest": False, "reason": "host-signal"})
        self.loop.call_later(after_s, self.die, None if signum == signal.SIGTERM else signum)

    async def wait(self) -> ExitStatus:
        if self.status is not None:
            return self.status
        waiter = self.loop.create_future()
        self.waiters.append(waiter)
        return await waiter

    def die(self, signum: int | None = None, code: int = 0) -> None:
        """Close everything; leave the process table after the linger."""
        if self.transport is not None:
            self.transport.close()
            self.transport = None
        if self.server is not None:
            self.server.close()
            self.server = None
        if self.plot.linger_s:
            self.loop.call_later(self.plot.linger_s, self._gone, signum, code)
        else:
            self._gone(signum, code)

    def _gone(self, signum: int | None, code: int) -> None:
        if self.status is None:
            self.status = ExitStatus(signal=signum) if signum else ExitStatus(code=code)
            for waiter in self.waiters:
                if not waiter.done():
                    waiter.set_result(self.status)

    # -- start

    def boot(self) -> None:
        if self.plot.log:
            self.host.files.append(self.log, self.plot.log)
        if self.plot.exit_after_s is not None:
            self.loop.call_later(self.plot.exit_after_s, self.die, None, 1)
        socket = next(word for word in self.argv if word.startswith("socket,id=charmonitor,"))
        where = dict(part.split("=", 1) for part in socket.split(",") if "=" in part)
        if "fd" in where:
            self.server = self.host.net.adopt(int(where["fd"]))
            self._serve()
        else:
            self.path = where["path"]
            if self.plot.socket_after_s:
                self.loop.call_later(self.plot.socket_after_s, self._bind)
            else:
                self._bind()

    def _bind(self) -> None:
        if self.status is None and self.path is not None:
            self.server = self.host.net.bind(self.path)
            self.server.listen(1)
            self._serve()

    def _serve(self) -> None:
        self.server.accept_one(lambda: self)

    # -- monitor

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.plot.greet_after_s == 0:
            self.greet()
        elif self.plot.greet_after_s is not None:
            self.loop.call_later(self.plot.greet_after_s, self.greet)

    def greet(self) -> None:
        self.greeted = self.transport is not None
        version = {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}
        self.send(Greeting(version=version, capabilities=("oob",)))

    def send(self, event: Any) -> None:
        if self.transport is not None:
            self.transport.write(self.engine.send(event))

    def say(self, raw: bytes) -> None:
        """Anything at all."""
        assert self.transport is not None
        self.transport.write(raw)

    def emit(self, name: str, data: dict[str, Any] | None = None) -> None:
        self.send(Event(name=name, data=data, timestamp=(1, 2)))

    def data_received(self, data: bytes) -> None:
        self.engine.receive_data(data)
        while (command := self.engine.next_event()) is not NEED_DATA:
            assert isinstance(command, Command)
            self.commands.append(command.name)
            scripted = self.plot.answers.get(command.name)
            answer = scripted(self) if scripted is not None else self._answer(command)
            if isinstance(answer, ErrorReply):
                self.send(ErrorReply(error_class=answer.error_class, desc=answer.desc, id=command.id))
            elif answer is not None:
                self.send(Reply(value=answer, id=command.id))

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def _answer(self, command: Command) -> Any:
        name = command.name
        if name == "cont" and not self.running:
            self.running = True
            self.emit("RESUME")
        elif name == "stop" and self.running:
            self.running = False
            self.emit("STOP")
        elif name == "system_reset":
            self.emit("RESET", {"guest": False, "reason": "host-qmp-system-reset"})
        elif name == "system_powerdown":
            self.emit("POWERDOWN")
            if self.plot.guest_obeys:
                self.loop.call_soon(self.power_off)
        elif name == "query-balloon":
            return {"actual": 64 << 20}
        elif name == "query-cpus-fast":
            return [{"qom-path": "/machine/unattached/device[0]", "cpu-index": 0, "thread-id": 1}]
        elif name == "query-migrate-capabilities":
            return [{"capability": "events", "state": False}]
        elif name.startswith(("query-", "qom-list")):
            return []
        return {}

    def power_off(self) -> None:
        """The guest powers off; -no-shutdown keeps QEMU alive."""
        self.emit("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})
        if self.running:
            self.running = False
            self.emit("STOP")


class Host:
    """A launcher of stand-ins, memory files, a journal and a connection."""

    def __init__(self, run_dir: str = RUN_DIR) -> None:
        self.loop = asyncio.get_running_loop()
        self.run_dir = run_dir
        self.net = net_of(self.loop)
        self.files: Any = getattr(self.net, "files", None) or MemoryFiles()
        self.files.make_dirs(run_dir)
        self.journal = Journal(Context.now_ns)
        self.plot = Plot()
        self.qemus: list[Qemu] = []
        self.context = Context(
            launcher=self,
            files=self.files,
            wallclock=SystemClock(),
            chance=SeededChance("0"),
            run_dir=run_dir,
            observer=self.journal.observe,
        )

    async def open(self, policy: Policy | str = "eventful", **options: Any) -> Connection:
        return await Connection.open(self.context, policy=policy, **options)

    # -- Launcher

    async def spawn(self, argv: Sequence[str], *, fds: Sequence[int] = (), log: str, env: Any = None) -> Qemu:
        await asyncio.sleep(0)
        if self.plot.spawn_error is not None:
            raise self.plot.spawn_error
        self.files.append(log, b"")
        qemu = Qemu(self, 1000 + len(self.qemus), argv, log)
        self.qemus.append(qemu)
        qemu.boot()
        return qemu

    async def aclose(self) -> None:
        return None

    # -- what was noted

    def events(self) -> list[str]:
        """``EVENT/DETAIL`` of all events so far."""
        return [
            f"{r['event']}/{r['detail']}" if "detail" in r else r["event"]
            for r in self.journal.records
            if r["kind"] == "event"
        ]

    def states(self) -> list[str]:
        return [f"{r['state']}/{r['reason']}" for r in self.journal.records if r["kind"] == "state"]

    def now_ms(self) -> float:
        return Context.now_ns() / 1_000_000

    def leftovers(self) -> list[str]:
        """Processes, sockets, files and tasks that ought not to be there once every domain is off."""
        found = [f"process {qemu.pid}" for qemu in self.qemus if qemu.alive()]
        found += [f"socket {node}" for node in _walk(self.files, self.run_dir) if node.endswith(".sock")]
        found += [f"file {node}" for node in _walk(self.files, self.run_dir) if "/domain-" in node]
        mine = asyncio.current_task()
        found += [f"task {t.get_name()}" for t in asyncio.all_tasks() if t is not mine and not t.done()]
        return found


def _walk(files: Any, path: str) -> list[str]:
    found = []
    for name in files.list_dir(path):
        below = f"{path}/{name}"
        found.append(below)
        try:
            found += _walk(files, below)
        except NotADirectoryError:
            continue
    return found
