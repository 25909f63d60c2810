"""The fake machine: bytes and signals in, a list of (delay, action) out.

Knows the life of a QEMU process from its command line to its end, and its run states. Must not know sockets,
processes or clocks: a driver (`fakeqemu.driver.process`, or the launcher of a simulation) carries the
actions out and says what time it is. What a command does stands in `fakeqemu.commands`; in which order
things happen to a command stands in `fakeqemu.protocol.dispatch`. On the start-up path.
"""

from __future__ import annotations

from fakeqemu.actions import Exit, Note, Send, Stderr, Wake
from fakeqemu.cmdline.argv import ArgvError, CommandLine
from fakeqemu.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random
    from typing import Any, TypeAlias

    from fakeqemu.actions import Action
    from fakeqemu.channel import Acceptor, Channel
    from fakeqemu.cmdline.parts import Chardev
    from fakeqemu.facts.profile import Profile
    from fakeqemu.protocol.session import Session
    from fakeqemu.scripts.outlet import Outlet
    from fakeqemu.scripts.script import OnRule, Rules, Script

    Step: TypeAlias = tuple[int, Action]

__all__ = ["FakeQemu"]


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
        "_after", "_dead", "_doomed", "_host", "_next_channel", "_out", "_profile", "_ran_ns",
        "_running_since", "_started_ns",
        "acceptors", "actions", "argv", "balloon", "boot_done", "channels", "conns", "line", "listeners",
        "now_ns", "outlet", "parts", "pid", "powerdown_pending", "rules", "runstate", "script",
        "seed", "sessions", "wall_ns", "watchers", "words",
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
        #: Monitors, by connection; every one of them is among the channels too.
        self.sessions: dict[int, Session] = {}
        #: Whoever speaks on a connection.
        self.channels: dict[int, Channel] = {}
        #: Connections that were accepted: the name under which the listener was opened.
        self.conns: dict[int, str] = {}
        #: Who takes the clients of a listener; of a character device that is not in here,
        #: `fakeqemu.protocol.session` decides.
        self.acceptors: dict[str, Acceptor] = {}
        #: What the machine is made of, by name; each package of the fake that keeps state owns one.
        self.parts: dict[str, Any] = {}
        #: Called with the old and the new run state after each change.
        self.watchers: list[Callable[[str, str], None]] = []
        self.listeners: list[Chardev] = []
        #: Words that were set while the machine runs; they go before those of the script.
        self.words: dict[str, Any] | None = None
        #: What bends what is said; there is one once a rule has asked for it.
        self.outlet: Outlet | None = None
        self._profile = profile
        self._host = host
        self._out: list[Step] = []
        self._after: list[Step] = []
        self._dead = False
        self._doomed = False
        self._started_ns = self._ran_ns = self._running_since = 0
        self._next_channel = -1
        if script is not None and script.length:
            from fakeqemu.scripts.script import Rules

            self.rules = Rules(script, seed)

    # -- what the driver calls ------------------------------------------------------------------------------

    def start(self, now_ns: int) -> list[Step]:
        """The process has been started: parse the command line and plan what follows."""
        self.now_ns = self._started_ns = now_ns
        try:
            self.line = CommandLine(self.argv)
            self._check()
        except ArgvError as error:
            self.finish(1, str(error), linger=False)
            return self._take()
        self.actions = dict(self.line.actions)
        if self.line.output is not None:
            from fakeqemu.cmdline.help import printed

            return [(0, printed(self.line.output, self.profile)), (0, Exit(0))]
        for warning in self.line.warnings:
            self.do(0, Stderr(f"{self.line.program}: {warning}\n"))
        from fakeqemu.startup import plan

        plan(self)
        return self._take()

    def connected(self, now_ns: int, chardev: str, conn: int) -> list[Step]:
        """A client was accepted on a listener: a character device's, or one that was opened by name."""
        self.now_ns = now_ns
        if not self._dead:
            self.conns[conn] = chardev
            acceptor = self.acceptors.get(chardev)
            if acceptor is None:
                from fakeqemu.protocol.session import open_session

                open_session(self, chardev, conn)
            else:
                channel = acceptor.accepted(self, conn)
                if channel is not None:
                    self.channels[conn] = channel
        return self._take()

    def pty_opened(self, now_ns: int, chardev: str, conn: int, name: str) -> list[Step]:
        """A terminal was opened for a character device: its name, and the connection to speak on."""
        self.now_ns = now_ns
        if not self._dead:
            from fakeqemu.frontends import pty_opened

            pty_opened(self, chardev, conn, name)
        return self._take()

    def opened(self, now_ns: int, conn: int, reason: str | None) -> list[Step]:
        """A channel of the machine's own is open, or cannot be, in the system's words."""
        self.now_ns = now_ns
        channel = self.channels.get(conn)
        if channel is not None and not self._dead:
            if reason is not None:
                del self.channels[conn]
            channel.opened(self, reason)
        return self._take()

    def received(self, now_ns: int, conn: int, data: bytes, fds: Sequence[int] = ()) -> list[Step]:
        """Bytes have come on a connection, and perhaps descriptors beside them (SCM_RIGHTS)."""
        self.now_ns = now_ns
        channel = self.channels.get(conn)
        if channel is not None and not self._dead:
            channel.received(self, data, fds)
        elif fds:
            from fakeqemu.channel import close_all

            close_all(self, fds)
        return self._take()

    def drained(self, now_ns: int, conn: int) -> list[Step]:
        """What was sent before a `Drain` has left the process."""
        self.now_ns = now_ns
        channel = self.channels.get(conn)
        if channel is not None and not self._dead:
            channel.drained(self)
        return self._take()

    def disconnected(self, now_ns: int, conn: int) -> list[Step]:
        """The peer of a connection has gone; a listener may serve the next one."""
        self.now_ns = now_ns
        monitor = self.sessions.pop(conn, None) is not None
        channel = self.channels.pop(conn, None)
        chardev = self.conns.pop(conn, None)
        if not self._dead:
            if channel is not None:
                channel.closed(self)
            if chardev is not None:
                from fakeqemu.startup import closed

                closed(self, chardev, monitor=monitor)
        return self._take()

    def bind_failed(self, now_ns: int, chardev: str, path: str, reason: str) -> list[Step]:
        """A socket could not be bound, in the system's words; ``path`` is its address."""
        self.now_ns = now_ns
        if not self._dead:
            from fakeqemu.startup import refused

            known = self.line.chardevs.get(chardev)
            file = known is not None and known.backend != "socket"
            text = f"Could not open '{path}'" if file else f"Failed to bind socket to {path}"
            refused(self, chardev, f"{text}: {reason}")
        return self._take()

    def adopt_failed(self, now_ns: int, chardev: str, fd: int, reason: str) -> list[Step]:
        """The inherited descriptor is not a socket, or not there at all."""
        del reason
        self.now_ns = now_ns
        if not self._dead:
            from fakeqemu.startup import refused

            refused(self, chardev, f"File descriptor '{fd}' is not a socket")
        return self._take()

    def pidfile_failed(self, now_ns: int, path: str, reason: str) -> list[Step]:
        """The pidfile could not be written, in the system's words."""
        self.now_ns = now_ns
        text = f"cannot create PID file: Could not create '{path}': {reason}"
        self.finish(1, f"{self.line.program}: {text}", linger=False)
        return self._take()

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
        from fakeqemu.ending import signalled

        until = self.uninterruptible_until(now_ns)
        if until is not None:
            self.later(until - now_ns, lambda: None if self._doomed else signalled(self, signum, sender))
        else:
            signalled(self, signum, sender)
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
            from fakeqemu.facts.profile import Profile, profile_for, profile_named

            name: str | None = self.word("profile")
            if name is None:
                self._profile = profile_for(self.line.program)
            else:
                self._profile = Profile(name) if name.startswith("/") else profile_named(name)
        return self._profile

    @property
    def host(self) -> Host:
        """The world around; imaginary unless the driver gave one."""
        return self._host if self._host is not None else _NOWHERE

    def word(self, name: str) -> Any:
        """A word of the script's ``at: start`` rules, or None."""
        if self.words is not None and name in self.words:
            return self.words[name]
        return self.script.start.get(name) if self.script is not None else None

    def do(self, delay_ns: int, action: Action) -> None:
        """Add a step."""
        if self.outlet is None:
            self._out.append((delay_ns, action))
        else:
            self.outlet.do(self, delay_ns, action)

    def plainly(self, delay_ns: int, action: Action) -> None:
        """Add a step past the outlet."""
        self._out.append((delay_ns, action))

    def send(self, conn: int, text: str) -> None:
        """Send a line; what is sent at one instant goes out together."""
        session = self.sessions.get(conn)
        if session is not None and session.pretty:
            from fakeqemu.protocol.pretty import prettified

            text = prettified(text)
        data = f"{text}\r\n".encode("ascii", "replace")
        if self.outlet is not None:
            self.outlet.do(self, 0, Send(conn, data))
            return
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

    def at(
        self,
        step: str,
        name: str,
        act: Callable[[], None],
        fail: Callable[[str], None] | None = None,
        data: Any = None,
    ) -> None:
        """Take a named step, under the rule of the script that is about it, if any.

        Args:
            step: the step, a word of the grammar: ``job``, ``migration``, ``guest``, ...
            name: what ``match:`` of a rule looks at.
            act: the step itself.
            fail: takes the step's failure instead, in the words of a rule's ``error``; without it such a rule
                leaves the step out.
            data: what ``with:`` of a rule looks at: arguments, an event's data.
        """
        rule = self.pick(step, name, data)
        if rule is None:
            act()
        else:
            from fakeqemu.scripts.effects import at_step, connection

            at_step(self, rule, act, fail or _nothing, connection(self, step, name), name)

    def chance(self, name: str) -> Random:
        """A stream of chance of its own, drawn from the run's seed."""
        streams: dict[str, Random] = self.parts.setdefault("chance", {})
        found = streams.get(name)
        if found is None:
            from random import Random

            found = streams[name] = Random(f"{self.seed}/{name}")  # noqa: S311 - repeatable, not secret
        return found

    def change(self, runstate: str) -> None:
        """Enter a run state, and tell whoever watches."""
        old, self.runstate = self.runstate, runstate
        if old == "running":
            self._ran_ns += self.now_ns - self._running_since
        self._running_since = self.now_ns
        for watcher in self.watchers:
            watcher(old, runstate)
        control = self.parts.get("ctl")
        if control is not None:
            control.changed(self, runstate)

    @property
    def ran_ns(self) -> int:
        """How long the guest's CPUs have run."""
        running = self.now_ns - self._running_since if self.runstate == "running" else 0
        return self._ran_ns + running

    def open_channel(self, channel: Channel) -> int:
        """Take in a channel of the machine's own, for a `Connect` or an `Adopt`; returns its number."""
        conn = channel.conn = self._next_channel
        self._next_channel -= 1
        self.channels[conn] = channel
        return conn

    def pick(self, step: str, name: str = "", data: Any = None) -> OnRule | None:
        """The rule that acts at this step, if any; it is noted."""
        if self.rules is None:
            return None
        rule = self.rules.pick(step, name, data)
        if rule is not None:
            what = step if not name or step in _CHARDEV_STEPS else f"{step} {name}"
            self.note(rule.name, f"{what}: {', '.join(rule.do)}")
        return rule

    def emit(self, event: str, data: dict[str, Any] | None = None) -> None:
        """An event happens: the script may have a say (step ``event``), then the monitors hear of it."""
        if self.rules is None:
            self.tell(event, data)
            return
        from fakeqemu.scripts.effects import emitted

        emitted(self, event, data)

    def tell(self, event: str, data: dict[str, Any] | None = None) -> None:
        """Send an event to every monitor that has negotiated its capabilities."""
        control = self.parts.get("ctl")
        if control is not None:
            control.told(self, event, data)
        if not self.sessions:
            return
        from fakeqemu.protocol.ratelimit import LIMITED
        from fakeqemu.protocol.session import event_text

        text = event_text(event, data, self.wall_ns + self.now_ns)
        if event in LIMITED:
            from fakeqemu.protocol.ratelimit import limited

            limited(self, event, data, text, self.broadcast)
        else:
            self.broadcast(text)

    def broadcast(self, text: str) -> None:
        """Send a message to every monitor that has negotiated its capabilities."""
        for conn, session in self.sessions.items():
            if session.negotiated:
                self.send(conn, text)

    def served(self) -> set[str]:
        """The character devices that have a client."""
        return set(self.conns.values())

    # -- the end --------------------------------------------------------------------------------------------

    def exit(self, code: int, *, stderr: str | None = None, clean: bool = True) -> None:
        """Leave with a status. A clean exit removes socket files and the pidfile, as QEMU's does."""
        if not self._dead:
            self.at("exit", str(code), lambda: self.finish(code, stderr, clean=clean))

    def kill(self, signum: int, *, stderr: str | None = None) -> None:
        """Die by a signal."""
        self.finish(None, stderr, signum=signum)

    def finish(
        self,
        code: int | None,
        stderr: str | None,
        *,
        signum: int = 0,
        clean: bool = False,
        linger: bool = True,
    ) -> None:
        """End the machine once; the last steps follow what is to be done already."""
        if self._dead:
            return
        self._dead = True
        from fakeqemu.ending import last_steps

        self._out += last_steps(self, code, stderr, signum=signum, clean=clean, linger=linger)

    def _check(self) -> None:
        if self.line.output is not None:
            return

        def known(kind: str, name: str) -> bool:
            return name in self.profile.names(kind)

        self.line.check_machine(known)
        self.line.check_properties(lambda: self.profile)
        self.line.check_references()
        real = self.script is None or self.word("images") == "real"
        if self._host is not None and real and (self.line.blockdevs or self.line.drives):
            self._check_disks(self._host)

    def _check_disks(self, host: Host) -> None:
        from fakeqemu.block.glance import plain

        if not plain(self.line, host):
            from fakeqemu.block.beginning import refusal

            reason = refusal(self)
            if reason is not None:
                raise ArgvError(reason)

    def _take(self) -> list[Step]:
        out, self._out = self._out, []
        if self._after:
            out += self._after
            self._after = []
        return out


#: Steps whose name, a character device, goes without saying.
_CHARDEV_STEPS = ("bind", "listen", "accept", "greeting", "eof")


def _nothing(_reason: str) -> None:
    """A step that fails and has no failure of its own is left out."""


_NOWHERE = Host()
