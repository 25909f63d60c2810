"""A migration away from here: its states, and what it writes.

Knows migration/migration.c of QEMU 7.2, source side. Must not know the other end's business
(`fakeqemu.migration.incoming`), nor how far memory has come (`fakeqemu.migration.passes`), nor how a
connection is made.
"""

from __future__ import annotations

from fakeqemu.actions import Adopt, Close, Connect, Drain, Send, Stderr
from fakeqemu.channel import Channel, close_all
from fakeqemu.migration import stream
from fakeqemu.migration.memory import DEVICES, PAGE, SECOND
from fakeqemu.migration.part import migration_of
from fakeqemu.migration.passes import WINDOW, Passes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fakeqemu.machine import FakeQemu
    from fakeqemu.migration.uri import Target

__all__ = ["OVER", "Outgoing"]

MS = 1_000_000
#: How long the thread of a migration takes to notice that it was cancelled.
CANCELLING = 20 * MS
#: Statuses from which nothing follows.
OVER = frozenset({"completed", "failed", "cancelled"})
_ENDS = ("failed", "cancelling")
#: status -> the ones that may follow.
NEXT: dict[str, tuple[str, ...]] = {
    "setup": ("active", *_ENDS),
    "active": ("pre-switchover", "postcopy-active", "completed", *_ENDS),
    "pre-switchover": ("device", *_ENDS),
    "device": ("completed", *_ENDS),
    "postcopy-active": ("postcopy-paused", "completed", *_ENDS),
    "postcopy-paused": ("postcopy-recover", "failed"),
    "postcopy-recover": ("postcopy-active", "postcopy-paused", *_ENDS),
    "cancelling": ("cancelled",),
    "completed": (),
    "failed": (),
    "cancelled": (),
}


class Outgoing(Channel):
    """One migration away from a machine.

    Attributes:
        status: as ``query-migrate`` says it.
        error: why it failed, in QEMU's words.
        passes: how far memory has come.
        total_ns: how long it took, once it is over.
        setup_ns: how long setting up took, once it has.
        downtime_ns: how long the guest stood still, once it is over.
    """

    __slots__ = (
        "_begun_ns", "_collected", "_downtime_from", "_hopeless", "_machine", "_old_state", "_postcopy",
        "_reader", "_timer", "_waits_for", "downtime_ns", "error", "fd", "migration", "passes", "setup_ns",
        "status", "target", "total_ns",
    )  # fmt: skip

    def __init__(self, machine: FakeQemu, target: Target, fd: int | None) -> None:
        super().__init__()
        self._machine, self.target, self.fd = machine, target, fd
        self.migration = migration_of(machine)
        self.status = "setup"
        self.error: str | None = None
        self.passes = Passes(machine, self.migration)
        self.total_ns: int | None = None
        self.setup_ns: int | None = None
        self.downtime_ns = 0
        self._begun_ns = machine.now_ns
        self._downtime_from = 0
        #: The run state before the guest was stopped for the end; None while it has not been.
        self._old_state: str | None = None
        self._postcopy = False
        self._timer = 0
        #: What is written to a command's standard input.
        self._collected: bytearray | None = None
        #: Why nothing that is written will ever arrive, in QEMU's words.
        self._hopeless: str | None = None
        #: What must still be heard of before it is completed.
        self._waits_for: set[str] = set()
        self._reader = stream.Reader(header=False)

    # -- what commands ask for ------------------------------------------------------------------------------

    def begin(self) -> None:
        """Connect; the status is ``setup`` and has been announced."""
        if "multifd" in self.migration.capabilities and self.target.kind not in ("unix", "tcp"):
            self._fail(None)
            return
        if "x-colo" in self.migration.capabilities:
            self._fail("COLO is not modelled")
            return
        self._step("setup", self._connect)

    def at_once(self) -> None:
        """All of it went somewhere at once, and the guest stays: a snapshot."""
        passes = self.passes
        passes.where = "downtime"
        passes.begin()
        passes.counters.add(passes.zero, passes.normal, "downtime", number=1)
        passes.zero = passes.normal = 0
        passes.look()
        self.total_ns = self.setup_ns = 0
        self.status = "completed"

    def cancel(self) -> None:
        """Give up, if there is something to give up."""
        if "cancelling" not in NEXT[self.status]:
            return
        self.passes.halt()
        runs_on = not self.status.startswith("postcopy")
        self._enter("cancelling")
        self._hang_up()
        self._machine.later(CANCELLING, lambda: self._cancelled(runs_on=runs_on))

    def go_on(self) -> None:
        """Leave ``pre-switchover`` (migrate-continue)."""
        self._enter("device")
        self._step("device", self._send_rest)

    def start_postcopy(self) -> None:
        """Let the guest run at the other end before all of its memory is there."""
        if not self._postcopy:
            self._postcopy = True
            self._machine.afterwards(self._guarded(self._to_postcopy, "active"))

    def pause(self) -> None:
        """Break the connection of a post-copy migration on purpose (migrate-pause)."""
        self._machine.afterwards(self._guarded(self._interrupted, "postcopy-active"))

    def recover(self, target: Target, fd: int | None) -> None:
        """Connect again after an interruption."""
        self.target, self.fd = target, fd
        self._reader = stream.Reader(header=False)
        self._connect()

    def retimed(self) -> None:
        """A parameter has changed: the rest of the pass goes at another speed."""
        if self.status in ("active", "postcopy-active") and self.passes.number and not self._waits_for:
            self.passes.fold()
            self._plan()

    def elapsed_ns(self) -> int:
        """How long it has been going on, or took."""
        return self._machine.now_ns - self._begun_ns if self.total_ns is None else self.total_ns

    def mean_mbps(self) -> float:
        """Megabits a second over the whole time but the setup, state of the devices included."""
        took_ms = (self.elapsed_ns() - (self.setup_ns or 0)) // MS
        return (self.passes.counters.transferred + DEVICES) * 8 / took_ms / 1000 if took_ms else 0

    # -- the connection -------------------------------------------------------------------------------------

    def _connect(self) -> None:
        machine, target = self._machine, self.target
        if target.kind == "exec":
            self._collected = bytearray()
            if self._file() is None:
                self._hopeless = "Unable to write to command: Broken pipe"
            machine.afterwards(lambda: self.opened(machine, None))
        elif target.kind == "fd" and self.fd is not None:
            # Whether the other end can talk back is its own affair: a file cannot.
            reading = bool({"return-path", "postcopy-ram"} & self.migration.capabilities)
            machine.do(0, Adopt(machine.open_channel(self), self.fd, reading=reading))
        elif target.kind == "vsock":
            machine.afterwards(lambda: self.opened(machine, "Connection reset by peer"))
        else:
            machine.do(0, Connect(machine.open_channel(self), target.address))

    def opened(self, machine: FakeQemu, reason: str | None) -> None:
        """Connected, or not."""
        if reason is not None:
            self.conn = 0
            if self.target.kind == "fd" and self.status == "setup":  # QEMU finds out when it writes
                self._hopeless = f"Unable to write to file: {reason}"
                reason = None
            else:
                reason = f"Failed to connect to '{self.target.name}': {reason}"
        if self.status == "postcopy-paused":
            self._reopened(reason)
        elif self.status != "setup":
            self._hang_up()
        elif reason is not None:
            self._fail(reason)
        elif self._unsafe():
            self._fail(f"No TLS credentials with id '{self.migration.parameter('tls-creds')}'")
        else:
            machine.later(self.migration.memory.setup_ns, self._guarded(self._set_up, "setup"))

    def _unsafe(self) -> bool:
        """Whether TLS was asked for with credentials that there are none of."""
        creds = self.migration.parameter("tls-creds")
        if not creds or self.target.kind not in ("unix", "tcp"):
            return False
        from fakeqemu import hardware

        return creds not in hardware.registry_of(self._machine).objects

    def _reopened(self, reason: str | None) -> None:
        """A new connection for what was interrupted, or none."""
        if reason is not None:
            self._machine.do(0, Stderr(f"{self._machine.line.program}: {reason}\n"))
            return
        self._enter("postcopy-recover")
        self._machine.do(0, Send(self.conn, stream.HEADER))
        self._write(stream.RECOVER, {"left": self.passes.left})

    def received(self, machine: FakeQemu, data: bytes, fds: Sequence[int]) -> None:
        """The other end says something: that it is done, or ready to go on."""
        close_all(machine, fds)
        try:
            sections = self._reader.feed(data)
        except stream.StreamError:
            self._broken("Input/output error")
            return
        for kind, value in sections:
            if kind != stream.STATUS:
                continue
            if value == "loaded":
                self._heard("loaded")
            elif value == "recovered" and self.status == "postcopy-recover":
                self._enter("postcopy-active")
                self._plan()

    def drained(self, machine: FakeQemu) -> None:
        """All bytes have left."""
        del machine
        self._heard("drained")

    def closed(self, machine: FakeQemu) -> None:
        """The other end has gone."""
        del machine
        self.conn = 0
        self._broken("Broken pipe")

    def _broken(self, reason: str) -> None:
        if self.status in ("postcopy-active", "postcopy-recover"):
            self._interrupted()
        elif self.status not in OVER and self.status not in ("cancelling", "postcopy-paused"):
            self._fail(f"Unable to write to {self.target.channel}: {reason}")

    def _hang_up(self) -> None:
        if self.conn:
            self._machine.do(0, Close(self.conn))
            self._machine.channels.pop(self.conn, None)
            self.conn = 0

    def _write(self, kind: int, value: object) -> None:
        data = stream.section(kind, value)
        if self._collected is not None:
            self._collected += data
        elif self.conn:
            self._machine.do(0, Send(self.conn, data))

    # -- memory ---------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        """The first pass begins."""
        from fakeqemu.migration.sections import configuration

        machine = self._machine
        self.setup_ns = machine.now_ns - self._begun_ns
        if self._collected is not None:
            self._collected += stream.HEADER
        elif self.conn:
            machine.do(0, Send(self.conn, stream.HEADER))
        self._write(stream.CONFIG, configuration(machine))
        self.passes.where = self._where
        self.passes.begin()
        if "background-snapshot" in self.migration.capabilities:
            self._enter("active")
            self._snapshot()
            return
        self._describe_pass()
        self._enter("active")
        if self._hopeless is not None:
            self._fail(self._hopeless)
            return
        self._step("active", self._plan)
        if self._postcopy:
            machine.afterwards(self._guarded(self._to_postcopy, "active"))

    def _snapshot(self) -> None:
        """The guest stops for a moment only: its memory is written down as it was then, while it runs on."""
        from fakeqemu import runstate

        machine = self._machine
        self._old_state = machine.runstate
        runstate.stop(machine)
        self._write_parts()
        if self._old_state == "running":
            runstate.resume(machine)
        self.downtime_ns = self.migration.memory.downtime_ns
        self.passes.counters.syncs = 0
        machine.later(self.passes.plan(), self._guarded(self._all_sent, "active"))

    @property
    def _where(self) -> str:
        if self.status.startswith("postcopy"):
            return "postcopy"
        return "precopy" if self._machine.runstate == "running" else "downtime"

    def _look(self) -> None:
        """QEMU looks for written pages: a new pass."""
        self.passes.where = self._where
        self.passes.look()
        self._describe_pass()

    def _describe_pass(self) -> None:
        passes = self.passes
        self.migration.announce_pass(passes.number)
        runs = [["zero", passes.zero], ["normal", passes.normal]]
        self._write(stream.MEMORY, {"pass": passes.number, "runs": runs})

    def _plan(self) -> None:
        """Wake when QEMU will next look for written pages, or when all pages have gone."""
        self._timer += 1
        timer, passes = self._timer, self.passes
        passes.where = self._where
        wait = passes.plan()
        if self.status == "active":
            wait = passes.until_look(wait, self._begun_ns)
        act = self._pass_over if self.status == "active" else self._all_sent
        self._machine.later(wait, lambda: act() if timer == self._timer else None)

    def _pass_over(self) -> None:
        """The pass is over, or so near to its end that QEMU looks whether the rest is small enough."""
        passes = self.passes
        threshold = passes.threshold()
        passes.fold()
        if self._machine.now_ns - self._begun_ns < WINDOW:
            self._switch_over()
            return
        self._look()
        done = passes.left * PAGE <= threshold
        self._step(f"pass {passes.number}", self._switch_over if done else self._plan)

    # -- the end of it --------------------------------------------------------------------------------------

    def _stop_guest(self) -> None:
        machine = self._machine
        self.passes.halt()
        self._timer += 1
        self._downtime_from = machine.now_ns
        self._old_state = machine.runstate
        machine.change("finish-migrate")
        if self._old_state == "running":
            machine.emit("STOP")

    def _switch_over(self) -> None:
        """Little enough is left: the guest stops."""
        self._stop_guest()
        if "pause-before-switchover" in self.migration.capabilities:
            self._enter("pre-switchover")
        else:
            self._step("device", self._send_rest)

    def _send_rest(self) -> None:
        """The last pages and the state of the devices."""
        self._look()
        passes, memory = self.passes, self.migration.memory
        wait = passes.plan() if passes.left else 0
        wait += DEVICES * SECOND // memory.link + memory.downtime_ns
        self._machine.later(wait, self._guarded(self._all_sent, self.status))

    def _to_postcopy(self) -> None:
        """The guest goes over; the rest of its memory follows."""
        self.passes.fold()
        self._enter("postcopy-active")
        self._stop_guest()
        self._look()
        self.passes.counters.requests += 1
        self._write_parts()
        self._write(stream.RUN, {"runstate": self._old_state})
        memory = self.migration.memory
        self.downtime_ns = DEVICES * SECOND // memory.link + memory.downtime_ns
        self._plan()

    def _write_parts(self) -> None:
        from fakeqemu.migration.state import saved

        for name, value in saved(self._machine).items():
            self._write(stream.PART, {"name": name, "value": value})

    def _all_sent(self) -> None:
        """Nothing is left but to write the state down and to wait until it has left."""
        machine = self._machine
        self.passes.fold()
        postcopy = self.status == "postcopy-active"
        stays = "background-snapshot" in self.migration.capabilities
        if not postcopy and not stays:
            self._write_parts()
        self._write(stream.END, {"runstate": self._old_state})
        self._waits_for = {"drained"}
        if postcopy or "return-path" in self.migration.capabilities:
            self._waits_for.add("loaded")
        if self._collected is None:
            machine.do(0, Drain(self.conn))
        elif machine.host.write(self._file() or "", bytes(self._collected), truncate=True) is None:
            self._waits_for = {"drained"}
            machine.afterwards(lambda: self._heard("drained"))
        else:
            self._fail("Unable to write to command: Broken pipe")

    def _file(self) -> str | None:
        """The file a command writes: only ``cat >FILE`` is modelled; every other one goes away at once."""
        words = self.target.text.replace(">", " > ").split()
        return words[2] if len(words) == 3 and words[:2] == ["cat", ">"] else None

    def _heard(self, what: str) -> None:
        if what in self._waits_for and self.status not in OVER:
            self._waits_for.discard(what)
            if not self._waits_for:
                self._step("completed", self._complete)

    def _complete(self) -> None:
        machine = self._machine
        self.total_ns = machine.now_ns - self._begun_ns
        if "background-snapshot" not in self.migration.capabilities:
            if self.status != "postcopy-active":
                self.downtime_ns = machine.now_ns - self._downtime_from
            machine.change("postmigrate")
        self.migration.memory.hold_back(0)
        self._enter("completed")
        self._hang_up()

    def _interrupted(self) -> None:
        """The connection of a post-copy migration broke: it can be mended (migrate-recover)."""
        self.passes.halt()
        self._timer += 1
        self._waits_for = set()
        self._hang_up()
        self._enter("postcopy-paused")
        text = "Detected IO failure for postcopy. Migration paused."
        self._machine.do(0, Stderr(f"{self._machine.line.program}: {text}\n"))

    def _cancelled(self, *, runs_on: bool) -> None:
        self._resume(runs_on=runs_on)
        self._enter("cancelled")

    def _fail(self, error: str | None) -> None:
        """It failed, for a reason in QEMU's words or for none that it gives."""
        if self.status in OVER or self.status == "cancelling":
            return
        if "failed" not in NEXT[self.status]:
            return
        self.passes.halt()
        self.error = error
        runs_on = not self.status.startswith("postcopy")
        self._enter("failed")
        self._hang_up()
        self._resume(runs_on=runs_on)

    def _resume(self, *, runs_on: bool) -> None:
        """The guest goes on here, if it ran here when it was stopped (migration_iteration_finish)."""
        machine = self._machine
        self._timer += 1
        self.total_ns = machine.now_ns - self._begun_ns
        self.migration.memory.hold_back(0)
        if machine.runstate != "finish-migrate":
            return
        if runs_on and self._old_state == "running":
            from fakeqemu import runstate as guest

            guest.resume(machine)
        else:
            machine.change("postmigrate")

    # -- states ---------------------------------------------------------------------------------------------

    def _enter(self, status: str) -> None:
        if status not in NEXT[self.status]:
            raise RuntimeError(f"a migration does not go from {self.status} to {status}")
        self.status = status
        self.migration.announce(status)

    def _guarded(self, act: Callable[[], None], status: str) -> Callable[[], None]:
        """Do it only if the status is still this one by then."""
        return lambda: act() if self.status == status else None

    def _step(self, name: str, act: Callable[[], None]) -> None:
        """Take a step that a script may delay, leave out or let fail."""
        self._machine.at("migration", name, self._guarded(act, self.status), self._fail)
