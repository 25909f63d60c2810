"""``-blockdev`` and ``-device`` for disks, CD-ROMs and floppies."""

from __future__ import annotations

from typing import Any

from virtsim.errors import ConfigUnsupported
from virtsim.model.address import DriveAddress
from virtsim.model.devices import Disk
from virtsim.qemu.argv._options import Build, device, place

__all__ = ["disks"]

_FORMATS = frozenset({"raw", "qcow2", "qcow", "qed", "vdi", "vmdk", "vpc", "vhdx", "luks", "bochs", "cloop", "dmg"})
_VIRTIO = {
    None: "virtio-blk-pci",
    "virtio": "virtio-blk-pci",
    "virtio-transitional": "virtio-blk-pci-transitional",
    "virtio-non-transitional": "virtio-blk-pci-non-transitional",
}


def disks(build: Build) -> list[str]:
    """All of them; nodes are numbered from the last disk to the first, as libvirt does it."""
    argv: list[str] = []
    found = build.domain.devices.disks
    floppies: list[tuple[Disk, str | None]] = []
    for number, disk in enumerate(found):
        node = None
        if _source(disk) is not None:
            node = f"libvirt-{len(found) - number}-format"
            argv += _nodes(disk, len(found) - number)
        if disk.target_bus == "fdc":
            floppies.append((disk, node))
        else:
            argv += _frontend(build, disk, node)
    return argv + _floppies(build, floppies)


def _source(disk: Disk) -> str | None:
    if disk.type == "file":
        return disk.source_file
    if disk.type == "block":
        return disk.source_dev
    raise ConfigUnsupported(f"disk type '{disk.type}' is not supported")


def _nodes(disk: Disk, number: int) -> list[str]:
    """The storage node and the format node above it."""
    path = _source(disk)
    cache = _cache(disk)
    kind = disk.driver_type or "raw"
    if kind not in _FORMATS:
        raise ConfigUnsupported(f"unsupported disk driver type of '{kind}'")
    storage = device(
        "-blockdev",
        driver="file" if disk.type == "file" else "host_device",
        filename=path,
        aio=disk.io,
        node_name=f"libvirt-{number}-storage",
        cache=cache,
        auto_read_only=True,
        discard="unmap",
    )
    readonly = disk.readonly
    form = device(
        "-blockdev",
        node_name=f"libvirt-{number}-format",
        read_only=readonly,
        discard=disk.discard,
        detect_zeroes=disk.detect_zeroes,
        cache=cache,
        driver=kind,
        file=f"libvirt-{number}-storage",
    )
    return [*storage, *form]


class _Frozen(dict[str, Any]):
    """A dictionary that may be part of a cache's key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


#: ``-blockdev cache.*`` for each word: (direct, no-flush).
_CACHES = {
    "none": (True, False),
    "directsync": (True, False),
    "writethrough": (False, False),
    "writeback": (False, False),
    "unsafe": (False, True),
}


def _cache(disk: Disk) -> _Frozen | None:
    found = _CACHES.get(disk.cache or "default")
    return None if found is None else _Frozen({"direct": found[0], "no-flush": found[1]})


def _write_cache(disk: Disk) -> str | None:
    if disk.cache in (None, "default"):
        return None
    return "off" if disk.cache in ("writethrough", "directsync") else "on"


def _frontend(build: Build, disk: Disk, node: str | None) -> list[str]:
    boot = build.boot.get(disk.alias or "")
    common: dict[str, Any] = {
        "id": disk.alias,
        "bootindex": boot,
        "write__cache": None if node is None else _write_cache(disk),
        "serial": disk.serial,
        "rerror": disk.rerror_policy,
        "werror": disk.error_policy,
    }
    drive = {} if node is None else {"drive": node}
    if disk.target_bus == "virtio":
        thread = {"iothread": f"iothread{disk.iothread}"} if disk.iothread is not None else {}
        queues = {"num_queues": disk.queues} if disk.queues is not None else {}
        share = {"share_rw": True} if disk.shareable else {}
        return device(
            "-device", driver=_VIRTIO[disk.model], **thread, **queues, **place(build, disk.address), **share, **drive,
            **common,
        )
    at = disk.address
    cdrom = disk.device == "cdrom"
    if disk.target_bus in ("ide", "sata") and isinstance(at, DriveAddress):
        if disk.target_bus == "ide":
            where: dict[str, Any] = {"bus": f"ide.{at.bus}", "unit": at.unit}
        else:
            name = "ide" if not at.controller and build.buses.get(0) == "pcie.0" else f"sata{at.controller}"
            where = {"bus": f"{name}.{at.unit}"}
        return device("-device", driver="ide-cd" if cdrom else "ide-hd", **where, **drive, **common)
    if disk.target_bus == "scsi" and isinstance(at, DriveAddress):
        driver = "scsi-cd" if cdrom else "scsi-block" if disk.device == "lun" else "scsi-hd"
        where = {"bus": f"scsi{at.controller}.0", "channel": at.bus, "scsi_id": at.target, "lun": at.unit}
        if _is_lsi(build, at.controller):
            where = {"bus": f"scsi{at.controller}.{at.bus}", "scsi_id": at.unit}
        name = {"device__id": f"drive-{disk.alias}"} if disk.device != "lun" else {}
        return device("-device", driver=driver, **where, **name, **drive, **common)
    if disk.target_bus == "usb":
        removable = {"removable": bool(disk.removable)}
        return device("-device", driver="usb-storage", **place(build, disk.address), **drive, **common, **removable)
    raise ConfigUnsupported(f"disk bus '{disk.target_bus}' is not supported")


def _is_lsi(build: Build, controller: int) -> bool:
    return any(
        c.type == "scsi" and c.index == controller and c.model in (None, "lsilogic", "auto")
        for c in build.domain.devices.controllers
    )


def _floppies(build: Build, floppies: list[tuple[Disk, str | None]]) -> list[str]:
    argv: list[str] = []
    if floppies and build.buses.get(0) == "pcie.0":
        argv += device("-device", driver="isa-fdc", id="fdc0")
    for disk, node in floppies:
        unit = disk.address.unit if isinstance(disk.address, DriveAddress) else 0
        argv += device(
            "-device", driver="floppy", unit=unit, bus="fdc0.0" if build.buses.get(0) == "pcie.0" else "floppy-bus.0",
            drive=node, id=disk.alias, bootindex=build.boot.get(disk.alias or ""),
        )
    return argv
