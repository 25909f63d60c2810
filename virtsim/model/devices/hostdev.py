"""Devices of the host given to the guest: ``<hostdev>`` for PCI."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import UINT, YESNO, choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address, PciAddress

__all__ = ["Hostdev"]


@dataclass(frozen=True, slots=True)
class Hostdev:
    """``<hostdev>``; ``source`` is the host's PCI address, ``address`` the guest's."""

    mode: str = at("@mode", choice("subsystem", "capabilities"), "subsystem")
    type: str = at("@type", choice("usb", "pci", "scsi", "scsi_host", "mdev"), "pci", required=True)
    managed: bool | None = at("@managed", YESNO)
    driver: str | None = at("driver/@name", choice("vfio", "kvm", "xen"))
    source: PciAddress | None = sub("source/address", PciAddress)
    boot_order: int | None = at("boot/@order", UINT)
    rom_bar: str | None = at("rom/@bar", choice("on", "off"))
    rom_file: str | None = at("rom/@file")
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
