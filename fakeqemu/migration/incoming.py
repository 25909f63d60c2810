"""A migration that arrives here: who listens, what is loaded, and how the guest goes on.

Knows migration/migration.c and savevm.c of QEMU 7.2, destination side. Must not know how a connection
is made.
"""

from __future__ import annotations

from fakeqemu.actions import Accept, Adopt, Close, CloseListener, Listen, Send, Stderr, Unlink
from fakeqemu.channel import Acceptor, Channel, close_all
from fakeqemu.migration import stream
from fakeqemu.migration.memory import devices_of
from fakeqemu.migration.part import migration_of
from fakeqemu.registry import CommandError, Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.migration.uri import Target

__all__ = ["Incoming", "start", "target_of"]

#: The name of the listener.
NAME = "-incoming"
#: status -> the ones that may follow.
NEXT: dict[str, tuple[str, ...]] = {
    "none": ("active",),
    "active": ("postcopy-active", "completed", "failed"),
    "postcopy-active": ("postcopy-paused", "completed", "failed"),
    "postcopy-paused": ("postcopy-recover",),
    "postcopy-recover": ("postcopy-active", "postcopy-paused"),
    "completed": (),
    "failed": (),
}


def target_of(uri: str) -> Target:
    """Where a guest is to come from.

    Raises:
        CommandError: nothing QEMU knows, in its words.
    """
    from fakeqemu.migration.uri import parse

    target = parse(uri)
    if target is None:
        raise CommandError("GenericError", f"unknown migration protocol: {uri}")
    return target


class Incoming(Channel):
    """The migration that a machine comes from.

    Attributes:
        status: as ``query-migrate`` says it; ``none`` until somebody has connected.
        listening: where it listens, for ``query-migrate``; None when it does not any more.
    """

    __slots__ = (
        "_closed",
        "_machine",
        "_parts",
        "_ran",
        "_reader",
        "_ready",
        "listening",
        "migration",
        "status",
        "target",
    )

    def __init__(self, machine: FakeQemu) -> None:
        super().__init__()
        self._machine = machine
        self.migration = migration_of(machine)
        self.status = "none"
        self.target: Target | None = None
        self.listening: list[dict[str, Any]] | None = None
        self._reader = stream.Reader()
        self._parts: list[tuple[str, Any]] = []
        self._ready: Callable[[str | None], None] | None = None
        self._closed = self._ran = False

    # -- listening ------------------------------------------------------------------------------------------

    def begin(self, target: Target, fd: int | None) -> Deferred:
        """Listen, or read a descriptor: the reply to migrate-incoming, which tells why it cannot be done.

        Raises:
            CommandError: it cannot be done, and QEMU knows at once.
        """
        machine = self._machine
        self.target = target
        self._reader = stream.Reader()
        reply = Deferred()
        if target.kind == "fd" and fd is not None:
            machine.do(0, Adopt(machine.open_channel(self), fd, reading=True))
            reply.resolve()
        elif target.kind == "exec":
            machine.afterwards(self._piped)
            reply.resolve()
        elif target.kind == "vsock":
            raise CommandError("GenericError", "Failed to create socket: Address family not supported")
        else:
            self._listen(target, reply)
        return reply

    def _listen(self, target: Target, reply: Deferred) -> None:
        machine = self._machine
        machine.acceptors[NAME] = _Door(self, reply)
        if target.kind == "unix":
            machine.do(0, Listen(NAME, path=target.text))
        else:
            machine.do(0, Listen(NAME, address=(target.host, target.port)))
        machine.do(0, Accept(NAME))
        self.listening = target.described()
        machine.later(0, reply.resolve)

    def close_door(self) -> None:
        """Listen no more; the socket's file goes."""
        machine = self._machine
        if machine.acceptors.pop(NAME, None) is not None:
            machine.do(0, CloseListener(NAME))
            if self.target is not None and self.target.kind == "unix":
                machine.do(0, Unlink(self.target.text))

    def _piped(self) -> None:
        """Take what a command prints: only ``cat FILE`` is modelled; every other one prints nothing."""
        machine = self._machine
        words = self.target.text.replace("<", " ").split() if self.target is not None else []
        data = b""
        if len(words) == 2 and words[0] == "cat":
            data = machine.host.read(words[1], 0, machine.host.length(words[1]) or 0) or b""
        self._enter("active")
        self.received(machine, data, ())
        self.closed(machine)

    # -- the connection -------------------------------------------------------------------------------------

    def opened(self, machine: FakeQemu, reason: str | None) -> None:
        """The descriptor is there, or is none."""
        del machine
        if reason is not None:
            self.conn = 0
        self.begun()
        if reason is not None:
            self._fail(stream.StreamError("Invalid argument", "Not a migration stream"))

    def begun(self) -> None:
        """Somebody is at the other end."""
        if self.status == "none":
            self._enter("active")
            self._machine.at("migration", "active", lambda: None, self._fail_by_script)

    def received(self, machine: FakeQemu, data: bytes, fds: Sequence[int]) -> None:
        """A piece of the stream."""
        close_all(machine, fds)
        if self.status in ("completed", "failed"):
            return
        try:
            for kind, value in self._reader.feed(data):
                self._take(kind, value)
                if self.status in ("completed", "failed"):
                    return
        except stream.StreamError as error:
            self._fail(error)

    def closed(self, machine: FakeQemu) -> None:
        """The other end has gone, perhaps too early."""
        del machine
        self.conn = 0
        if self._closed or self.status in ("completed", "failed", "none", "postcopy-paused"):
            return
        if self.status.startswith("postcopy"):
            self._interrupted()
        elif self._reader.begun:
            text = "check_section_footer: Read section footer failed: -5"
            self._fail(stream.StreamError("Invalid argument", text))
        else:
            self._fail(stream.StreamError("Invalid argument", "Not a migration stream"))

    def _interrupted(self) -> None:
        program = self._machine.line.program
        self._enter("postcopy-paused")
        for text in (
            "check_section_footer: Read section footer failed: -5",
            "Detected IO failure for postcopy. Migration paused.",
        ):
            self._machine.do(0, Stderr(f"{program}: {text}\n"))

    def interrupt(self) -> None:
        """Break a post-copy connection on purpose (migrate-pause on this side)."""
        self._hang_up()
        self._interrupted()

    def _hang_up(self) -> None:
        if self.conn:
            self._machine.do(0, Close(self.conn))
            self._machine.channels.pop(self.conn, None)
            self._machine.conns.pop(self.conn, None)
            self.conn = 0

    def _answer(self, value: str) -> None:
        if self.conn and self.target is not None and self.target.kind != "exec":
            self._machine.do(0, Send(self.conn, stream.section(stream.STATUS, value)))

    # -- sections -------------------------------------------------------------------------------------------

    def _take(self, kind: int, value: Any) -> None:
        from fakeqemu.migration.sections import compare

        machine = self._machine
        if kind == stream.CONFIG:
            compare(machine, value)
        elif kind == stream.PART:
            if not isinstance(value, dict) or not isinstance(value.get("name"), str):
                raise stream.StreamError("Invalid argument", "Unknown savevm section type 4")
            self._parts.append((value["name"], value.get("value")))
        elif kind == stream.RUN:
            self._load()
            self._enter("postcopy-active")
            self._go_on(value)
        elif kind == stream.RECOVER and self.status == "postcopy-paused":
            self._enter("postcopy-recover")
            self._answer("recovered")
            self._enter("postcopy-active")
        elif kind == stream.END:
            machine.at("migration", "completed", lambda: self._complete(value), self._fail_by_script)

    def _load(self) -> None:
        """Give every part what was saved of it."""
        from fakeqemu.migration.state import restored

        parts, self._parts = self._parts, []
        for name, value in parts:
            try:
                known = restored(self._machine, name, value)
            except (AttributeError, KeyError, TypeError, ValueError):
                text = f"error while loading state for instance 0x0 of device '{name}'"
                raise stream.StreamError("Invalid argument", text) from None
            if not known:
                raise stream.StreamError(
                    "Invalid argument",
                    f"Unknown savevm section or instance '{name}' 0. Make sure that your current VM setup"
                    " matches your saved VM setup, including any hotplugged devices",
                )

    def _complete(self, value: Any) -> None:
        if self.status == "active":
            try:
                self._load()
            except stream.StreamError as error:
                self._fail(error)
                return
            self._go_on(value)
        elif self.status != "postcopy-active":
            return
        self._answer("loaded")
        self._closed = True
        self.listening = None
        self._enter("completed")
        self.close_door()

    def _go_on(self, value: Any) -> None:
        """The guest goes on as it was, unless -S holds it back (process_incoming_migration_bh)."""
        machine = self._machine
        machine.watchers.append(self._runs)
        state = value.get("runstate") if isinstance(value, dict) else None
        if state != "running" and isinstance(state, str):
            machine.change(state if state in _STATES else "paused")
        elif machine.line.freeze:
            machine.change("paused")
        else:
            from fakeqemu import runstate as guest

            if machine.boot_done is None:
                machine.boot_done = machine.now_ns
            guest.resume(machine)

    def _runs(self, old: str, new: str) -> None:
        """Once it runs, a virtio-serial port says whether the guest has it open (virtio_serial_post_load)."""
        del old
        machine = self._machine
        if new != "running" or self._ran:
            return
        self._ran = True
        chardevs = machine.parts.get("chardevs")
        opened = chardevs.open_ports if chardevs is not None else ()
        for kind, ident, options in devices_of(machine):
            if kind == "virtserialport" and ident and options.get("chardev") not in opened:
                machine.afterwards(self._closed_port(ident))

    def _closed_port(self, ident: str) -> Callable[[], None]:
        return lambda: self._machine.emit("VSERPORT_CHANGE", {"open": False, "id": ident})

    # -- failure --------------------------------------------------------------------------------------------

    def _fail_by_script(self, text: str) -> None:
        self._fail(stream.StreamError("Input/output error", text))

    def _fail(self, error: stream.StreamError) -> None:
        """QEMU leaves when what comes in is no good."""
        if self.status in ("completed", "failed"):
            return
        machine = self._machine
        program = machine.line.program
        self.status = "failed"
        self.migration.announce("failed")
        lines = [*error.lines, f"load of migration failed: {error.reason}"]
        machine.exit(1, stderr="".join(f"{program}: {line}\n" for line in lines))

    def _enter(self, status: str) -> None:
        if status not in NEXT[self.status]:
            raise stream.StreamError("Invalid argument", "Unknown savevm section type 4")
        self.status = status
        self.migration.announce(status)


#: Run states in which a guest may arrive.
_STATES = frozenset({
    "debug", "guest-panicked", "internal-error", "io-error", "paused", "prelaunch", "save-vm", "shutdown",
    "suspended", "watchdog",
})  # fmt: skip


class _Door(Acceptor):
    """Takes the one client of the listener."""

    __slots__ = ("_incoming", "_reply")

    def __init__(self, incoming: Incoming, reply: Deferred) -> None:
        self._incoming, self._reply = incoming, reply

    def accepted(self, machine: FakeQemu, conn: int) -> Channel | None:
        """The other end: nobody else is let in."""
        incoming = self._incoming
        incoming.close_door()
        machine.conns.pop(conn, None)
        incoming.conn = conn
        incoming.begun()
        return incoming

    def refused(self, machine: FakeQemu, reason: str) -> None:
        """Nothing can listen there."""
        del machine
        incoming = self._incoming
        incoming.listening = None
        if incoming.migration.incoming is incoming and incoming.status == "none":
            incoming.migration.incoming = None  # it may be tried again
        self._reply.fail(CommandError("GenericError", reason))


def start(machine: FakeQemu, uri: str) -> None:
    """``-incoming URI``: an error ends the process."""
    migration = migration_of(machine)
    incoming = migration.incoming = Incoming(machine)

    def end(error: CommandError | None) -> None:
        if error is not None:
            machine.exit(1, stderr=f"{machine.line.program}: -incoming {uri}: {error.desc}")

    try:
        target = target_of(uri)
        fd: int | None = None
        if target.kind == "fd":
            if not target.text.isdigit():
                raise CommandError("GenericError", f"Invalid file descriptor number '{target.text}'")
            fd = int(target.text)
        incoming.begin(target, fd).then(lambda _value, error: end(error))
    except CommandError as error:
        end(error)
