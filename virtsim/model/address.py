"""Where a device sits: ``<address>`` on the PCI, drive, USB, virtio-serial, CCID and ISA buses."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import HEX2, HEX4, ONOFF, TEXT, UINT, hexadecimal
from virtsim.model._fields import Variants, at

__all__ = [
    "ADDRESS",
    "Address",
    "CcidAddress",
    "DriveAddress",
    "IsaAddress",
    "PciAddress",
    "UnassignedAddress",
    "UsbAddress",
    "VirtioSerialAddress",
]


@dataclass(frozen=True, slots=True)
class PciAddress:
    """A PCI or PCI Express slot; ``bus`` is the index of the controller."""

    domain: int = at("@domain", HEX4, 0)
    bus: int = at("@bus", HEX2, 0)
    slot: int = at("@slot", HEX2, 0)
    function: int = at("@function", hexadecimal(1), 0)
    multifunction: bool | None = at("@multifunction", ONOFF)


@dataclass(frozen=True, slots=True)
class DriveAddress:
    """A place on an IDE, SATA, SCSI or floppy controller."""

    controller: int = at("@controller", UINT, 0)
    bus: int = at("@bus", UINT, 0)
    target: int = at("@target", UINT, 0)
    unit: int = at("@unit", UINT, 0)


@dataclass(frozen=True, slots=True)
class UsbAddress:
    """A port of a USB bus, dotted where hubs are in between."""

    bus: int = at("@bus", UINT, 0)
    port: str | None = at("@port", TEXT)


@dataclass(frozen=True, slots=True)
class VirtioSerialAddress:
    """A port of a virtio-serial controller."""

    controller: int = at("@controller", UINT, 0)
    bus: int = at("@bus", UINT, 0)
    port: int = at("@port", UINT, 0)


@dataclass(frozen=True, slots=True)
class CcidAddress:
    """A slot of a smart card reader."""

    controller: int = at("@controller", UINT, 0)
    slot: int = at("@slot", UINT, 0)


@dataclass(frozen=True, slots=True)
class IsaAddress:
    """Ports and interrupt of an ISA device."""

    iobase: int | None = at("@iobase", hexadecimal(1))
    irq: int | None = at("@irq", hexadecimal(1))


@dataclass(frozen=True, slots=True)
class UnassignedAddress:
    """A host device that the guest is not given."""


Address = (
    PciAddress
    | DriveAddress
    | UsbAddress
    | VirtioSerialAddress
    | CcidAddress
    | IsaAddress
    | UnassignedAddress
)

ADDRESS = Variants(
    "type",
    {
        "pci": PciAddress,
        "drive": DriveAddress,
        "usb": UsbAddress,
        "virtio-serial": VirtioSerialAddress,
        "ccid": CcidAddress,
        "isa": IsaAddress,
        "unassigned": UnassignedAddress,
    },
)
