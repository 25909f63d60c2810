"""Which device sits where: drives, USB and virtio-serial ports; PCI slots are a page of their own.

Knows the rules by which libvirt 9.0.0 assigns addresses (``qemuDomainAssignAddresses``), read off its
results. Must not know how a device is told to QEMU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from virtsim.errors import XMLError
from virtsim.model import evolve
from virtsim.model.address import DriveAddress, UsbAddress, VirtioSerialAddress
from virtsim.model.devices import Channel, Console, Controller, Devices, Hub
from virtsim.model.domain import Domain
from virtsim.qemu.pci import assign_pci

__all__ = ["assign", "drive_address", "target_number"]

#: Ports of a USB controller by model; None: what the document says, or 4
#: (``virDomainUSBAddressControllerModelToPorts``).
_USB_PORTS = {
    "piix3-uhci": 2,
    "piix4-uhci": 2,
    "ehci": 6,
    "ich9-ehci1": 6,
    "vt82c686b-uhci": 2,
    "pci-ohci": 3,
    "nec-xhci": None,
    "qemu-xhci": None,
}
#: Which devices sit on USB, by family, in the order in which libvirt serves them.
_ON_USB: dict[str, Callable[[Any], bool]] = {
    "hubs": lambda d: d.type == "usb",
    "disks": lambda d: d.target_bus == "usb",
    "controllers": lambda d: d.type == "ccid",
    "inputs": lambda d: d.bus == "usb",
    "sounds": lambda d: d.model == "usb",
    "redirdevs": lambda d: d.bus == "usb",
    "serials": lambda d: d.target_type == "usb-serial",
}
#: ``VIR_DOMAIN_USB_HUB_PORTS``.
_HUB_PORTS = 8


def assign(domain: Domain) -> Domain:
    """Give an address to every device that needs one and has none, adding the controllers and hubs it takes.

    Raises:
        XMLError: two devices have the same address, or one that does not exist.
        InternalError: no place is left.
    """
    devices = assign_pci(_usb_ports(_virtio_serial_ports(domain.devices)))
    return evolve(domain, devices=devices)


def target_number(target: str) -> int:
    """The number that a disk's name stands for: ``vda`` 0, ``sdz`` 25, ``sdaa`` 26; -1 for no such name."""
    number = -1
    prefix = next((p for p in ("ubd", "xvd", "fd", "hd", "vd", "sd") if target.startswith(p)), None)
    for letter in target[len(prefix) :].rstrip("0123456789")[:8] if prefix else "":
        if not "a" <= letter <= "z":
            return -1
        number = (number + 1) * 26 + ord(letter) - ord("a")
    return number


def drive_address(target: str, bus: str | None) -> DriveAddress | None:
    """Where a disk of that target sits: ``hdc`` is unit 0 of bus 1 of the IDE controller.

    Raises:
        XMLError: the target is not the name of a disk.
    """
    number = target_number(target)
    if number < 0:
        raise XMLError(f"Unknown disk name '{target}' and no address specified")
    if bus == "ide":
        return DriveAddress(controller=number // 4, bus=number // 2 % 2, unit=number % 2)
    if bus == "sata":
        return DriveAddress(controller=number // 6, unit=number % 6)
    if bus == "fdc":
        return DriveAddress(controller=number // 2, unit=number % 2)
    if bus == "scsi":
        return DriveAddress(controller=number // 7, unit=number % 7)
    return None


def _virtio_serial_ports(devices: Devices) -> Devices:
    """Channels of virtio: port 1 upwards of the first controller with room; consoles are left to QEMU.

    Raises:
        XMLError: two channels have the same port, or every port is taken.
    """
    taken: set[tuple[int, int]] = set()
    ends: tuple[Channel | Console, ...] = (*devices.channels, *devices.consoles)
    for device in ends:
        at = device.address
        if isinstance(at, VirtioSerialAddress):
            if (at.controller, at.port) in taken:
                raise XMLError(
                    f"virtio serial port {at.port} on controller {at.controller} is already occupied"
                )
            taken.add((at.controller, at.port))
    if all(c.address is not None or c.target_type != "virtio" for c in devices.channels):
        return devices
    controllers = [(c.index or 0, c.ports or 31) for c in devices.controllers if c.type == "virtio-serial"]
    free = ((index, port) for index, ports in controllers or [(0, 31)] for port in range(1, ports))
    filled = []
    for channel in devices.channels:
        if channel.target_type == "virtio" and channel.address is None:
            index, port = next((place for place in free if place not in taken), (-1, 0))
            if index < 0:
                raise XMLError("Unable to find a free virtio-serial port")
            at = VirtioSerialAddress(controller=index, port=port)
            channel = evolve(channel, address=at)  # noqa: PLW2901 - the placed one takes its place
        filled.append(channel)
    return evolve(devices, channels=tuple(filled))


class _Hub:
    """A USB hub, or the root hub of a bus: who is at each port."""

    def __init__(self, ports: int) -> None:
        self.ports: dict[int, _Hub | None] = {}
        self.count = ports

    def take(self, path: str, hub: _Hub | None) -> None:
        """Occupy the port of a dotted path.

        Raises:
            XMLError: it is taken or not there.
        """
        first, _, rest = path.partition(".")
        port = int(first) if first.isdigit() and len(first) < 4 else 0
        if rest and isinstance(below := self.ports.get(port), _Hub):
            below.take(rest, hub)
            return
        if rest or not 1 <= port <= self.count:
            raise XMLError(f"port {path} out of range, the USB bus has {self.count} ports")
        if port in self.ports:
            raise XMLError(f"Duplicate USB address bus 0 port {path}")
        self.ports[port] = hub

    def give(self) -> str | None:
        """The first free port, hubs below only where this one is full."""
        for port in range(1, self.count + 1):
            if port not in self.ports:
                return str(port)
        for port, below in sorted(self.ports.items()):
            if below is not None and (path := below.give()) is not None:
                return f"{port}.{path}"
        return None


def _usb_devices(devices: Devices) -> Iterator[tuple[str, int, Any]]:
    for family, test in _ON_USB.items():
        for number, device in enumerate(getattr(devices, family)):
            if test(device):
                yield family, number, device


def _usb_ports(devices: Devices) -> Devices:
    """USB devices: the first free port, behind hubs that are added where the controllers have too few ports.

    Raises:
        XMLError: two devices have the same port, or there is no USB bus at all.
    """
    waiting = [(f, n) for f, n, device in _usb_devices(devices) if device.address is None]
    if not waiting:
        return devices
    buses = {c.index or 0: _Hub(_port_count(c)) for c in reversed(devices.controllers) if _is_root_hub(c)}
    if not buses:
        raise XMLError("USB is disabled for this domain, but USB devices are present in the domain XML")
    for family, _, device in _usb_devices(devices):
        at = device.address
        if isinstance(at, UsbAddress) and at.port is not None and at.bus in buses:
            buses[at.bus].take(at.port, _Hub(_HUB_PORTS) if family == "hubs" else None)
    free = sum(bus.count - len(bus.ports) for bus in buses.values())
    missing = len(waiting) - free
    for _ in range(-(-(missing + 1) // (_HUB_PORTS - 1)) if missing > 0 else 0):
        waiting.insert(0, ("hubs", len(devices.hubs)))
        devices = evolve(devices, hubs=(*devices.hubs, Hub(type="usb")))
    changes = {family: list(getattr(devices, family)) for family, _ in waiting}
    for family, number in waiting:
        for index, bus in sorted(buses.items()):
            if (path := bus.give()) is not None:
                bus.take(path, _Hub(_HUB_PORTS) if family == "hubs" else None)
                found = changes[family]
                found[number] = evolve(found[number], address=UsbAddress(bus=index, port=path))
                break
        else:
            raise XMLError("No free USB ports")
    return evolve(devices, **{family: tuple(found) for family, found in changes.items()})


def _is_root_hub(controller: Controller) -> bool:
    return controller.type == "usb" and controller.model != "none" and controller.master is None


def _port_count(controller: Controller) -> int:
    return _USB_PORTS.get(controller.model or "", 2) or controller.ports or 4
