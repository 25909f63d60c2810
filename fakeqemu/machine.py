"""The fake machine: bytes and signals in, a list of (delay, action) out.

Knows the life of a QEMU process from its command line to its end, and its run states. Must not know sockets,
processes or clocks: a driver (`fakeqemu.process`, or the launcher of a simulation) carries the actions out
and says what time it is. What a command does stands in `fakeqemu.commands`; in which order things happen to a
command stands in `fakeqemu.dispatch`. On the start-up path.
"""

from __future__ import annotations

from fakeqemu.actions import Close, CloseListener, Exit, Kill, Note, Send, Stderr, Unlink, Wake
from fakeqemu.argv import ArgvError, CommandLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from fakeqemu.actions import Action
    from fakeqemu.model import Model
    from fakeqemu.parts import Chardev
    from fakeqemu.profile import Profile
    from fakeqemu.script import OnRule, Rules, Script
    from fakeqemu.session import Session

    Step: TypeAlias = tuple[int, Action]

__all__ = ["QMP_SIGNALS", "FakeQemu", "Host"]

#: Signals on which QEMU shuts down in good order: SIGHUP, SIGINT, SIGTERM (os-posix.c).
QMP_SIGNALS = (1, 2, 15)
#: Signals that a QEMU survives: handled inside (USR1), ignored, or of no consequence to it.
_HARMLESS = (10, 13, 14, 17, 18, 21, 22, 23, 28)


class Host:
    """What the machine may ask of the world around it; this one has an answer for nothing.

    A driver may hand in one that looks at real files.
    """

    __slots__ = ()

    def file_error(self, path: str) -> str | None:
        """Why a disk image cannot be opened, in the system's words; None when it can (or need not exist)."""
        del path
        return None

    def virtual_size(self, path: str, *, raw: bool) -> int | None:
        """Size of the disk in an image, or of the ``raw`` file; None when it is imaginary."""
        del path, raw
        return None


class FakeQemu:
    """One QEMU. Every method returns what is to be done, each step at its delay from ``now_ns``.

    The machine is deterministic: the same calls return the same steps.

    Args:
        argv: the whole command line, program name first.
        script: how it misbehaves; None for an honest QEMU.
        seed: of the run; rules with a probability draw from it.
        wall_ns: time of day, in nanoseconds since the epoch, at which ``now_ns`` is 0.
        profile: the facts to answer from; None for the one shipped for the program's name.
        pid: the process id the machine believes to have.
        host: answers what a machine may ask of the world.
    """

    __slots__ = (
        "_after", "_conns", "_dead", "_doomed", "_host", "_listening", "_out", "_profile", "_started_ns",
        "actions", "argv", "balloon",
        "boot_done", "line", "model", "now_ns", "pid", "powerdown_pending", "rules", "runstate", "script",
        "seed", "sessions", "wall_ns",
    )  # fmt: skip

    def __init__(
        self,
        argv: Sequence[str],
        *,
        script: Script | None = None,
        seed: str = "0",
        wall_ns: int = 0,
        profile: Profile | None = None,
        pid: int = 0,
        host: Host | None = None,
    ) -> None:
        self.argv = argv
        self.script = script
        self.rules: Rules | None = None
        self.seed = seed
        self.wall_ns = wall_ns
        self.pid = pid
        self.now_ns = 0
        self.runstate = "prelaunch"
        self.actions: dict[str, str] = {}
        self.balloon: int | None = None
        self.boot_done: int | None = None
        self.powerdown_pending = False
        self.sessions: dict[int, Session] = {}
        self.model: Model | None = None
        self._profile = profile
        self._host = host
        self._out: list[Step] = []
        self._after: list[Step] = []
        self._dead = False
        self._doomed = False
        self._started_ns = 0
        self._listening: list[Chardev] = []
        self._conns: dict[int, str] = {}
        if script is not None and script.length:
            from fakeqemu.script import Rules

            self.rules = Rules(script, seed)

    # -- what the driver calls ------------------------------------------------------------------------------

    def start(self, now_ns: int) -> list[Step]:
        """The process has been started: parse the command line and plan what follows."""
        self.now_ns = self._started_ns = now_ns
        try:
            self.line = CommandLine(self.argv)
            self._check()
        except ArgvError as error:
            return self._end(1, str(error), linger=False)
        self.actions = dict(self.line.actions)
        if self.line.output is not None:
            from fakeqemu.help import printed

            return [(0, printed(self.line.output, self.profile)), (0, Exit(0))]
        for warning in self.line.warnings:
            self.do(0, Stderr(f"{self.line.program}: {warning}\n"))
        from fakeqemu.startup import plan

        plan(self)
        return self._take()

    def connected(self, now_ns: int, chardev: str, conn: int) -> list[Step]:
        """A client was accepted on a character device."""
        self.now_ns = now_ns
        if not self._dead:
            from fakeqemu.session import open_session

            self._conns[conn] = chardev
            open_session(self, chardev, conn)
        return self._take()

    def received(self, now_ns: int, conn: int, data: bytes) -> list[Step]:
        """Bytes have come from a client."""
        self.now_ns = now_ns
        session = self.sessions.get(conn)
        if session is not None and not self._dead:
            session.received(self, data)
        return self._take()

    def disconnected(self, now_ns: int, conn: int) -> list[Step]:
        """A client has gone; the next one may be served."""
        self.now_ns = now_ns
        monitor = self.sessions.pop(conn, None) is not None
        chardev = self._conns.pop(conn, None)
        if chardev is not None and not self._dead:
            from fakeqemu.startup import closed

            closed(self, chardev, monitor=monitor)
        return self._take()

    def bind_failed(self, now_ns: int, chardev: str, path: str, reason: str) -> list[Step]:
        """The socket file could not be created, in the system's words."""
        self.now_ns = now_ns
        return self._refused(chardev, f"Failed to bind socket to {path}: {reason}")

    def adopt_failed(self, now_ns: int, chardev: str, fd: int, reason: str) -> list[Step]:
        """The inherited descriptor is not a socket, or not there at all."""
        del reason
        self.now_ns = now_ns
        return self._refused(chardev, f"File descriptor '{fd}' is not a socket")

    def pidfile_failed(self, now_ns: int, path: str, reason: str) -> list[Step]:
        """The pidfile could not be written, in the system's words."""
        self.now_ns = now_ns
        text = f"cannot create PID file: Could not create '{path}': {reason}"
        return self._end(1, f"{self.line.program}: {text}", linger=False)

    def signalled(self, now_ns: int, signum: int, sender: tuple[int, str] | None = None) -> list[Step]:
        """A signal has been sent to the process. SIGKILL is the driver's own business.

        Args:
            now_ns: the time.
            signum: the signal's number.
            sender: process id and command of the sender, for QEMU's farewell.
        """
        self.now_ns = now_ns
        if self._dead or signum == 0:
            return []
        until = self.uninterruptible_until(now_ns)
        if until is not None:
            self.later(until - now_ns, lambda: None if self._doomed else self._signal(signum, sender))
        else:
            self._signal(signum, sender)
        return self._take()

    def woken(self, now_ns: int, token: object) -> list[Step]:
        """The time of a `Wake` has come."""
        self.now_ns = now_ns
        if not self._dead and callable(token):
            token()
        return self._take()

    def uninterruptible_until(self, now_ns: int) -> int | None:
        """Until when no signal reaches the process ("D state"), SIGKILL included; None when it would now."""
        wait = self.word("uninterruptible")
        until = self._started_ns + wait if wait else None
        return until if until is not None and until > now_ns else None

    @property
    def linger_ns(self) -> int:
        """How long the process stays in the process table after its sockets have closed."""
        wait: int = self.word("linger") or 0
        return wait

    def doomed(self) -> None:
        """SIGKILL waits for the end of the D state: the kernel then delivers it before any other signal."""
        self._doomed = True

    def gone(self) -> None:
        """The driver has ended the process, by SIGKILL or after the last step: nothing more happens."""
        self._dead = True

    @property
    def dead(self) -> bool:
        """Whether the machine has ended and does nothing more."""
        return self._dead

    # -- what the rest of the fake uses ---------------------------------------------------------------------

    @property
    def profile(self) -> Profile:
        """The recorded facts; loaded when first asked for."""
        if self._profile is None:
            from fakeqemu.profile import profile_for

            self._profile = profile_for(self.line.program)
        return self._profile

    @property
    def host(self) -> Host:
        """The world around; imaginary unless the driver gave one."""
        return self._host if self._host is not None else _NOWHERE

    def word(self, name: str) -> Any:
        """A word of the script's ``at: start`` rules, or None."""
        return self.script.start.get(name) if self.script is not None else None

    def do(self, delay_ns: int, action: Action) -> None:
        """Add a step."""
        self._out.append((delay_ns, action))

    def send(self, conn: int, text: str) -> None:
        """Send a line; what is sent at one instant goes out together."""
        data = f"{text}\r\n".encode("ascii", "replace")
        if self._out:
            delay, last = self._out[-1]
            if delay == 0 and type(last) is Send and last.conn == conn:
                last.data += data
                return
        self._out.append((0, Send(conn, data)))

    def later(self, delay_ns: int, what: Callable[[], None]) -> None:
        """Do something after a delay, if the machine still lives."""
        self._out.append((delay_ns, Wake(what)))

    def afterwards(self, what: Callable[[], None]) -> None:
        """Do something once everything of this instant has been said: after the reply to a command."""
        self._after.append((0, Wake(what)))

    def note(self, rule: str, action: str) -> None:
        """Say that a rule of the script has been applied."""
        self._out.append((0, Note(rule, action)))

    def pick(self, step: str, name: str = "") -> OnRule | None:
        """The rule that acts at this step, if any; it is noted."""
        if self.rules is None:
            return None
        rule = self.rules.pick(step, name)
        if rule is not None:
            self.note(rule.name, f"{step} {name}".strip() + ": " + ", ".join(rule.do))
        return rule

    def emit(self, event: str, data: dict[str, Any] | None = None) -> None:
        """Send an event to every monitor that has negotiated its capabilities."""
        if not self.sessions:
            return
        from fakeqemu.session import event_text

        text = event_text(event, data, self.wall_ns + self.now_ns)
        for conn, session in self.sessions.items():
            if session.negotiated:
                self.send(conn, text)

    def served(self) -> set[str]:
        """The character devices that have a client."""
        return set(self._conns.values())

    def listening(self, chardev: Chardev) -> None:
        """Remember a listener, so that the end closes it."""
        self._listening.append(chardev)

    # -- the end --------------------------------------------------------------------------------------------

    def exit(self, code: int, *, stderr: str | None = None, clean: bool = True) -> None:
        """Leave with a status. A clean exit removes socket files and the pidfile, as QEMU's does."""
        self._out += self._end(code, stderr, clean=clean)

    def kill(self, signum: int, *, stderr: str | None = None) -> None:
        """Die by a signal."""
        self._out += self._end(None, stderr, signum=signum, clean=False)

    def _refused(self, chardev: str, reason: str) -> list[Step]:
        return self._end(
            1, f"{self.line.program}: {self.line.chardevs[chardev].text}: {reason}", linger=False
        )

    def _end(
        self,
        code: int | None,
        stderr: str | None,
        *,
        signum: int = 0,
        clean: bool = False,
        linger: bool = True,
    ) -> list[Step]:
        if self._dead:
            return []
        self._dead = True
        steps: list[Step] = []
        if stderr:
            steps.append((0, Stderr(stderr if stderr.endswith("\n") else stderr + "\n")))
        steps += [(0, Close(conn)) for conn in self._conns]
        for chardev in self._listening:
            steps.append((0, CloseListener(chardev.id)))
            if clean and chardev.path is not None:
                steps.append((0, Unlink(chardev.path)))
        if clean and self.line.pidfile is not None:
            steps.append((0, Unlink(self.line.pidfile)))
        wait = self.linger_ns if linger else 0
        if wait:  # a listener that was handed in and not looked at yet goes with the other descriptors
            served = [chardev.id for chardev in self._listening]
            for chardev in self.line.chardevs.values():
                if chardev.fd is not None and chardev.id not in served:
                    steps.append((0, CloseListener(chardev.id)))
        steps.append((wait, Exit(code) if code is not None else Kill(signum)))
        return steps

    def _signal(self, signum: int, sender: tuple[int, str] | None) -> None:
        if signum in (self.word("ignore") or ()):
            self.note(self.word("rules").get("ignore", "script"), f"ignore signal {signum}")
            return
        rule = self.pick("signal", str(signum))
        if rule is not None:
            from fakeqemu.effects import at_step

            at_step(self, rule, lambda: self._obey(signum, sender))
        else:
            self._obey(signum, sender)

    def _obey(self, signum: int, sender: tuple[int, str] | None) -> None:
        if signum in QMP_SIGNALS:
            origin = "" if sender is None else f" from pid {sender[0]} ({sender[1]})"
            self.do(0, Stderr(f"{self.line.program}: terminating on signal {signum}{origin}\n"))
            self.emit("SHUTDOWN", {"guest": False, "reason": "host-signal"})
            self.exit(0)
        elif signum not in _HARMLESS:
            self.kill(signum)

    def _check(self) -> None:
        def known(kind: str, name: str) -> bool:
            return name in self.profile.names(kind)

        self.line.check_machine(known)
        self.line.check_references()
        if self._host is not None and (self.script is None or self.word("images") == "real"):
            for text, path in self.line.images():
                reason = self._host.file_error(path)
                if reason is not None:
                    raise ArgvError(f"{self.line.program}: {text}: Could not open '{path}': {reason}\n")

    def _take(self) -> list[Step]:
        out, self._out = self._out, []
        if self._after:
            out += self._after
            self._after = []
        return out


_NOWHERE = Host()
