"""PCI slots: which device gets which, and the bridges and root ports that this takes.

Knows the rules by which libvirt 9.0.0 assigns PCI addresses (``qemuDomainAssignPCIAddresses``), read off its
results. Must not know any other bus, nor how a device is told to QEMU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from virtsim.errors import ConfigUnsupported, InternalError, XMLError
from virtsim.model import evolve
from virtsim.model.address import PciAddress
from virtsim.model.devices import Controller, Devices

__all__ = ["assign_pci"]

#: Slots of a bus of each model: the first and the last one that a device may have.
_SLOTS: dict[str, tuple[int, int]] = {
    "pci-root": (1, 31),
    "pci-bridge": (1, 31),
    "dmi-to-pci-bridge": (0, 31),
    "pcie-root": (1, 31),
    "pcie-root-port": (0, 0),
    "pcie-to-pci-bridge": (1, 31),
    "pcie-switch-upstream-port": (0, 31),
    "pcie-switch-downstream-port": (0, 0),
}
#: Buses on which a device of a family may be put without being told to.
_PCI_BUSES = frozenset({"pci-root", "pci-bridge", "pcie-to-pci-bridge"})
_PCIE_BUSES = frozenset({"pcie-root-port", "pcie-switch-downstream-port"})
_ROOT_BUSES = frozenset({"pcie-root"})
#: libvirt's names for the devices that QEMU has for each model of PCI controller.
_MODEL_NAMES = {
    "pci-bridge": "pci-bridge",
    "dmi-to-pci-bridge": "i82801b11-bridge",
    "pcie-root-port": "pcie-root-port",
    "pcie-to-pci-bridge": "pcie-pci-bridge",
    "pcie-switch-upstream-port": "x3130-upstream",
    "pcie-switch-downstream-port": "xio3130-downstream",
}
#: Functions of the companions of one EHCI controller in its slot.
_USB_FUNCTIONS = {"ich9-ehci1": 7, "ich9-uhci1": 0, "ich9-uhci2": 1, "ich9-uhci3": 2}

#: Devices that fit on a bus whatever slots the board takes of its 31.
_FEW = 24

_ON_PCIE = frozenset({"e1000e", "igb", "vmxnet3"})
_USB_ON_PCIE = frozenset({"nec-xhci", "qemu-xhci"})


#: libvirt takes an address of zeros for one that is still to be found (``virPCIDeviceAddressIsEmpty``).
_EMPTY = PciAddress()


@dataclass(slots=True)
class _Bus:
    """A PCI bus: its model, and the functions in use of each slot (bits)."""

    model: str
    slots: dict[int, int]
    ports: set[int]


class _Pci:
    """The PCI buses of one machine while addresses are given out."""

    def __init__(self, models: list[str], *, grows: bool) -> None:
        self.buses = [_Bus(model, {}, set()) for model in models]
        self.grows = grows

    def take(self, address: PciAddress) -> None:
        """Reserve an address that the document gives.

        Raises:
            XMLError: somebody else has it, or there is no such bus or slot; libvirt's words.
        """
        text = f"{address.domain:04x}:{address.bus:02x}:{address.slot:02x}.{address.function:x}"
        while self.grows and len(self.buses) <= min(address.bus, 255):
            self._grow(_PCI_BUSES if self.buses[0].model == "pci-root" else _PCIE_BUSES)
        if address.bus >= len(self.buses):
            raise XMLError(
                f"Invalid PCI address {text}. Only PCI buses up to {len(self.buses) - 1} are available"
            )
        if address.domain:
            raise XMLError(f"Invalid PCI address {text}. Only PCI domain 0 is available")
        bus = self.buses[address.bus]
        first, last = _SLOTS.get(bus.model, (0, 31))
        if address.slot > 31:
            raise XMLError(f"Invalid PCI address slot='0x{address.slot:x}', must be <= 0x1F")
        if address.slot > last:
            raise XMLError(f"Invalid PCI address {text}. slot must be <= {last}")
        if address.slot < first:
            raise XMLError(f"Invalid PCI address {text}. slot must be >= {first}")
        if address.function > 7:
            raise XMLError(f"Invalid PCI address {text}. function must be <= 7")
        bit = 1 << address.function
        if bus.slots.get(address.slot, 0) & bit:
            raise XMLError(f"Attempted double use of PCI Address {text}")
        bus.slots[address.slot] = bus.slots.get(address.slot, 0) | bit

    def used(self, bus: int, slot: int) -> int:
        """Functions in use of a slot, as bits."""
        return self.buses[bus].slots.get(slot, 0)

    def give(self, kinds: frozenset[str], *, port: bool = False, function: int = 0) -> PciAddress:
        """The next free place on a bus of one of the models, which is added if none is left.

        Args:
            kinds: models of bus that will do.
            port: a root port, eight of which share a slot.
            function: the function to take of an empty slot.
        """
        for index, bus in enumerate(self.buses):
            if bus.model in kinds and (found := _free(bus, port=port)) is not None:
                slot, lowest = found
                bus.slots[slot] = bus.slots.get(slot, 0) | 1 << (lowest or function)
                if port:
                    bus.ports.add(slot)
                return PciAddress(bus=index, slot=slot, function=lowest or function)
        if not self.grows:
            raise InternalError("No more available PCI slots")
        self._grow(kinds)
        return self.give(kinds, port=port, function=function)

    def _grow(self, kinds: frozenset[str]) -> None:
        if self.buses[0].model == "pci-root" and kinds & _PCI_BUSES:
            added = ["pci-bridge"]
        elif kinds & _PCI_BUSES and self.buses[0].model == "pcie-root":
            added = ["pcie-root-port", "pcie-to-pci-bridge"]
        elif kinds & _PCIE_BUSES and self.buses[0].model == "pcie-root":
            added = ["pcie-root-port"]
        else:
            raise InternalError("No more available PCI slots")
        if len(self.buses) + len(added) > 256:
            raise InternalError("No more available PCI slots")
        self.buses.extend(_Bus(model, {}, set()) for model in added)


def _free(bus: _Bus, *, port: bool) -> tuple[int, int] | None:
    first, last = _SLOTS[bus.model]
    for slot in range(first, last + 1):
        used = bus.slots.get(slot, 0)
        if not used:
            return slot, 0
        if port and slot in bus.ports and used != 0xFF:
            return slot, next(function for function in range(8) if not used >> function & 1)
    return None


def assign_pci(devices: Devices) -> Devices:
    """Give a slot to every PCI device that has none, adding the controllers this takes.

    A machine whose first PCI controller is no root is left alone.

    Raises:
        XMLError: two devices have the same address, or one that does not exist.
        InternalError: no place is left.
    """
    root = next((c for c in devices.controllers if c.type == "pci" and c.index == 0), None)
    if root is None or root.model not in ("pci-root", "pcie-root"):
        return devices
    if not _fits(devices, root):
        devices = _with_bridges(devices)
    pci = _Pci(_bus_models(devices), grows=False)
    return _finished(_applied(devices, _place(devices, pci)))


def _fits(devices: Devices, root: Controller) -> bool:
    """Whether it is plain that one conventional bus is enough, so that no pass is needed to learn it."""
    if root.model != "pci-root" or sum(1 for c in devices.controllers if c.type == "pci") > 1:
        return False
    addresses = [device.address for _, _, device in _pci_devices(devices)]
    return len(addresses) <= _FEW and not any(isinstance(at, PciAddress) and at.bus for at in addresses)


def _bus_models(devices: Devices) -> list[str]:
    by_index = {c.index or 0: c.model or "" for c in devices.controllers if c.type == "pci"}
    if max(by_index) > 255:
        raise ConfigUnsupported("PCI controller index must be below 256")
    return [by_index.get(index, "pci-bridge") for index in range(max(by_index) + 1)]


def _with_bridges(devices: Devices) -> Devices:
    """The first pass: everything is placed on buses that grow, to learn how many it takes."""
    models = _bus_models(devices)
    pci = _Pci(models, grows=True)
    express = models[0] == "pcie-root"
    present = {c.index for c in devices.controllers if c.type == "pci"}
    _place(devices, pci, spare=True)
    if len(present) == 1 and len(pci.buses) > 1 and express:
        pci.give(_PCIE_BUSES)  # an empty port, so that something can be plugged in later
    added: list[Controller] = []
    for index, bus in enumerate(pci.buses):
        while index < len(pci.buses) and index not in present:
            added.append(Controller(type="pci", index=index, model=bus.model))
            present.add(index)
            _give_bridge(added[-1], pci)
    # Bridges may have asked for ports, which the loop above has not seen.
    for index in range(len(pci.buses)):
        if index not in present:
            added.append(Controller(type="pci", index=index, model=pci.buses[index].model))
            _give_bridge(added[-1], pci)
    return evolve(devices, controllers=(*devices.controllers, *added)) if added else devices


def _give_bridge(controller: Controller, pci: _Pci) -> PciAddress:
    if controller.model == "pcie-to-pci-bridge":
        return pci.give(_PCIE_BUSES)
    if controller.model in ("pcie-root-port", "dmi-to-pci-bridge"):
        return pci.give(_ROOT_BUSES, port=controller.model == "pcie-root-port")
    if controller.model == "pci-bridge":
        return pci.give(_PCI_BUSES | {"dmi-to-pci-bridge"})
    if controller.model == "pcie-switch-upstream-port":
        return pci.give(_PCIE_BUSES)
    return pci.give(frozenset({"pcie-switch-upstream-port"}))


# -- PCI: who needs a slot, in which order --------------------------------------------------------------


def _place(devices: Devices, pci: _Pci, *, spare: bool = False) -> dict[tuple[str, int], PciAddress]:
    """Addresses in libvirt's order, by family and number of the device, for those that have none.

    Args:
        devices: all of them.
        pci: the buses, which are filled.
        spare: keep a slot for a bridge that may have to come, as libvirt does while it learns how many it
            takes.
    """
    express = pci.buses[0].model == "pcie-root"
    places: dict[tuple[str, int], PciAddress] = {}
    for _, _, device in _pci_devices(devices):
        if isinstance(device.address, PciAddress) and device.address != _EMPTY:
            pci.take(device.address)
    _chipset(devices, pci, places, express=express)
    if spare and not express and any(_free(bus, port=False) for bus in pci.buses):
        pci.give(_PCI_BUSES)
    companions: dict[int, PciAddress] = {}
    for family, number, device in _pci_devices(devices):
        key = (family, number)
        if (device.address is not None and device.address != _EMPTY) or key in places:
            continue
        if family == "controllers" and device.type == "pci":
            places[key] = _give_bridge(device, pci)
        elif family == "controllers" and device.model in _USB_FUNCTIONS:
            places[key] = _give_companion(device, pci, companions)
        else:
            kinds = _PCIE_BUSES if express and _is_express(family, device) else _PCI_BUSES
            places[key] = pci.give(kinds)
    return places


def _applied(devices: Devices, places: dict[tuple[str, int], PciAddress]) -> Devices:
    """The devices with their places."""
    changes: dict[str, Any] = {}
    for (family, number), address in places.items():
        changes.setdefault(family, {})[number] = address
    for family, found in changes.items():
        now = getattr(devices, family)
        if isinstance(now, tuple):
            changes[family] = tuple(
                evolve(item, address=found[number]) if number in found else item
                for number, item in enumerate(now)
            )
        else:
            changes[family] = evolve(now, address=found[0])
    return evolve(devices, **changes) if changes else devices


def _give_companion(device: Controller, pci: _Pci, companions: dict[int, PciAddress]) -> PciAddress:
    """Controllers of one USB bus share a slot."""
    function = _USB_FUNCTIONS[device.model or ""]
    index = device.index or 0
    if (first := companions.get(index)) is not None:
        address = evolve(first, function=function)
        if not pci.used(first.bus, first.slot) >> function & 1:
            pci.take(address)
            return address
    companions[index] = pci.give(_PCI_BUSES, function=function)
    return companions[index]


def _chipset(
    devices: Devices, pci: _Pci, places: dict[tuple[str, int], PciAddress], *, express: bool
) -> None:
    """Reserve what the board has, and the slots that some devices have by habit."""
    builtin = [(0x1F, 0), (0x1F, 3)] if express else [(1, 0), (1, 3)]
    fixed = {"sata": (0x1F, 2)} if express else {"ide": (1, 1)}
    for number, device in enumerate(devices.controllers):
        want = fixed.get(device.type) if device.index == 0 else None
        if want is None and not express and device.type == "usb" and device.model == "piix3-uhci":
            want = (1, 2) if not pci.used(0, 1) & 4 else None
        if want is not None and device.address is None:
            places["controllers", number] = address = PciAddress(slot=want[0], function=want[1])
            pci.take(address)
    for slot, function in builtin:
        pci.take(PciAddress(slot=slot, function=function))
    if (
        devices.videos
        and devices.videos[0].address is None
        and devices.videos[0].model not in ("none", "ramfb")
    ):
        slot = 1 if express else 2
        if pci.used(0, slot):
            kinds = _PCIE_BUSES if express and _is_express("videos", devices.videos[0]) else _PCI_BUSES
            places["videos", 0] = pci.give(kinds)
        else:
            places["videos", 0] = PciAddress(slot=slot)
            pci.take(places["videos", 0])
    if express:
        for number, sound in enumerate(devices.sounds):
            if sound.model == "ich9" and sound.address is None and not pci.used(0, 0x1B):
                places["sounds", number] = PciAddress(slot=0x1B)
                pci.take(places["sounds", number])


def _pci_devices(devices: Devices) -> Iterator[tuple[str, int, Any]]:
    """(family, number, device) of every device on PCI, in the order in which libvirt serves them."""
    for wanted in _ORDER:
        family, test = wanted
        found = getattr(devices, family)
        items = found if isinstance(found, tuple) else () if found is None else (found,)
        for number, device in enumerate(items):
            if test(device):
                yield family, number, device


def _is_other_controller(device: Controller) -> bool:
    if device.type in ("pci", "fdc", "ccid", "ide"):
        return device.type == "ide" and device.index == 0
    if device.type == "usb":
        return device.model != "none"
    return True


_ORDER: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("controllers", lambda d: d.type == "pci" and d.index != 0),
    ("interfaces", lambda d: d.model != "usb-net"),
    ("sounds", lambda d: d.model in ("es1370", "ac97", "ich6", "ich9")),
    ("controllers", _is_other_controller),
    ("disks", lambda d: d.target_bus == "virtio"),
    ("hostdevs", lambda d: d.type == "pci" and d.mode == "subsystem"),
    ("balloon", lambda d: d.model.startswith("virtio")),
    ("rngs", lambda d: d.model.startswith("virtio")),
    ("watchdogs", lambda d: d.model == "i6300esb"),
    ("videos", lambda d: d.model not in ("none", "ramfb")),
    ("inputs", lambda d: d.bus == "virtio"),
    ("serials", lambda d: d.target_type == "pci-serial"),
)


def _is_express(family: str, device: Any) -> bool:
    """Whether a machine with PCI Express puts the device on a port of its own."""
    model = getattr(device, "model", None) or ""
    if family == "interfaces":
        return model in _ON_PCIE or model == "virtio" or model.startswith("virtio-non")
    if family == "controllers":
        kind = device.type
        return (
            kind == "virtio-serial"
            or (kind == "scsi" and model in ("virtio-scsi", "virtio-non-transitional"))
            or (kind == "usb" and model in _USB_ON_PCIE)
        )
    if family == "videos":
        return bool(model == "virtio")
    if family in ("sounds", "watchdogs", "serials", "panics"):
        return False
    return not model.endswith("-transitional") or model.endswith("non-transitional")


def _finished(devices: Devices) -> Devices:
    """Options of PCI controllers that follow from their place; ``multifunction`` where a slot is shared."""
    shared: dict[tuple[int, int], int] = {}
    for _, _, device in _pci_devices(devices):
        at = device.address
        if isinstance(at, PciAddress):
            shared[at.bus, at.slot] = shared.get((at.bus, at.slot), 0) + 1
    controllers = tuple(_finish(c, shared) for c in devices.controllers)
    return devices if controllers == devices.controllers else evolve(devices, controllers=controllers)


def _finish(c: Controller, shared: dict[tuple[int, int], int]) -> Controller:
    at = c.address
    changes: dict[str, Any] = {}
    movable = c.model in _MODEL_NAMES or c.model in _USB_FUNCTIONS
    first = isinstance(at, PciAddress) and not at.function and at.multifunction is None
    if first and movable and isinstance(at, PciAddress) and shared[at.bus, at.slot] > 1:
        changes["address"] = evolve(at, multifunction=True)
    if c.type == "pci" and c.model in _MODEL_NAMES:
        if c.pci_model is None:
            changes["pci_model"] = _MODEL_NAMES[c.model]
        if c.model == "pci-bridge" and c.chassis_nr is None:
            changes["chassis_nr"] = c.index
        if c.model in ("pcie-root-port", "pcie-switch-downstream-port"):
            if c.chassis is None:
                changes["chassis"] = c.index
            if c.port is None and isinstance(at, PciAddress):
                changes["port"] = at.slot << 3 | at.function
    return evolve(c, **changes) if changes else c
