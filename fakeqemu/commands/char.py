"""Character devices."""

from __future__ import annotations

from fakeqemu.chardevs import Backend, chardevs_of
from fakeqemu.chardevs.opening import MODULES
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "chardev_add", "chardev_change", "chardev_remove", "chardev_send_break", "query_chardev",
    "query_chardev_backends", "query_yank",
    "ringbuf_read", "ringbuf_write", "yank",
]  # fmt: skip

#: Back ends that can be yanked while they are there (chardev/char-socket.c).
_YANKED = "socket"
#: Devices that can do with another back end while they run.
_HOTSWAP = ("isa-serial", "pci-serial", "pci-serial-2x", "pci-serial-4x", "serial")


@command("query-chardev")
def query_chardev(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The character devices: what is behind them, and whether the front end is open."""
    del session
    table = chardevs_of(machine)
    users = table.users()
    served = machine.served()
    answer = []
    # The list is built from its end, in the order of a hash table.
    for name in reversed(table.names.order()):
        backend = table.all[name]
        # Nobody tells the back end of a monitor's client.
        filename = backend.filename(connected=bool(backend.conn) or name in served)
        answer.append({"frontend-open": table.front_open(name, users), "filename": filename, "label": name})
    return answer


@command("query-chardev-backends")
def query_chardev_backends(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The back ends that there are: those of modules once something has loaded them."""
    del session
    loaded: set[str] = machine.parts.get("modules") or set()
    return [
        entry
        for entry in machine.profile.value("query-chardev-backends")
        if "*" in loaded or entry["name"] not in MODULES or entry["name"] in loaded
    ]


@command("chardev-add", takes=True)
def chardev_add(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Any:
    """Open one more."""
    ident = arguments["id"]
    if chardevs_of(machine).find(ident) is not None:
        raise CommandError("GenericError", f"Chardev with id '{ident}' already exists")
    from fakeqemu.chardevs.opening import add

    return add(machine, session, ident, arguments["backend"])


@command("chardev-remove", takes=True)
def chardev_remove(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Take one away that nobody uses."""
    del session
    table, ident = chardevs_of(machine), arguments["id"]
    backend = table.find(ident)
    if backend is None:
        raise CommandError("GenericError", f"Chardev '{ident}' not found")
    if ident in table.users() or backend.kind == "mux":
        raise CommandError("GenericError", f"Chardev '{ident}' is busy")
    _remove(machine, backend)


def _remove(machine: FakeQemu, backend: Backend) -> None:
    from fakeqemu.chardevs.opening import close

    close(machine, backend)
    table = chardevs_of(machine)
    table.all.pop(backend.id, None)
    table.names.remove(backend.id)


@command("chardev-change", takes=True)
def chardev_change(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Any:
    """Put another back end behind a front end; without a front end it is removed and added again."""
    table, ident = chardevs_of(machine), arguments["id"]
    old = table.find(ident)
    if old is None:
        raise CommandError("GenericError", f"Chardev '{ident}' does not exist")
    if old.kind == "mux":
        raise CommandError("GenericError", "Mux device hotswap not supported yet")
    user = table.users().get(ident)
    from fakeqemu.chardevs.opening import add

    if user is None:
        _remove(machine, old)
        return add(machine, session, ident, arguments["backend"])
    if user.kind not in _HOTSWAP:
        raise CommandError("GenericError", "Chardev user does not support chardev hotswap")
    return add(machine, session, ident, arguments["backend"], old)


@command("chardev-send-break", takes=True)
def chardev_send_break(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Send a break to the front end; the guest here does not mind."""
    del session
    if chardevs_of(machine).find(arguments["id"]) is None:
        raise CommandError("GenericError", f"Chardev '{arguments['id']}' not found")


def _ring(machine: FakeQemu, name: str) -> Backend:
    backend = chardevs_of(machine).find(name)
    if backend is None:
        raise CommandError("GenericError", f"Device '{name}' not found")
    if backend.kind not in ("ringbuf", "memory"):
        raise CommandError("GenericError", f"{name} is not a ringbuf device")
    return backend


@command("ringbuf-write", takes=True)
def ringbuf_write(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Write into a ring buffer."""
    del session
    ring, data = _ring(machine, arguments["device"]), arguments["data"]
    if arguments.get("format") == "base64":
        from fakeqemu.chardevs.base64 import decode

        ring.put(decode(data))
    else:
        ring.put(data.encode())


@command("ringbuf-read", takes=True)
def ringbuf_read(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> str:
    """Read from a ring buffer, and take out what was read."""
    del session
    ring = _ring(machine, arguments["device"])
    if arguments["size"] <= 0:
        raise CommandError("GenericError", "size must be greater than zero")
    data = ring.take(arguments["size"])
    if arguments.get("format") == "base64":
        from fakeqemu.chardevs.base64 import encode

        return encode(data)
    # Bytes that are no UTF-8 may get lost: QEMU says so of this format.
    return data.decode("utf-8", "replace")


@command("query-yank")
def query_yank(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """What can be yanked: the sockets among the character devices."""
    del session
    return [
        {"type": "chardev", "id": backend.id}
        for backend in chardevs_of(machine).all.values()
        if backend.kind == _YANKED
    ]


@command("yank", takes=True)
def yank(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Cut connections off; all of them are looked up first."""
    del session
    from fakeqemu.actions import Close

    table = chardevs_of(machine)
    found = []
    for instance in arguments["instances"]:
        backend = table.find(instance["id"]) if instance["type"] == "chardev" else None
        if backend is None or backend.kind != _YANKED:
            raise CommandError("DeviceNotFound", "Instance not found")
        found.append(backend)
    for backend in found:
        conns = [conn for conn, name in machine.conns.items() if name == backend.id] or [backend.conn]
        for conn in filter(None, conns):
            machine.do(0, Close(conn))
