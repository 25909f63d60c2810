"""``-device`` for controllers; those that the board brings along are left out."""

from __future__ import annotations

from typing import Any

from virtsim.errors import ConfigUnsupported
from virtsim.model.devices import Controller
from virtsim.qemu.argv._options import Build, device, place

__all__ = ["bus_names", "controllers", "hubs"]

_USB = {
    "piix3-uhci": "piix3-usb-uhci",
    "piix4-uhci": "piix4-usb-uhci",
    "ehci": "usb-ehci",
    "ich9-ehci1": "ich9-usb-ehci1",
    "ich9-uhci1": "ich9-usb-uhci1",
    "ich9-uhci2": "ich9-usb-uhci2",
    "ich9-uhci3": "ich9-usb-uhci3",
    "pci-ohci": "pci-ohci",
    "nec-xhci": "nec-usb-xhci",
    "qemu-xhci": "qemu-xhci",
}
_SCSI = {
    "virtio-scsi": "virtio-scsi-pci",
    "lsilogic": "lsi",
    "lsisas1068": "mptsas1068",
    "lsisas1078": "megasas",
    "vmpvscsi": "pvscsi",
    "am53c974": "am53c974",
    "dc390": "dc-390",
    "virtio-transitional": "virtio-scsi-pci-transitional",
    "virtio-non-transitional": "virtio-scsi-pci-non-transitional",
}
#: libvirt's order on the command line: bridges first, so that there are buses to plug into.
_ORDER = ("pci", "usb", "scsi", "ide", "sata", "virtio-serial", "ccid")


def bus_names(controllers: tuple[Controller, ...]) -> dict[int, str]:
    """PCI bus number -> QEMU's name of the bus."""
    names = {c.index or 0: c.alias or "" for c in controllers if c.type == "pci"}
    root = next((c for c in controllers if c.type == "pci" and not c.index), None)
    names[0] = "pcie.0" if root is not None and root.model == "pcie-root" else "pci.0"
    return names


def controllers(build: Build) -> list[str]:
    """All of them, by type and index."""
    argv: list[str] = []
    express = build.buses.get(0) == "pcie.0"
    for kind in _ORDER:
        for found in build.domain.devices.controllers:
            if found.type == kind and not _builtin(found, express=express):
                argv += _one(build, found)
    return argv


def hubs(build: Build) -> list[str]:
    """USB hubs."""
    argv: list[str] = []
    for hub in build.domain.devices.hubs:
        argv += device("-device", driver="usb-hub", id=hub.alias, **place(build, hub.address))
    return argv


def _builtin(c: Controller, *, express: bool) -> bool:
    if c.index:
        return False
    return c.type == "pci" or (c.type == "sata" and express) or (c.type == "ide" and not express)


def _one(build: Build, c: Controller) -> list[str]:
    at = place(build, c.address)
    if c.type == "pci":
        return _bridge(c, at)
    if c.type == "usb":
        return [] if c.model == "none" else _usb(c, at)
    if c.type == "scsi":
        driver = _SCSI.get(c.model or "lsilogic")
        if driver is None:
            raise ConfigUnsupported(f"SCSI controller model '{c.model}' is not supported")
        thread = None if c.iothread is None else f"iothread{c.iothread}"
        return device("-device", driver=driver, iothread=thread, id=c.alias, num__queues=c.queues, **at)
    if c.type == "virtio-serial":
        suffix = f"-{c.model.removeprefix('virtio-')}" if c.model else ""
        driver = f"virtio-serial-pci{suffix}"
        return device("-device", driver=driver, id=c.alias, max__ports=c.ports, vectors=c.vectors, **at)
    if c.type in ("sata", "ccid"):
        return device("-device", driver="ahci" if c.type == "sata" else "usb-ccid", id=c.alias, **at)
    raise ConfigUnsupported("Only a single IDE controller is supported for this machine type")


def _usb(c: Controller, at: dict[str, Any]) -> list[str]:
    driver = _USB.get(c.model or "")
    if driver is None:
        raise ConfigUnsupported(f"USB controller model '{c.model}' is not supported")
    if c.master is not None:
        bus = f"usb{c.index}.0" if c.index else "usb.0"
        return device("-device", driver=driver, masterbus=bus, firstport=c.master, **at)
    return device("-device", driver=driver, p2=c.ports, p3=c.ports, id=c.alias, **at)


def _bridge(c: Controller, at: dict[str, Any]) -> list[str]:
    driver = c.pci_model
    if c.model == "pcie-root-port":
        hotplug = {} if c.hotplug is None else {"hotplug": c.hotplug}
        return device("-device", driver=driver, port=c.port, chassis=c.chassis, id=c.alias, **hotplug, **at)
    if c.model == "pci-bridge":
        return device("-device", driver=driver, chassis__nr=c.chassis_nr, id=c.alias, **at)
    if c.model == "pcie-switch-downstream-port":
        return device("-device", driver=driver, port=c.port, chassis=c.chassis, id=c.alias, **at)
    if c.model in ("pcie-to-pci-bridge", "dmi-to-pci-bridge", "pcie-switch-upstream-port"):
        return device("-device", driver=driver, id=c.alias, **at)
    raise ConfigUnsupported(f"PCI controller model '{c.model}' is not supported")
