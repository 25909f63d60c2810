"""What QEMU tells developers about its insides (x-query-...), as far as this machine has insides to tell of.

Knows how QEMU 7.2 lays these texts out. Must not know who reads them. ROMs and interrupt counts are those
that were recorded of the board before its guest ran; translated code there is none.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from fakeqemu.hardware import Registry
    from fakeqemu.hardware.objects import Object
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["x_query_virtio", "x_query_virtio_status"]

_JIT = """\
Translation buffer state:
gen code size       0/1073736704
TB count            0
TB avg target size  0 max=0 bytes
TB avg host size    0 bytes (expansion ratio: 0.0)
cross page TB count 0 (0%)
direct jump count   0 (0%) (2 jumps=0 0%)
TB hash buckets     0/8192 (0.00% head buckets used)
TB hash occupancy   0.00% avg chain occ. Histogram: [0.0,0.0)%|\u2588|[0.0,0.0]%
TB hash avg chain   nan buckets. Histogram: (empty)

Statistics:
TB flush count      0
TB invalidate count 0
TLB full flushes    0
TLB partial flushes 0
TLB elided flushes  0
[TCG profiler not compiled]
"""
_NO_TCG = "is only available with accel=tcg"
#: Speeds and names of USB devices, as they report them (hw/usb/dev-*.c).
_USB = {
    "usb-tablet": ("480", "QEMU USB Tablet"), "usb-mouse": ("480", "QEMU USB Mouse"),
    "usb-kbd": ("480", "QEMU USB Keyboard"), "usb-storage": ("480", "QEMU USB MSD"),
    "usb-bot": ("480", "QEMU USB MSD"), "usb-uas": ("480", "USB Attached SCSI HBA"),
    "usb-hub": ("12", "QEMU USB Hub"), "usb-audio": ("12", "QEMU USB Audio Interface"),
    "usb-serial": ("12", "QEMU USB Serial"), "usb-braille": ("12", "QEMU USB Braille"),
    "usb-wacom-tablet": ("12", "QEMU PenPartner Tablet"), "usb-net": ("12", "QEMU USB Network Interface"),
    "usb-ccid": ("12", "QEMU USB CCID"), "usb-mtp": ("480", "QEMU USB MTP"),
    "usb-redir": ("1.5", "USB Redirection Device"), "usb-host": ("1.5", "USB Host Device"),
    "u2f-passthru": ("12", "U2F USB key"),
}  # fmt: skip


def _text(name: str) -> Callable[[Callable[[FakeQemu], str]], Callable[[FakeQemu], str]]:
    """Register a command whose reply is a text for people."""

    def register(show: Callable[[FakeQemu], str]) -> Callable[[FakeQemu], str]:
        @command(name)
        def told(machine: FakeQemu, session: Session) -> dict[str, str]:
            del session
            return {"human-readable-text": show(machine)}

        return show

    return register


def _of_board(machine: FakeQemu, name: str) -> str:
    """A text that was recorded of this board."""
    from fakeqemu.hardware import registry_of

    registry = registry_of(machine)
    for key in (f"{name} @{registry.family}", f"{name} @none"):
        found = machine.profile.value(key)
        if found is not None:
            return str(found["human-readable-text"])
    raise CommandError("CommandNotFound", f"The command {name} has not been found")


@_text("x-query-irq")
def _irq(machine: FakeQemu) -> str:
    """Interrupts of the controllers, before the guest runs."""
    return _of_board(machine, "x-query-irq")


@_text("x-query-roms")
def _roms(machine: FakeQemu) -> str:
    """The board's ROMs."""
    return _of_board(machine, "x-query-roms")


@_text("x-query-rdma")
def _rdma(machine: FakeQemu) -> str:
    """RDMA devices: none."""
    del machine
    return ""


@_text("x-query-opcount")
def _opcount(machine: FakeQemu) -> str:
    """Counts of operations: only where they were compiled in."""
    if machine.line.accel == "kvm":
        raise CommandError("GenericError", f"Opcode count information {_NO_TCG}")
    return "[TCG profiler not compiled]\n"


@_text("x-query-jit")
def _jit(machine: FakeQemu) -> str:
    """Translated code: there is none."""
    if machine.line.accel == "kvm":
        raise CommandError("GenericError", f"JIT information {_NO_TCG}")
    return _JIT


@_text("x-query-ramblock")
def _ramblock(machine: FakeQemu) -> str:
    """RAM blocks, as migration has them."""
    from fakeqemu.human.shows import ramblock

    return ramblock(machine, {})


@_text("x-query-numa")
def _numa(machine: FakeQemu) -> str:
    """NUMA nodes, with their CPUs and memory."""
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.cpus import nodes_of
    from fakeqemu.protocol.asking import ask

    registry = registry_of(machine)
    count = nodes_of(registry)
    sizes, plugged = _memory(machine, count)
    cpus = ask(machine, "query-cpus-fast")
    text = f"{count} nodes\n"
    for node in range(count):
        own = "".join(
            f" {cpu['cpu-index']}" for cpu in cpus if cpu.get("props", {}).get("node-id", 0) == node
        )
        text += f"node {node} cpus:{own}\n"
        text += f"node {node} size: {sizes[node] >> 20} MB\nnode {node} plugged: {plugged[node] >> 20} MB\n"
    return text


def _memory(machine: FakeQemu, count: int) -> tuple[list[int], list[int]]:
    """The memory of each node, and what of it was plugged in."""
    from fakeqemu.protocol.asking import ask

    sizes, plugged = [0] * count, [0] * count
    backends = {entry.get("id"): entry["size"] for entry in ask(machine, "query-memdev")}
    node = -1
    for position, word in enumerate(machine.argv[:-1]):
        kind, *parts = machine.argv[position + 1].split(",")
        if word not in ("-numa", "--numa") or kind != "node":
            continue
        given = dict(part.partition("=")[::2] for part in parts)
        node = int(given["nodeid"]) if given.get("nodeid", "").isdigit() else node + 1
        if node < count:
            sizes[node] = backends.get(given.get("memdev"), 0)
    if count and not any(sizes):
        sizes[0] = machine.line.ram
    for device in ask(machine, "query-memory-devices"):
        data = device["data"]
        node = data.get("node", 0)
        if node < count:
            sizes[node] += data["size"]
            plugged[node] += data["size"]
    return sizes, plugged


# -- USB ----------------------------------------------------------------------------------------------------


@_text("x-query-usb")
def _usb(machine: FakeQemu) -> str:
    """USB devices, bus by bus."""
    from fakeqemu.hardware import registry_of

    registry = registry_of(machine)
    buses = [bus for bus in _buses(registry) if bus.kind == "usb-bus"]
    if not buses:
        raise CommandError("GenericError", "USB support not enabled")
    text = ""
    for number, bus in enumerate(buses):
        for device in bus.devices:
            speed, product = _USB.get(device.kind, ("12", device.kind))
            name = f", ID: {device.id}" if device.id else ""
            text += f"  Device {number}.0, Port {device.place}, Speed {speed} Mb/s, Product {product}{name}\n"
    return text


def _buses(registry: Registry) -> Iterator[Any]:
    """Every bus: those of the board, and those of devices in order of arrival."""
    waiting = [registry.root_bus]
    while waiting:
        bus = waiting.pop(0)
        yield bus
        waiting += bus.below
    for device in registry.devices():
        yield from registry.buses_of.get(device.path, ())


# -- virtio -------------------------------------------------------------------------------------------------


def _virtio(registry: Registry) -> Iterator[tuple[str, Object]]:
    """The virtio devices, last first: kind without transport, and the device."""
    for device in reversed(tuple(registry.devices())):
        shape = registry.shapes(device.kind).get("virtio-backend")
        if shape is not None:
            yield str(shape[0]).removesuffix("-device"), device


@command("x-query-virtio")
def x_query_virtio(machine: FakeQemu, session: Session) -> list[dict[str, str]]:
    """The virtio devices and where they are."""
    del session
    from fakeqemu.hardware import registry_of

    return [
        {"name": _NAMES.get(kind, kind), "path": f"{device.path}/virtio-backend"}
        for kind, device in _virtio(registry_of(machine))
    ]


#: VirtIODevice.name where it is not the type's.
_NAMES = {"virtconsole": "virtio-serial"}


def _virtio_device(machine: FakeQemu, name: str, arguments: dict[str, Any], word: str) -> None:
    """Check the path; what is behind it is not modelled."""
    from fakeqemu.hardware import registry_of

    path = arguments["path"]
    for _, device in _virtio(registry_of(machine)):
        if path == f"{device.path}/virtio-backend":
            raise CommandError("CommandNotFound", f"The command {name} has not been found")
    raise CommandError("GenericError", f"Path {path} is not a {word}")


def _of_virtio(name: str, word: str) -> None:
    @command(name, takes=True)
    def asked(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
        del session
        _virtio_device(machine, name, arguments, word)


_of_virtio("x-query-virtio-queue-status", "VirtIODevice")
_of_virtio("x-query-virtio-queue-element", "VirtIO device")


@command("x-query-virtio-status", takes=True)
def x_query_virtio_status(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """The state of a virtio device: features and queues have no model."""
    del session
    _virtio_device(machine, "x-query-virtio-status", arguments, "VirtIODevice")


@command("x-query-virtio-vhost-queue-status", takes=True)
def x_query_vhost(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """The state of a vhost queue: vhost never starts here."""
    try:
        x_query_virtio_status(machine, session, arguments)
    except CommandError as error:
        if error.kind == "CommandNotFound":
            raise CommandError("GenericError", "Error: vhost device has not started yet") from None
        raise
