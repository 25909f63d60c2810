"""Disks: ``<disk>``, as hard disk, CD-ROM or floppy."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import ONOFF, TEXT, UINT, choice
from virtsim.model._fields import Wording, at, flag, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Disk"]

_TARGET = Wording(missing="missing target information for device", code=ErrorCode.VIR_ERR_NO_TARGET)


@dataclass(frozen=True, slots=True)
class Disk:
    """``<disk>``; its source is a file, a block device, or for a drive that is empty nothing."""

    type: str = at("@type", choice("file", "block", "dir", "network", "volume", "nvme", "vhostuser"), "file")
    device: str = at("@device", choice("disk", "lun", "cdrom", "floppy"), "disk")
    model: str | None = at("@model", choice("virtio", "virtio-transitional", "virtio-non-transitional"))
    snapshot: str | None = at("@snapshot", choice("no", "internal", "external", "manual"))
    driver_name: str | None = at("driver/@name")
    driver_type: str | None = at("driver/@type")
    cache: str | None = at(
        "driver/@cache", choice("default", "none", "writethrough", "writeback", "directsync", "unsafe")
    )
    error_policy: str | None = at(
        "driver/@error_policy", choice("default", "stop", "report", "ignore", "enospace")
    )
    rerror_policy: str | None = at("driver/@rerror_policy", choice("default", "stop", "report", "ignore"))
    io: str | None = at("driver/@io", choice("native", "threads", "io_uring"))
    copy_on_read: bool | None = at("driver/@copy_on_read", ONOFF)
    discard: str | None = at("driver/@discard", choice("unmap", "ignore"))
    iothread: int | None = at("driver/@iothread", UINT)
    detect_zeroes: str | None = at("driver/@detect_zeroes", choice("off", "on", "unmap"))
    queues: int | None = at("driver/@queues", UINT)
    source_file: str | None = at("source/@file")
    source_dev: str | None = at("source/@dev")
    source_dir: str | None = at("source/@dir")
    source_pool: str | None = at("source/@pool")
    source_volume: str | None = at("source/@volume")
    startup_policy: str | None = at("source/@startupPolicy", choice("mandatory", "requisite", "optional"))
    source_index: int | None = at("source/@index", UINT)
    target_dev: str = at("target/@dev", TEXT, "", required=True, words=_TARGET)
    target_bus: str | None = at(
        "target/@bus", choice("ide", "fdc", "scsi", "virtio", "xen", "usb", "uml", "sata", "sd")
    )
    tray: str | None = at("target/@tray", choice("closed", "open"))
    removable: bool | None = at("target/@removable", ONOFF)
    readonly: bool = flag("readonly")
    shareable: bool = flag("shareable")
    serial: str | None = at("serial")
    boot_order: int | None = at("boot/@order", UINT)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
