"""The launcher of a simulation: QEMUs that are state machines in the running event loop.

Knows the fake machine's actions and the loop's net. Must not know what is said on a monitor, nor which loop
runs: a virtual one with either net, or an ordinary one on the real clock.

What a manager can see is what it sees of a process: a pid, an exit status or signal, last words in the log,
inherited listeners, ESRCH once gone. Two things differ from a kernel on purpose: pids count up from
``first_pid`` (the same in every run), and SIGSTOP and SIGCONT do nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fakeqemu import actions as do
from fakeqemu.machine import FakeQemu
from virtsim.host.abc import ExitStatus, Files, Observer
from virtsim.host.context import Context, ignore
from virtsim.host.waiters import Waiters
from virtsim.sim.images import SimHost
from virtsim.sim.net import Net, ServerSocket, net_of
from virtsim.sim.streams import ACTIONS as STREAM_ACTIONS
from virtsim.sim.streams import bind_tcp
from virtsim.sim.wires import Wire

if TYPE_CHECKING:
    from fakeqemu.actions import Action
    from fakeqemu.machine import Step
    from fakeqemu.scripts.script import Script

__all__ = ["DEFAULT_EPOCH_NS", "SimLauncher", "SimProcess"]

#: Time of day at which the loop's clock is 0, unless told otherwise: 2024-01-01T00:00:00Z.
DEFAULT_EPOCH_NS = 1_704_067_200 * 1_000_000_000
#: What QEMU is told of the sender of a signal: a manager is process 1 of its own small world.
_SENDER = (1, "virtsim")
_PROGRAMS = ("qemu-system-", "fakeqemu-system-", "qemu-kvm")


def _is_qemu(program: str) -> bool:
    """Whether the simulated host has that program: it has a QEMU under any name that says so."""
    return program.rpartition("/")[2].startswith(_PROGRAMS) and not program.startswith("/nonexistent/")


class SimLauncher:
    """`virtsim.host.abc.Launcher` that runs fakeqemu in the loop.

    Args:
        script_for: the behaviour script for a command line, or None for an honest QEMU.
        seed: of the run; each process draws from ``seed/pid``.
        files: where logs and pidfiles go; files that have ``append`` are appended to with it.
        observer: told of applied script rules (kind ``fault``) and of ends (kind ``exit``).
        first_pid: the first process id; later ones count up.
        epoch_ns: time of day, in nanoseconds since the epoch, at which the loop's clock is 0.
        has_program: whether a program exists on the simulated host.
    """

    def __init__(
        self,
        *,
        script_for: Callable[[list[str]], Script | None],
        seed: str,
        files: Files,
        observer: Observer = ignore,
        first_pid: int = 1000,
        epoch_ns: int = DEFAULT_EPOCH_NS,
        has_program: Callable[[str], bool] = _is_qemu,
    ) -> None:
        self.processes: dict[int, SimProcess] = {}
        self._script_for = script_for
        self._seed = seed
        self._files = files
        self._observer = observer
        self._next_pid = first_pid
        self._epoch_ns = epoch_ns
        self._has_program = has_program
        self._closed = False
        self._host = SimHost(files)
        self.terminals: set[int] = set()

    async def spawn(
        self, argv: Sequence[str], *, fds: Sequence[int] = (), log: str, env: Mapping[str, str] | None = None
    ) -> SimProcess:
        """Start a fake QEMU; its first steps, such as a socket without delay, are taken before this returns.

        When it fails nothing is left behind.

        Args:
            argv: program and arguments.
            fds: listening sockets it inherits, by their number on the loop's net.
            log: path of its standard output and error.
            env: has no meaning here: a script comes from ``script_for``.

        Raises:
            FileNotFoundError: the simulated host has no such program.
            OSError: EBADF, an inherited descriptor does not exist.
            RuntimeError: the launcher is closed.
        """
        del env
        if self._closed:
            raise RuntimeError("the launcher is closed")
        if not argv or not self._has_program(argv[0]):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0] if argv else "")
        net = net_of(asyncio.get_running_loop())
        inherited: dict[int, ServerSocket] = {}
        try:
            for fd in fds:
                if not net.is_stream(fd):
                    inherited[fd] = net.adopt(fd)
            self._append(log, b"")
        except BaseException:
            for listener in inherited.values():
                listener.close()
            raise
        pid = self._next_pid
        self._next_pid += 1
        words = list(argv)
        machine = FakeQemu(
            words,
            script=self._script_for(words),
            seed=f"{self._seed}/{pid}",
            wall_ns=self._epoch_ns,
            pid=pid,
            host=self._host,
        )
        process = SimProcess(self, machine, net, inherited, log)
        self.processes[pid] = process
        process.begin()
        return process

    async def aclose(self) -> None:
        """Start nothing more. Ends no program."""
        self._closed = True

    def _append(self, path: str, data: bytes) -> None:
        append = getattr(self._files, "append", None)
        if append is not None:
            append(path, data)
            return
        self._files.make_dirs(path.rpartition("/")[0] or "/")
        with open(path, "ab") as file:  # noqa: PTH123 - the seam speaks of paths as strings
            file.write(data)

    def _unlink(self, net: Net, path: str, *, is_socket: bool) -> None:
        with suppress(FileNotFoundError, IsADirectoryError):
            if is_socket:
                net.unlink(path)
            else:
                self._files.unlink(path)

    def _write(self, path: str, data: bytes) -> None:
        self._files.write_atomic(path, data)

    def _ended(self, process: SimProcess, status: ExitStatus) -> None:
        self.processes.pop(process.pid, None)
        ending = {"code": status.code} if status.code is not None else {"signal": status.signal}
        self._observer("exit", process.name, {"pid": process.pid, **ending})

    def _fault(self, process: SimProcess, note: do.Note) -> None:
        self._observer("fault", process.name, {"rule": note.rule, "action": note.action})


class SimProcess:
    """`virtsim.host.abc.Process` of a `SimLauncher`: one machine, and what the kernel would keep for it."""

    __slots__ = (
        "_busy", "_inherited", "_launcher", "_listeners", "_log", "_next_conn", "_queue", "_status",
        "_stopped", "_timers", "_waiters", "bound", "loop", "machine", "net", "tasks", "terminals", "wires",
    )  # fmt: skip

    def __init__(
        self, launcher: SimLauncher, machine: FakeQemu, net: Net, inherited: dict[int, ServerSocket], log: str
    ) -> None:
        self._launcher = launcher
        self.machine = machine
        self.net = net
        self._inherited = inherited
        self._log = log
        self.loop = asyncio.get_running_loop()
        self.bound: dict[str, ServerSocket] = {}
        self._listeners: dict[str, ServerSocket] = {}
        #: The connections, by the machine's numbers.
        self.wires: dict[int, Wire] = {}
        #: Connections that are being made.
        self.tasks: dict[asyncio.Task[None], None] = {}
        #: Numbers of the terminals that are open.
        self.terminals: set[int] = set()
        self._next_conn = 1
        self._queue: deque[Action] = deque()
        self._busy = False
        self._timers: dict[asyncio.TimerHandle, None] = {}
        self._status: ExitStatus | None = None
        #: What has reached the process since SIGSTOP and waits for SIGCONT; None: it runs.
        self._stopped: list[Callable[[], None]] | None = None
        self._waiters = Waiters()

    def __repr__(self) -> str:
        return f"<SimProcess {self.pid} {self.name} {self._status or 'running'}>"

    @property
    def pid(self) -> int:
        """The process id; stays readable after the end."""
        return self.machine.pid

    @property
    def host(self) -> SimHost:
        """The host that all machines of the launcher share."""
        return self._launcher._host  # noqa: SLF001 - one mechanism

    def terminal(self) -> int:
        """The number of the next terminal."""
        taken = self._launcher.terminals
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        taken.add(number)
        self.terminals.add(number)
        return number

    def output(self, data: bytes) -> None:
        """Write to standard output, which is the log."""
        with suppress(OSError):
            self._launcher._append(self._log, data)  # noqa: SLF001 - one mechanism

    @property
    def name(self) -> str:
        """The guest's name, as its command line says."""
        line = getattr(self.machine, "line", None)
        return (line.name if line is not None else None) or "host"

    def alive(self) -> bool:
        """False once the process has left the process table."""
        return self._status is None

    def signal(self, signum: int) -> None:
        """Send a signal; 0 only asks. It arrives when the loop comes round to it.

        Raises:
            ProcessLookupError: the process is gone.
        """
        if self._status is not None:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        if signum != 0:
            self.loop.call_soon(self._signalled, int(signum))

    async def wait(self) -> ExitStatus:
        """Return the exit status once the process has left the process table; any number of waiters."""
        if self._status is not None:
            return self._status
        return await self._waiters.wait()

    # -- what happens to the machine -------------------------------------------------------------------------

    def begin(self) -> None:
        """Take the first steps."""
        self.plan(self.machine.start(Context.now_ns()))

    def wire_made(self, wire: Wire) -> None:
        """A connection is there: a client was accepted, or a channel of the machine's own is open."""
        if self._stopped is not None and self._held(lambda: self.wire_made(wire)):
            return
        if self.machine.dead or self._status is not None:
            wire.abort()
        elif wire.number:
            self.plan(self.machine.opened(Context.now_ns(), wire.number, None))
        else:
            self.number(wire)
            self.plan(self.machine.connected(Context.now_ns(), wire.name, wire.number))

    def number(self, wire: Wire) -> None:
        """Give a connection that the machine did not ask for its number."""
        wire.number, self._next_conn = self._next_conn, self._next_conn + 1
        self.wires[wire.number] = wire

    def wire_received(self, wire: Wire, data: bytes, fds: Sequence[int]) -> None:
        """Bytes came, and perhaps descriptors."""
        if self._stopped is not None and self._held(lambda: self.wire_received(wire, data, fds)):
            return
        if wire.number in self.wires:
            self.plan(self.machine.received(Context.now_ns(), wire.number, data, fds))

    def wire_drained(self, wire: Wire) -> None:
        """What was sent before has left the process."""
        if self._stopped is not None and self._held(lambda: self.wire_drained(wire)):
            return
        if wire.number in self.wires:
            self.plan(self.machine.drained(Context.now_ns(), wire.number))

    def wire_lost(self, wire: Wire) -> None:
        """A peer has gone."""
        if self._stopped is not None and self._held(lambda: self.wire_lost(wire)):
            return
        if self.wires.pop(wire.number, None) is not None:
            self.plan(self.machine.disconnected(Context.now_ns(), wire.number))

    def refused(self, wire: Wire, reason: str) -> None:
        """A channel of the machine's own could not be opened."""
        if self._stopped is not None and self._held(lambda: self.refused(wire, reason)):
            return
        if self.wires.pop(wire.number, None) is not None:
            self.plan(self.machine.opened(Context.now_ns(), wire.number, reason))

    def _signalled(self, signum: int) -> None:
        if self._status is not None:
            return
        if signum == signal.SIGSTOP:
            self._stopped = [] if self._stopped is None else self._stopped
            return
        if signum == signal.SIGCONT:
            held, self._stopped = self._stopped or (), None
            for happened in held:
                happened()
            return
        if signum != signal.SIGKILL and self._held(lambda: self._signalled(signum)):
            return
        now = Context.now_ns()
        if signum != signal.SIGKILL:
            self.plan(self.machine.signalled(now, signum, _SENDER))
            return
        until = self.machine.uninterruptible_until(now)
        if until is not None:
            self.machine.doomed()
            self.after(until - now, self._killed)
        else:
            self._killed()

    def _held(self, happened: Callable[[], None]) -> bool:
        """Whether the process is stopped; then this waits for SIGCONT."""
        if self._stopped is None or self._status is not None:
            return False
        self._stopped.append(happened)
        return True

    def _killed(self) -> None:
        """SIGKILL: the sockets close at once, the process leaves the table when it has lingered."""
        if self._status is not None:
            return
        wait = 0 if self.machine.dead else self.machine.linger_ns
        self.machine.gone()
        self._drop_timers()
        self._close_all()
        if wait:
            self.after(wait, self._finish, ExitStatus(signal=signal.SIGKILL))
        else:
            self._finish(ExitStatus(signal=signal.SIGKILL))

    # -- steps -----------------------------------------------------------------------------------------------

    def plan(self, steps: list[Step]) -> None:
        """Take steps: those without delay now and in order, the others when their time comes."""
        queue = self._queue
        for delay, action in steps:
            if delay == 0:
                queue.append(action)
            else:
                self.after(delay, self._due, action)
        if self._busy:
            return
        self._busy = True
        try:
            while queue and self._status is None:
                self._act(queue.popleft())
        finally:
            self._busy = False

    def after(self, delay_ns: int, callback: Callable[..., None], *args: Any) -> None:
        """Call back later, unless the process has ended."""

        def reached() -> None:
            self._timers.pop(handle, None)
            callback(*args)

        handle = self.loop.call_later(delay_ns / 1e9, reached)
        self._timers[handle] = None

    def _due(self, action: Action) -> None:
        if self._stopped is not None and self._held(lambda: self._due(action)):
            return
        self.plan([(0, action)])

    def _act(self, action: Action) -> None:
        if type(action) is do.Wake:
            self.plan(self.machine.woken(Context.now_ns(), action.token))
        else:
            _ACTIONS[type(action)](self, action)

    def _bind(self, action: do.Bind) -> None:
        try:
            self.bound[action.chardev] = self.net.bind(action.path, action.mode)
        except OSError as error:
            reason = error.strerror or str(error)
            self.plan(self.machine.bind_failed(Context.now_ns(), action.chardev, action.path, reason))

    def _listen(self, action: do.Listen) -> None:
        listener: ServerSocket | None
        if action.fd is not None:
            listener = self._inherited.get(action.fd)
            if listener is None:
                reason = os.strerror(errno.EBADF)
                self.plan(self.machine.adopt_failed(Context.now_ns(), action.chardev, action.fd, reason))
                return
        else:
            if action.address is not None:
                bind_tcp(self, action.chardev, action.address)
            elif action.chardev not in self.bound and action.path is not None:
                self._launcher._unlink(self.net, action.path, is_socket=True)  # noqa: SLF001 - one mechanism
                self._bind(do.Bind(action.chardev, action.path))
            listener = self.bound.pop(action.chardev, None)
            if listener is None:
                return
            listener.listen(action.backlog)
        self._listeners[action.chardev] = listener

    def _accept(self, action: do.Accept) -> None:
        listener = self._listeners.get(action.chardev)
        if listener is not None:
            listener.accept_one(lambda: Wire(self, action.chardev))

    def _close_listener(self, action: do.CloseListener) -> None:
        for held in (self._listeners, self.bound):
            listener = held.pop(action.chardev, None)
            if listener is not None:
                listener.close()
                return
        chardev = self.machine.line.chardevs.get(action.chardev)
        listener = (
            self._inherited.pop(chardev.fd, None) if chardev is not None and chardev.fd is not None else None
        )
        if listener is not None:
            listener.close()

    def _remove(self, action: do.Unlink) -> None:
        is_socket = any(chardev.path == action.path for chardev in self.machine.line.chardevs.values())
        self._launcher._unlink(self.net, action.path, is_socket=is_socket)  # noqa: SLF001 - one mechanism

    def _send(self, action: do.Send) -> None:
        wire = self.wires.get(action.conn)
        if wire is not None:
            wire.send(action.data)

    def _close(self, action: do.Close) -> None:
        wire = self.wires.get(action.conn)
        if wire is not None:
            wire.close()

    def _say(self, action: do.Stderr | do.Stdout) -> None:
        with suppress(OSError):
            self._launcher._append(self._log, action.text.encode())  # noqa: SLF001 - one mechanism

    def _pidfile(self, action: do.WritePidfile) -> None:
        try:
            self._launcher._write(action.path, f"{self.pid}\n".encode())  # noqa: SLF001 - one mechanism
        except OSError as error:
            reason = error.strerror or str(error)
            self.plan(self.machine.pidfile_failed(Context.now_ns(), action.path, reason))

    def _daemonize(self, action: do.Daemonize) -> None:
        """A machine in the loop has no parent that waits: it is in the background already."""

    def _exit(self, action: do.Exit) -> None:
        self._finish(ExitStatus(code=action.code))

    def _kill(self, action: do.Kill) -> None:
        self._finish(ExitStatus(signal=action.signum))

    def _note(self, action: do.Note) -> None:
        self._launcher._fault(self, action)  # noqa: SLF001 - one mechanism

    # -- the end ---------------------------------------------------------------------------------------------

    def _drop_timers(self) -> None:
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
        self._queue.clear()

    def _close_all(self) -> None:
        for held in (self._listeners, self.bound):
            for listener in held.values():
                listener.close()
            held.clear()
        for listener in self._inherited.values():
            listener.close()
        self._inherited.clear()
        for task in self.tasks:
            task.cancel()
        for wire in self.wires.values():
            wire.end()
        self.wires.clear()
        self._launcher.terminals -= self.terminals

    def _finish(self, status: ExitStatus) -> None:
        """Leave the process table."""
        if self._status is not None:
            return
        self.machine.gone()
        self._drop_timers()
        self._close_all()
        self._status = status
        self._launcher._ended(self, status)  # noqa: SLF001 - one mechanism
        self._waiters.ended(status)


_ACTIONS: dict[type[Action], Callable[[Any, Any], None]] = {
    do.Accept: SimProcess._accept,  # noqa: SLF001 - the table of this class
    do.Bind: SimProcess._bind,  # noqa: SLF001
    do.Close: SimProcess._close,  # noqa: SLF001
    do.CloseListener: SimProcess._close_listener,  # noqa: SLF001
    do.Daemonize: SimProcess._daemonize,  # noqa: SLF001
    do.Exit: SimProcess._exit,  # noqa: SLF001
    do.Kill: SimProcess._kill,  # noqa: SLF001
    do.Listen: SimProcess._listen,  # noqa: SLF001
    do.Note: SimProcess._note,  # noqa: SLF001
    do.Send: SimProcess._send,  # noqa: SLF001
    do.Stderr: SimProcess._say,  # noqa: SLF001
    do.Stdout: SimProcess._say,  # noqa: SLF001
    do.Unlink: SimProcess._remove,  # noqa: SLF001
    do.WritePidfile: SimProcess._pidfile,  # noqa: SLF001
    **STREAM_ACTIONS,
}
