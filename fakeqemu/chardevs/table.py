"""All character devices of a machine, and who uses them.

Knows which option of which device names a character device. Must not know how one is opened: that is
`fakeqemu.chardevs.opening`.
"""

from __future__ import annotations

from fakeqemu.chardevs.backend import Backend
from fakeqemu.glib import HashTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.cmdline.parts import Chardev
    from fakeqemu.machine import FakeQemu

__all__ = ["Chardevs", "User", "chardevs_of"]


class User:
    """A device that uses a character device.

    Attributes:
        kind: the device's model; ``serial`` for ``-serial``, ``monitor`` for a monitor.
        id: the device's id, or None.
        name: the port's name, of a virtio-serial port.
    """

    __slots__ = ("id", "kind", "name")

    def __init__(self, kind: str, ident: str | None, name: str) -> None:
        self.kind, self.id, self.name = kind, ident, name


class Chardevs:
    """The character devices by id, in order of creation.

    Attributes:
        names: the ids in the order in which QEMU walks them.
        open_ports: devices whose guest side is open (virtio-serial ports), by the id of their character
        device.
    """

    __slots__ = ("_machine", "all", "names", "open_ports")

    def __init__(self, machine: FakeQemu) -> None:
        self._machine = machine
        self.all: dict[str, Backend] = {}
        self.names = HashTable()
        self.open_ports: set[str] = set()
        terminals: dict[str, tuple[int, str]] = machine.parts.get("terminals") or {}
        for chardev in (*machine.line.chardevs.values(), *_defaults(machine)):
            backend = self.all[chardev.id] = Backend.of(chardev)
            self.names.insert(chardev.id)
            if backend.server and chardev.fd is not None:
                # A listener that was handed in is named by where it is bound.
                backend.options["path"] = machine.host.socket_path(chardev.fd)
            if backend.kind == "pty":
                from fakeqemu.frontends import terminal

                backend.name = terminal(machine, chardev.id)
            if chardev.id in terminals:
                backend.conn = terminals[chardev.id][0]
                machine.channels.setdefault(backend.conn, backend)

    def find(self, ident: str) -> Backend | None:
        """The character device of that id."""
        return self.all.get(ident)

    def users(self) -> dict[str, User]:
        """Which device uses which character device, by the latter's id."""
        machine = self._machine
        line = machine.line
        found = {monitor.chardev: User("monitor", None, "") for monitor in line.monitors}
        for position, word in enumerate(machine.argv[:-1]):
            value = machine.argv[position + 1]
            if value.startswith("chardev:") and word.lstrip("-") in ("serial", "parallel", "debugcon"):
                found[value.removeprefix("chardev:")] = User("serial", None, "")
        registry = machine.parts.get("hardware")
        for device in registry.devices() if registry is not None else line.devices:
            options: dict[str, Any] = device.options
            name = options.get("chardev")
            if isinstance(name, str):
                found[name] = User(device.kind, device.id, str(options.get("name") or ""))
        for backend in self.all.values():
            if backend.id == "parallel0" and machine.profile.arch in ("x86_64", "i386"):
                found.setdefault(backend.id, User("parallel", None, ""))
            if not backend.extra and backend.id.startswith("serial") and backend.id[6:].isdigit():
                found.setdefault(backend.id, User("serial", None, ""))
            base = backend.options.get("chardev") if backend.kind == "mux" else None
            if isinstance(base, str):
                found[base] = User("mux", backend.id, "")
        return found

    def front_open(self, ident: str, users: dict[str, User]) -> bool:
        """Whether the front end is open: a port's is when the guest has opened it."""
        user = users.get(ident)
        if user is None or user.kind == "mux":
            return False
        return user.kind != "virtserialport" or ident in self.open_ports

    def saved(self) -> Any:
        """What moves with the guest: which ports it has open."""
        return sorted(self.open_ports)

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Take over what came with the guest."""
        del machine
        if isinstance(value, list):
            self.open_ports = {name for name in value if isinstance(name, str) and name in self.all}


#: Devices and options that keep a board from getting a serial, or a parallel, port of its own (softmmu/vl.c).
_NO_SERIAL = frozenset(
    (
        "isa-serial",
        "pci-serial",
        "pci-serial-2x",
        "pci-serial-4x",
        "spapr-vty",
        "sclpconsole",
        "sclplmconsole",
    )
)


def _defaults(machine: FakeQemu) -> list[Chardev]:
    """The character devices of the ports that boards get without being asked."""
    line = machine.line
    argv = machine.argv
    if "-nodefaults" in argv or "--nodefaults" in argv or line.machine in ("none", "microvm"):
        return []
    words = {word.lstrip("-") for word in argv if word.startswith("-")}
    from fakeqemu.cmdline.parts import Chardev

    kinds = {device.kind for device in line.devices}
    found = []
    if "serial" not in words and not kinds & _NO_SERIAL:
        found.append(Chardev("serial0", "stdio" if "nographic" in words else "vc", {}))
    if (
        "parallel" not in words
        and "isa-parallel" not in kinds
        and machine.profile.arch not in ("ppc64", "s390x")
        and "nographic" not in words
    ):
        found.append(Chardev("parallel0", "vc", {}))
    return found


def chardevs_of(machine: FakeQemu) -> Chardevs:
    """The machine's character devices; made when first asked for."""
    found = machine.parts.get("chardevs")
    if found is None:
        found = machine.parts["chardevs"] = Chardevs(machine)
    chardevs: Chardevs = found
    return chardevs
