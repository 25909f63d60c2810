"""Buses: which there are, which of them a device goes to, and what may come while the machine runs.

Knows softmmu/qdev-monitor.c and hw/core/bus.c of QEMU 7.2: names of buses, the order in which they are
searched (the youngest first), which take devices later. Must not know addresses on a bus: see
`fakeqemu.hardware.slots`.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry

__all__ = ["BUS_KINDS", "Bus", "fits", "made_by", "named", "room_for"]

#: Types that are buses, with what each of them is besides.
BUS_KINDS: dict[str, tuple[str, ...]] = {
    "System": (), "PCI": (), "PCIE": ("PCI",), "CXL": ("PCIE", "PCI"), "pxb-bus": ("PCI",),
    "pxb-pcie-bus": ("PCIE", "PCI"),
    "usb-bus": (), "SCSI": (), "virtio-serial-bus": (), "IDE": (), "ISA": (), "HDA": (), "i2c-bus": (),
    "ccid-bus": (), "nvme-bus": (), "floppy-bus": (), "virtio-pci-bus": ("virtio-bus",),
    "virtio-mmio-bus": ("virtio-bus",), "virtio-ccw-bus": ("virtio-bus",), "virtual-css-bus": (),
    "css-bridge": (), "spapr-vio-bus": (), "SSI": (), "sd-bus": (),
    "sdhci-bus": ("sd-bus",), "IndustryPack": (),
    "s390-pcihost": (), "s390-pcibus": (),
}  # fmt: skip
#: Buses that take devices while the machine runs (qbus_is_hotpluggable); PCI is a matter of its bridge.
_HOT = frozenset(("usb-bus", "SCSI", "virtio-serial-bus", "ccid-bus", "virtual-css-bus", "s390-pcibus"))
#: The prefix of names of buses whose owner has no id.
_PLAIN = {
    "PCI": "pci", "PCIE": "pcie", "SCSI": "scsi", "IDE": "ide", "HDA": "hda", "ISA": "isa",
}  # fmt: skip
#: Buses on which one device is all there can be.
_MOST = {"virtio-bus": 1, "ccid-bus": 1, "IDE": 2}
#: Place and type of the buses that come with a device model, as recorded, by the file of facts and the model.
_recorded: dict[tuple[str, str], list[tuple[str, str]]] = {}


class Bus:
    """A bus: where devices are.

    Attributes:
        name: as in ``bus=``.
        kind: its QOM type.
        path: canonical QOM path.
        owner: the device it belongs to; None for those of the board.
        hot: whether it takes devices while the machine runs.
        devices: who sits on it, in order of arrival.
        held: places that the board's own devices take: place -> (model, id).
    """

    __slots__ = ("below", "devices", "held", "hot", "kind", "name", "owner", "path")

    def __init__(self, name: str, kind: str, path: str, owner: Object | None, *, hot: bool) -> None:
        self.name, self.kind, self.path, self.owner, self.hot = name, kind, path, owner, hot
        self.devices: list[Object] = []
        self.held: dict[Any, tuple[str, str | None]] = {}
        #: Buses of the board's own devices on it.
        self.below: list[Bus] = []

    @property
    def full(self) -> bool:
        """Whether no device can be added."""
        most = _MOST.get(self.kind)
        return most is not None and len(self.devices) >= most


def fits(kind: str, wanted: str) -> bool:
    """Whether a bus of this type is one of the wanted type."""
    return kind == wanted or wanted in BUS_KINDS.get(kind, ())


def named(registry: Registry, name: str) -> Bus:
    """The bus that ``bus=`` names, by its name or its path of buses.

    Raises:
        CommandError: there is none.
    """
    if name == "/":
        return registry.root_bus
    wanted = name
    if name.startswith("/"):
        wanted = name.rstrip("/").rpartition("/")[2]
    head, _, tail = wanted.partition("/")
    found = next((bus for bus in _walk(registry, registry.root_bus) if bus.name == head), None)
    if found is not None and tail:
        part = tail.split("/")[0]
        owner = next((it for it in found.devices if part in (it.id, it.kind)), None)
        buses = registry.buses_of.get(owner.path, []) if owner is not None else []
        found = buses[-1] if buses else None
    if found is None:
        raise CommandError("GenericError", f"Bus '{name}' not found")
    return found


def room_for(registry: Registry, kind: str, wanted: str) -> Bus:
    """The bus to which a device goes that names none: the first with room that is found.

    Raises:
        CommandError: there is none.
    """
    fallback = None
    for bus in _walk(registry, registry.root_bus):
        if fits(bus.kind, wanted):
            if not bus.full:
                return bus
            fallback = fallback or bus
    if fallback is None:
        raise CommandError("GenericError", f"No '{wanted}' bus found for device '{kind}'")
    raise CommandError("GenericError", f"Bus '{fallback.name}' is full")


def _walk(registry: Registry, bus: Bus) -> Iterator[Bus]:
    """All buses from one on, in the order of qbus_find_recursive."""
    yield bus
    for device in reversed(bus.devices):
        for below in reversed(registry.buses_of.get(device.path, ())):
            yield from _walk(registry, below)
    for below in reversed(bus.below):
        yield from _walk(registry, below)


def made_by(registry: Registry, thing: Object) -> list[Bus]:
    """The buses that come with a device, as its kind was recorded."""
    key = (registry.facts.path or "", thing.kind)
    recorded = _recorded.get(key)
    if recorded is None:
        recorded = [
            (where, kind)
            for where, (kind, _) in registry.shapes(thing.kind).items()
            if where and kind in BUS_KINDS and (not kind.startswith("virtio-") or kind == "virtio-serial-bus")
        ]
        if len(_recorded) < 1024:
            _recorded[key] = recorded
    found: list[Bus] = []
    for where, kind in recorded:
        head, slash, last = where.rpartition("/")
        if thing.id is not None:
            name = thing.id + last[1:] if last == "x" or last.startswith("x.") else last
        else:
            prefix = _PLAIN.get(kind, kind)
            name = f"{prefix}.{registry.number_of(prefix)}"
        hot = kind in _HOT or (fits(kind, "PCI") and _bridge_is_hot(thing))
        found.append(Bus(name, kind, f"{thing.path}/{head}{slash}{name}", thing, hot=hot))
    return found


def _bridge_is_hot(thing: Object) -> bool:
    """Whether a bridge's bus takes devices later: by its own controller, or through ACPI."""
    if thing.kind in ("x3130-upstream", "pxb", "pxb-pcie"):
        return False
    if thing.kind == "pci-bridge" and thing.options.get("shpc") in (False, "off") and thing.hotplugged:
        return False
    return thing.options.get("hotplug") not in (False, "off", "false", "no")
