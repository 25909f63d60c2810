"""How a character device is opened while the machine runs, and reconnected.

Knows qemu_chr_new_from_opts() and chardev/char-socket.c of QEMU 7.2: what is checked, in which words it is
refused. Must not know who uses a character device.
"""

from __future__ import annotations

from fakeqemu.actions import (
    Accept,
    Adopt,
    Close,
    CloseFd,
    CloseListener,
    Connect,
    Listen,
    OpenPty,
    Stderr,
    Unlink,
)
from fakeqemu.channel import Acceptor
from fakeqemu.chardevs.backend import Backend
from fakeqemu.chardevs.table import chardevs_of
from fakeqemu.registry import CommandError, Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.channel import Channel
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["MODULES", "Change", "add", "close", "connect", "connected", "failed", "reconnect"]

SECOND_NS = 1_000_000_000
#: Back ends that are in modules, with what else is in the same.
MODULES = {
    "braille": ("braille",),
    "dbus": ("dbus",),
    "spiceport": ("spiceport", "spicevmc"),
    "spicevmc": ("spiceport", "spicevmc"),
}
#: Where a file's name stands, of the back ends that open one.
_PATHS = {"file": "out", "pipe": "device", "serial": "device", "parallel": "device"}


class _Server(Acceptor):
    """Takes the clients of a socket that was added."""

    __slots__ = ("backend", "change", "given", "reply")

    def __init__(self, backend: Backend, change: Change, reply: Deferred, given: str = "") -> None:
        self.backend, self.change, self.reply = backend, change, reply
        #: The name under which a monitor was given the descriptor.
        self.given = given

    def accepted(self, machine: FakeQemu, conn: int) -> Channel | None:
        """A client is there."""
        del machine
        self.backend.conn = conn
        return self.backend

    def refused(self, machine: FakeQemu, reason: str) -> None:
        """The listener could not be opened."""
        if self.given:
            machine.do(0, CloseFd(self.backend.options["fd"]))
            reason = f"File descriptor '{self.given}' is not a socket"
        self.change.undo(machine, self.backend)
        self.reply.fail(self.change.failure(self.backend.id, reason))


class Change:
    """What becomes of a character device that cannot be opened: nothing, or the one before stays.

    Attributes:
        old: the one whose place it takes (``chardev-change``), or None (``chardev-add``).
    """

    __slots__ = ("old",)

    def __init__(self, old: Backend | None = None) -> None:
        self.old = old

    def failure(self, ident: str, reason: str) -> CommandError:
        """The error, in QEMU's words for either command."""
        return CommandError(
            "GenericError", reason if self.old else f"Failed to add chardev '{ident}': {reason}"
        )

    def undo(self, machine: FakeQemu, backend: Backend) -> None:
        """Take it out again."""
        table = chardevs_of(machine)
        if self.old is not None:
            table.all[backend.id] = self.old
        else:
            table.all.pop(backend.id, None)

    def done(self, machine: FakeQemu, backend: Backend) -> None:
        """It is open: what was before it goes."""
        old, names = self.old, chardevs_of(machine).names
        names.remove(backend.id)
        names.insert(backend.id)
        if old is not None:
            backend.front, old.front = old.front, None
            if backend.front is not None:
                backend.front.backend = backend
            close(machine, old)


def add(
    machine: FakeQemu, session: Session, ident: str, backend: dict[str, Any], old: Backend | None = None
) -> Any:
    """Open a character device.

    Args:
        machine: the machine.
        session: whose descriptors a socket by descriptor may be.
        ident: its id, which is free.
        backend: the ``backend`` of ``chardev-add``.
        old: the one whose place it takes, if any.

    Returns:
        The value of the reply, or a `Deferred`.

    Raises:
        CommandError: QEMU would refuse it.
    """
    kind, data, change = backend["type"], dict(backend["data"]), Change(old)
    if kind in MODULES:
        machine.parts.setdefault("modules", set()).update(MODULES[kind])
    log = data.get("logfile")
    if log is not None:
        reason = machine.host.write(log, b"", truncate=not data.get("logappend"))
        if reason is not None:
            raise change.failure(ident, f"Could not create '{log}': {reason}")
    made = Backend(ident, kind, _flat(data), extra=True)
    if kind == "socket":
        return _add_socket(machine, session, made, change)
    reason = _refusal(machine, made, data)
    if reason is not None:
        raise change.failure(ident, reason)
    chardevs_of(machine).all[ident] = made
    change.done(machine, made)
    if kind != "pty":
        return {}
    reply = Deferred()
    machine.do(0, OpenPty(ident))

    def opened() -> None:
        if not made.name:
            from fakeqemu.frontends import terminal

            made.name = terminal(machine, ident)
        reply.resolve({"pty": made.name})

    machine.later(0, opened)
    return reply


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    """The options of a back end without the wrapping of an address."""
    flat = {name: value for name, value in data.items() if name != "addr"}
    address = data.get("addr")
    if address is not None:
        inner = address["data"]
        flat |= {"fd": inner["str"]} if address["type"] == "fd" else inner
        flat.setdefault("server", True)
        flat["type"] = address["type"]
    return flat


#: Back ends that cannot be had, and why.
_NEVER = {
    "console": "'console' is not a valid char driver name", "spicevmc": "spice not enabled",
    "spiceport": "spice not enabled", "braille": "brlapi__openConnection: connect: No such file or directory",
}  # fmt: skip


def _refusal(machine: FakeQemu, made: Backend, data: dict[str, Any]) -> str | None:
    """Why a back end cannot be opened, in QEMU's words; None when it can."""
    kind = made.kind
    table = chardevs_of(machine)
    if kind in ("ringbuf", "memory"):
        size = data.get("size", 65536)
        return "size of ringbuf chardev must be power of two" if size <= 0 or size & (size - 1) else None
    if kind == "mux" and data["chardev"] not in table.all:
        return f"mux: base chardev {data['chardev']} not found"
    if kind == "stdio" and any(backend.kind == "stdio" for backend in table.all.values()):
        return "cannot use stdio by multiple character devices"
    if kind in _NEVER:
        if kind == "spicevmc" and data.get("type") not in ("vdagent", "smartcard", "usbredir"):
            return f"unsupported type name: {data.get('type')}"
        return _NEVER[kind]
    return _unopened(machine, kind, data) if kind in _PATHS else None


def _unopened(machine: FakeQemu, kind: str, data: dict[str, Any]) -> str | None:
    for key in (_PATHS[kind], "in"):
        path = data.get(key)
        if path is None:
            continue
        if key == "out":
            reason = machine.host.write(path, b"", truncate=not data.get("append"))
        else:
            reason = machine.host.file_error(path)
        if reason is not None:
            return f"Could not open '{path}': {reason}"
    return None


def _contradiction(made: Backend) -> str | None:
    """What does not go together among a socket's options."""
    options = made.options
    if made.server and options.get("reconnect"):
        return "'reconnect' option is incompatible with socket in server listen mode"
    if not made.server and "wait" in options:
        return "'wait' option is incompatible with socket in client connect mode"
    if options.get("tls-creds"):
        return f"No TLS credentials with id '{options['tls-creds']}'"
    if options.get("tls-authz"):
        return "'tls_authz' option requires 'tls_creds' option"
    # What a host without the vsock module says.
    return "Failed to create socket: Address family not supported" if options["type"] == "vsock" else None


def _add_socket(machine: FakeQemu, session: Session, made: Backend, change: Change) -> Any:
    options, ident = made.options, made.id
    reason = _contradiction(made)
    if reason is not None:
        raise change.failure(ident, reason)
    reply = Deferred()
    given = ""
    if options["type"] == "fd":
        from fakeqemu.descriptors import descriptors_of

        try:
            given = options["fd"]
            fd = descriptors_of(machine).take(session, given)
        except CommandError as error:
            raise change.failure(ident, error.desc) from None
        options["fd"] = fd
    chardevs_of(machine).all[ident] = made
    if made.server:
        machine.acceptors[ident] = _Server(made, change, reply, given)
        if change.old is not None and change.old.server:  # both have the same name
            close(machine, change.old)
            machine.acceptors[ident] = _Server(made, change, reply, given)
        path = options.get("path")
        machine.do(0, Listen(ident, path=path, fd=options.get("fd"), address=_address(options)))
        machine.do(0, Accept(ident))
        machine.later(0, lambda: _listens(machine, made, change, reply))
        return reply
    if options.get("reconnect"):
        change.done(machine, made)
        connect(machine, made)
        return {}
    options["reply"], options["change"] = reply, change
    connect(machine, made)
    return reply


def _listens(machine: FakeQemu, made: Backend, change: Change, reply: Deferred) -> None:
    if made.id in machine.acceptors and chardevs_of(machine).find(made.id) is made:
        change.done(machine, made)
        reply.resolve({})


def _address(options: dict[str, Any]) -> tuple[str, int] | None:
    if options.get("host") is None and options.get("port") is None:
        return None
    port = str(options.get("port") or "0")
    return str(options.get("host") or ""), int(port) if port.isdigit() else 0


def connect(machine: FakeQemu, backend: Backend) -> None:
    """Connect a socket that is a client: to its address, or to the descriptor that it was given."""
    options = backend.options
    machine.open_channel(backend)
    if options.get("fd") is not None:
        machine.do(0, Adopt(backend.conn, options["fd"], reading=True))
    else:
        machine.do(0, Connect(backend.conn, options.get("path") or _address(options) or ""))


def connected(machine: FakeQemu, backend: Backend) -> None:
    """A connection that was asked for is there."""
    reply, change = backend.options.pop("reply", None), backend.options.pop("change", None)
    if reply is not None:
        change.done(machine, backend)
        reply.resolve({})


def failed(machine: FakeQemu, backend: Backend, reason: str) -> None:
    """A socket could not be connected: try again later, refuse the command, or end the start."""
    options = backend.options
    address = options.get("path") or ":".join(map(str, _address(options) or ()))
    reason = f"Failed to connect to '{address}': {reason}"
    reply, change = options.pop("reply", None), options.pop("change", None)
    if options.get("reconnect"):
        if not options.get("complained"):
            options["complained"] = True
            text = f"Unable to connect character device {backend.id}: {reason}"
            machine.do(0, Stderr(f"{machine.line.program}: {text}\n"))
        reconnect(machine, backend)
    elif reply is not None:
        change.undo(machine, backend)
        reply.fail(change.failure(backend.id, reason))


def reconnect(machine: FakeQemu, backend: Backend) -> None:
    """Connect again after the seconds that were asked for, as long as the character device is there."""

    def again() -> None:
        if chardevs_of(machine).find(backend.id) is backend and not backend.conn:
            connect(machine, backend)

    machine.later(int(backend.options["reconnect"]) * SECOND_NS, again)


def close(machine: FakeQemu, backend: Backend) -> None:
    """Take a character device apart: its client goes, and its socket file with it."""
    if backend.conn:
        machine.do(0, Close(backend.conn))
        machine.channels.pop(backend.conn, None)
        machine.conns.pop(backend.conn, None)
        backend.conn = 0
    if backend.server:
        machine.acceptors.pop(backend.id, None)
        machine.listeners = [chardev for chardev in machine.listeners if chardev.id != backend.id]
        machine.do(0, CloseListener(backend.id))
        if backend.options.get("path"):
            machine.do(0, Unlink(backend.options["path"]))
