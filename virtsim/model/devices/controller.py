"""Controllers: ``<controller>`` for USB, IDE, SATA, SCSI, virtio-serial and PCI."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import ONOFF, TEXT, UINT, choice, hexadecimal
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Controller"]


@dataclass(frozen=True, slots=True)
class Controller:
    """``<controller>``; ``index`` is None until ``complete`` gives it one."""

    type: str = at(
        "@type",
        choice("ide", "fdc", "scsi", "sata", "virtio-serial", "ccid", "usb", "pci"),
        "pci",
        required=True,
    )
    index: int | None = at("@index", UINT)
    model: str | None = at("@model", TEXT)
    ports: int | None = at("@ports", UINT)
    vectors: int | None = at("@vectors", UINT)
    pci_model: str | None = at("model/@name")
    chassis_nr: int | None = at("target/@chassisNr", UINT)
    chassis: int | None = at("target/@chassis", UINT)
    port: int | None = at("target/@port", hexadecimal(1))
    busnr: int | None = at("target/@busNr", UINT)
    hotplug: bool | None = at("target/@hotplug", ONOFF)
    queues: int | None = at("driver/@queues", UINT)
    iothread: int | None = at("driver/@iothread", UINT)
    pcihole64_kib: int | None = at("pcihole64", unit="unit")
    alias: str | None = at("alias/@name")
    master: int | None = at("master/@startport", UINT)
    address: Address | None = sub("address", ADDRESS)
