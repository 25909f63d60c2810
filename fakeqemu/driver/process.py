# ruff: noqa: SLF001, SIM105  (posix._exit and socket._accept are what they are; contextlib is not on this path)
"""The process driver: carries the machine's actions out with real sockets, signals and clocks.

Knows the kernel. Must not know QMP. Everything that is imported before the monitor socket listens is
counted in
milliseconds, so this module uses the built-in modules below the standard library (``_socket``, ``posix``,
``_signal``) and its own loop of epoll and a heap of timers.

Whatever goes wrong inside, the user sees one line on standard error and exit status 1, never a traceback.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import posix
import sys
import time
from _heapq import heappop, heappush
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM
from _socket import socket as Socket  # noqa: N812 - a class, whatever its case
from select import EPOLLIN, epoll

from fakeqemu import actions as do
from fakeqemu.driver.realhost import RealHost, command_of, reason, write_all
from fakeqemu.driver.wires import Wire
from fakeqemu.machine import FakeQemu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from fakeqemu.actions import Action
    from fakeqemu.machine import Step
    from fakeqemu.scripts.script import Script

__all__ = ["Process", "main"]

#: Signals that the machine is told of; the others do what signals do.
ROUTED = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGALRM)


class _Call(do.Action):
    """The driver's own business at a later time."""

    __slots__ = ("what",)

    def __init__(self, what: Callable[[], None]) -> None:
        self.what = what


class Process:
    """Runs one machine until it ends, and then ends the process.

    Args:
        argv: the whole command line.
        script: how it misbehaves.
        seed: for rules with a probability.
        start_ns: when the process began, on the monotonic clock: times of the script count from then.
    """

    def __init__(self, argv: Sequence[str], script: Script | None, seed: str, start_ns: int) -> None:
        self._start_ns = start_ns
        self.machine = FakeQemu(
            argv,
            script=script,
            seed=seed,
            wall_ns=time.time_ns() - self.now(),
            pid=posix.getpid(),
            host=RealHost(),
        )
        self._timers: list[tuple[int, int, Action]] = []
        self._sequence = 0
        self.epoll = epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._listeners: dict[str, Socket] = {}
        self._bound: dict[str, Socket] = {}
        self.adopted: set[str] = set()
        #: The connections, by number; the machine's own are negative.
        self.wires: dict[int, Wire] = {}
        #: Those of them that are files, which the kernel does not watch.
        self.files: dict[Wire, None] = {}
        self._next_conn = 1
        #: Where the first process of a daemon waits for its leave; None when there is none.
        self.parent: int | None = None
        self._signals: tuple[int, int] | None = None
        self._script = script

    def run(self) -> None:
        """Run; never returns."""
        _signal.pthread_sigmask(_signal.SIG_BLOCK, self.routed())
        if "-daemonize" in self.machine.argv or "--daemonize" in self.machine.argv:
            from fakeqemu.driver.daemon import fork

            fork(self)
        self.plan(self.machine.start(0), 0)
        self._due()
        self._watch_signals()
        while True:
            self._turn()

    # -- time ------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Nanoseconds since the process began."""
        return time.monotonic_ns() - self._start_ns

    def plan(self, steps: list[Step], now: int | None = None) -> None:
        """Take in the machine's steps."""
        if not steps:
            return
        if now is None:
            now = self.now()
        for delay, action in steps:
            self._sequence += 1
            heappush(self._timers, (now + delay, self._sequence, action))

    def _due(self) -> None:
        """Carry out what is due, in order of time and then of sequence."""
        while self._timers and self._timers[0][0] <= self.now():
            action = heappop(self._timers)[2]
            if type(action) is do.Wake:
                self.plan(self.machine.woken(self.now(), action.token))
            else:
                (_ACTIONS.get(type(action)) or _late(type(action)))(self, action)

    def later(self, delay_ns: int, what: Callable[[], None]) -> None:
        """Call something of the driver's own after a delay."""
        self._sequence += 1
        heappush(self._timers, (self.now() + delay_ns, self._sequence, _Call(what)))

    def _turn(self) -> None:
        wait = -1.0
        if self._timers:
            # The kernel takes no more than 2**31 ms at once.
            wait = min(86_400.0, max(0, self._timers[0][0] - self.now()) / 1e9)
        if self.files:
            for wire in tuple(self.files):
                if not wire.idle:
                    wire.more()
                    wait = 0
            self._due()
        for fd, events in self.epoll.poll(wait):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)
                self._due()
        self._due()

    # -- actions ---------------------------------------------------------------------------------------------

    def _bind(self, action: do.Bind) -> None:
        sock = Socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
        try:
            sock.bind(action.path)
        except OSError as error:
            sock.close()
            if error.errno == 98 and self._removable(action.path):
                posix.unlink(action.path)
                self._bind(action)
                return
            self.plan(self.machine.bind_failed(self.now(), action.chardev, action.path, reason(error)))
            return
        if action.mode is not None:
            posix.chmod(action.path, action.mode)
        self._bound[action.chardev] = sock

    @staticmethod
    def _removable(path: str) -> bool:
        """Whether it is a socket file that lies in the way; QEMU unlinks it."""
        try:
            return posix.stat(path).st_mode & 0o170000 == 0o140000
        except OSError:
            return False

    def _listen(self, action: do.Listen) -> None:
        if action.fd is not None:
            sock = self._adopt(action.chardev, action.fd)
        else:
            sock = self._bound.get(action.chardev)
            if action.address is not None:
                from fakeqemu.driver.streams import bind_tcp

                sock = bind_tcp(self, action.chardev, action.address)
            elif sock is None and action.path is not None:
                try:
                    posix.unlink(action.path)
                except OSError:
                    pass  # nothing lay there; what cannot be removed makes bind() fail with its own words
                self._bind(do.Bind(action.chardev, action.path))
                sock = self._bound.get(action.chardev)
        if sock is None:
            return
        try:
            sock.listen(action.backlog)
        except OSError:
            pass  # an inherited descriptor that is connected already, not a listener
        self._bound.pop(action.chardev, None)
        self._listeners[action.chardev] = sock

    def _adopt(self, chardev: str, fd: int) -> Socket | None:
        try:
            sock = Socket(fileno=fd)
            self.adopted.add(chardev)
            posix.set_inheritable(fd, False)  # noqa: FBT003 - the system call's own signature
        except OSError as error:
            self.plan(self.machine.adopt_failed(self.now(), chardev, fd, reason(error)))
            return None
        sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        return sock

    def _accept(self, action: do.Accept) -> None:
        sock = self._listeners.get(action.chardev)
        if sock is None:
            return
        fd = sock.fileno()
        if fd not in self._handlers:
            self.watch(fd, EPOLLIN, lambda _events: self._accepted(action.chardev, sock))

    def _accepted(self, chardev: str, sock: Socket) -> None:
        try:
            fd, _ = sock._accept()  # type: ignore[attr-defined]  # as socket.socket.accept does
        except OSError:
            return  # the client has gone again, or descriptors ran out: the listener stays armed
        self.forget(sock.fileno())
        client = Socket(fileno=fd)
        client.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self.attach(chardev, Wire(self, self.number(), sock=client))

    def _close_listener(self, action: do.CloseListener) -> None:
        for held in (self._listeners, self._bound):
            sock = held.pop(action.chardev, None)
            if sock is not None:
                self.forget(sock.fileno())
                sock.close()
                return
        chardev = self.machine.line.chardevs.get(action.chardev)
        if chardev is not None and chardev.fd is not None and action.chardev not in self.adopted:
            try:
                posix.close(chardev.fd)
            except OSError:
                pass  # it was never open

    def _unlink(self, action: do.Unlink) -> None:
        try:
            posix.unlink(action.path)
        except OSError:
            pass  # gone already

    def _send(self, action: do.Send) -> None:
        wire = self.wires.get(action.conn)
        if wire is not None:
            wire.send(action.data)

    def _close(self, action: do.Close) -> None:
        wire = self.wires.get(action.conn)
        if wire is not None:
            wire.close()

    def _stderr(self, action: do.Stderr) -> None:
        write_all(2, action.text)

    def _stdout(self, action: do.Stdout) -> None:
        write_all(1, action.text)

    def _pidfile(self, action: do.WritePidfile) -> None:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
        try:
            fd = posix.open(action.path, flags, 0o600)
        except OSError as error:
            self.plan(self.machine.pidfile_failed(self.now(), action.path, reason(error)))
            return
        posix.write(fd, b"%d\n" % posix.getpid())
        posix.close(fd)

    def _exit(self, action: do.Exit) -> None:
        if self.parent is not None and action.code == 0:
            posix.write(self.parent, b"\0")
        posix._exit(action.code)

    def _kill(self, action: do.Kill) -> None:
        signum = action.signum
        from resource import RLIMIT_CORE, setrlimit

        setrlimit(RLIMIT_CORE, (0, 0))
        try:
            _signal.signal(signum, _signal.SIG_DFL)
        except OSError:
            pass  # SIGKILL cannot be set, and need not be
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (signum,))
        posix.kill(posix.getpid(), signum)
        _signal.pause()

    def _note(self, action: do.Note) -> None:
        """Nobody watches a process from inside."""

    # -- connections -----------------------------------------------------------------------------------------

    def watch(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        """Call ``handler`` with the events of a descriptor.

        Raises:
            PermissionError: it is a file, which is always ready.
        """
        self.epoll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Watch a descriptor no more."""
        if self._handlers.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def attach(self, name: str, wire: Wire) -> None:
        """Tell the machine of a client under the name of a listener or character device."""
        self.wires[wire.number] = wire
        wire.begin()
        self.plan(self.machine.connected(self.now(), name, wire.number))

    def number(self) -> int:
        """The number of the next connection."""
        number, self._next_conn = self._next_conn, self._next_conn + 1
        return number

    # -- signals ---------------------------------------------------------------------------------------------

    def routed(self) -> tuple[int, ...]:
        """Signals that the machine is told of."""
        extra: set[int] = set()
        if self._script is not None:
            extra.update(self._script.start.get("ignore", ()))
            extra.update(int(rule.match) for rule in self._script.steps.get("signal", ()) if rule.match)
        return tuple(sorted({int(signum) for signum in ROUTED} | extra - {int(_signal.SIGKILL)}))

    def _watch_signals(self) -> None:
        """Signals are waited for in a thread, for only so is their sender known; a pipe wakes the loop."""
        from _thread import stack_size, start_new_thread

        routed = self.routed()
        read, write = posix.pipe2(posix.O_CLOEXEC | posix.O_NONBLOCK)

        def wait() -> None:
            while True:
                info = _signal.sigwaitinfo(routed)
                posix.write(write, b"%d %d\n" % (info.si_signo, info.si_pid))

        stack_size(1 << 16)
        start_new_thread(wait, ())
        self.watch(read, EPOLLIN, lambda _events: self._signalled(read))

    def _signalled(self, pipe: int) -> None:
        for line in posix.read(pipe, 4096).splitlines():
            signum, pid = map(int, line.split())
            sender = (pid, command_of(pid)) if pid else None
            self.plan(self.machine.signalled(self.now(), signum, sender))
            self._due()


def _late(kind: type[Action]) -> Callable[[Any, Any], None]:
    """The mechanism of an action that most machines never take."""
    from fakeqemu.driver.streams import ACTIONS

    return ACTIONS[kind]


_ACTIONS: dict[type[Action], Callable[[Any, Any], None]] = {
    _Call: lambda _process, action: action.what(),
    do.Accept: Process._accept,
    do.Bind: Process._bind,
    do.Close: Process._close,
    do.CloseListener: Process._close_listener,
    do.Exit: Process._exit,
    do.Kill: Process._kill,
    do.Listen: Process._listen,
    do.Note: Process._note,
    do.Send: Process._send,
    do.Stderr: Process._stderr,
    do.Stdout: Process._stdout,
    do.Unlink: Process._unlink,
    do.WritePidfile: Process._pidfile,
}


def main(argv: Sequence[str], *, script: Script | None = None, start_ns: int | None = None) -> None:
    """Be a QEMU with this command line; never returns.

    Args:
        argv: the whole command line.
        script: how it misbehaves, where that is known already; else the environment says so.
        start_ns: when the process began, on the monotonic clock; by default this very moment.
    """
    start_ns = time.monotonic_ns() if start_ns is None else start_ns
    try:
        words = [
            value.decode("utf-8", "surrogateescape") if value else None
            for value in map(posix.environ.get, (b"FAKEQEMU_SCRIPT", b"FAKEQEMU_PRESET", b"FAKEQEMU_CTL"))
        ]
        if script is None and any(words):
            from fakeqemu.scripts.script import ScriptError, configured

            try:
                script = configured(*words)
            except ScriptError as error:
                write_all(2, f"fakeqemu: {error}\n")
                posix._exit(1)
        seed = posix.environ.get(b"FAKEQEMU_SEED", b"0").decode("utf-8", "replace")
        Process(argv, script, seed, start_ns).run()
    except BaseException as error:  # noqa: BLE001 - whatever it is, a manager must see a line and not a traceback
        kind = type(error)
        if kind is KeyboardInterrupt:
            posix._exit(130)
        place = ""
        trace = error.__traceback__
        while trace is not None:
            place = f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
            trace = trace.tb_next
        text = " ".join(str(error).split())
        write_all(2, f"fakeqemu: internal error: {kind.__name__}: {text}{place}\n")
        posix._exit(1)


if __name__ == "__main__":
    main(sys.argv)
