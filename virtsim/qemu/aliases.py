"""The names by which a running machine's devices are known to libvirt and QEMU.

Knows libvirt 9.0.0's rules for aliases (``qemuAssignDeviceAliases``). Must not know the command line.
"""

from __future__ import annotations

from typing import Any

from virtsim.model import evolve
from virtsim.model.address import DriveAddress
from virtsim.model.devices import Controller, Devices, Disk
from virtsim.qemu.addresses import target_number

__all__ = ["controller_alias", "disk_alias", "is_lsi", "with_aliases"]

_NAMES = {
    "interfaces": "net",
    "serials": "serial",
    "channels": "channel",
    "hubs": "hub",
    "inputs": "input",
    "tpms": "tpm",
    "sounds": "sound",
    "videos": "video",
    "hostdevs": "hostdev",
    "redirdevs": "redir",
    "watchdogs": "watchdog",
    "rngs": "rng",
    "panics": "panic",
}


def with_aliases(devices: Devices) -> Devices:
    """The same devices, each with its alias; an alias that the user chose (``ua-``) stays."""
    changes: dict[str, Any] = {}
    for family, name in _NAMES.items():
        found = getattr(devices, family)
        if found:
            changes[family] = tuple(_named(device, f"{name}{n}") for n, device in enumerate(found))
    if devices.disks:
        changes["disks"] = _disks(devices)
    if devices.controllers:
        express = any(c.model == "pcie-root" for c in devices.controllers)
        usb = sum(1 for c in devices.controllers if c.type == "usb")
        changes["controllers"] = tuple(
            _named(c, controller_alias(c, express=express, only_usb=usb == 1 or c.index == 0))
            for c in devices.controllers
        )
    if devices.consoles:
        changes["consoles"] = tuple(
            _named(c, "serial0" if not n and c.target_type == "serial" else f"console{n}")
            for n, c in enumerate(devices.consoles)
        )
    if devices.balloon is not None and devices.balloon.model != "none":
        changes["balloon"] = _named(devices.balloon, "balloon0")
    return evolve(devices, **changes) if changes else devices


def _named(device: Any, alias: str) -> Any:
    return device if device.alias is not None else evolve(device, alias=alias)


def _disks(devices: Devices) -> tuple[Disk, ...]:
    return tuple(_named(disk, disk_alias(disk, devices)) for disk in devices.disks)


def disk_alias(disk: Disk, devices: Devices) -> str:
    """``virtio-disk0``, ``sata0-0-1``, ``scsi0-0-0-2``: by place where the bus has places, else by target."""
    bus, at = disk.target_bus, disk.address
    if not isinstance(at, DriveAddress):
        return f"{bus}-disk{target_number(disk.target_dev)}"
    if bus == "scsi" and not is_lsi(devices, at.controller):
        return f"scsi{at.controller}-{at.bus}-{at.target}-{at.unit}"
    return f"{bus}{at.controller}-{at.bus}-{at.unit}"


def is_lsi(devices: Devices, controller: int) -> bool:
    """Whether a SCSI controller is of the old kind, whose disks have no logical unit numbers."""
    return any(
        c.type == "scsi" and c.index == controller and c.model in (None, "auto", "lsilogic")
        for c in devices.controllers
    )


def controller_alias(controller: Controller, *, express: bool, only_usb: bool) -> str:
    """``pci.3``, ``pcie.0``, ``usb``, ``ide``, ``virtio-serial0``: QEMU's own names for what it brings."""
    kind, index = controller.type, controller.index or 0
    if kind == "pci":
        return "pcie.0" if not index and express else f"pci.{index}"
    if not index and (
        (kind == "usb" and only_usb) or (kind == "ide" and not express) or (kind == "sata" and express)
    ):
        return "ide" if kind == "sata" else kind
    return f"{kind}{index}"
