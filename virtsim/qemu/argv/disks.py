"""``-blockdev`` and ``-device`` for disks, CD-ROMs and floppies."""

from __future__ import annotations

from typing import Any

from virtsim.errors import ConfigUnsupported
from virtsim.model.address import DriveAddress
from virtsim.model.devices import Disk
from virtsim.qemu.aliases import is_lsi
from virtsim.qemu.argv._options import Build, device, place

__all__ = ["disks"]

_FORMATS = frozenset(
    {"raw", "qcow2", "qcow", "qed", "vdi", "vmdk", "vpc", "vhdx", "luks", "bochs", "cloop", "dmg"}
)
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
    if build.buses.get(0) == "pcie.0" and any(disk.target_bus == "fdc" for disk in found):
        argv += device("-device", driver="isa-fdc", id="fdc0")  # the board has none
    for number, disk in enumerate(found):
        node = None
        if _source(disk) is not None:
            node = f"libvirt-{len(found) - number}-format"
            argv += _nodes(disk, len(found) - number)
            if disk.copy_on_read:
                argv += device(
                    "-blockdev",
                    driver="copy-on-read",
                    node_name=f"libvirt-CoR-{disk.target_dev}",
                    file=node,
                    discard="unmap",
                )
                node = f"libvirt-CoR-{disk.target_dev}"
        argv += _frontend(build, disk, node)
    return argv


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
        raise ConfigUnsupported(f"unknown driver format value '{kind}'")
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
    """``-device`` of a disk, in libvirt's order: driver, place, drive, name, what is common to all."""
    where = _where(build, disk)
    share = {"share_rw": True} if disk.shareable and disk.target_bus in ("virtio", "scsi", "usb") else {}
    drive = {} if node is None else {"drive": node}
    return device(
        "-device",
        **where,
        **share,
        **drive,
        id=disk.alias,
        bootindex=build.boot.get(disk.alias or ""),
        removable=bool(disk.removable) if disk.target_bus == "usb" else None,
        write_cache=None if node is None or disk.target_bus == "fdc" else _write_cache(disk),
        serial=disk.serial,
        werror=disk.error_policy,
        rerror=disk.rerror_policy,
    )


def _where(build: Build, disk: Disk) -> dict[str, Any]:
    """The driver and the place of a disk."""
    at = disk.address
    if disk.target_bus == "virtio":
        thread = {} if disk.iothread is None else {"iothread": f"iothread{disk.iothread}"}
        queues = {} if disk.queues is None else {"num_queues": disk.queues}
        return {"driver": _VIRTIO[disk.model]} | thread | queues | place(build, at)
    if disk.target_bus == "usb":
        return {"driver": "usb-storage"} | place(build, at)
    if isinstance(at, DriveAddress) and disk.target_bus == "scsi":
        return _on_scsi(build, disk, at)
    if isinstance(at, DriveAddress) and disk.target_bus in ("fdc", "ide", "sata"):
        return _on_board(disk, at, express=build.buses.get(0) == "pcie.0")
    raise ConfigUnsupported(f"disk bus '{disk.target_bus}' is not supported")


def _on_board(disk: Disk, at: DriveAddress, *, express: bool) -> dict[str, Any]:
    if disk.target_bus == "fdc":
        return {"driver": "floppy", "unit": at.unit} | ({"bus": "fdc0.0"} if express else {})
    driver = "ide-cd" if disk.device == "cdrom" else "ide-hd"
    if disk.target_bus == "ide":
        return {"driver": driver, "bus": f"ide.{at.bus}", "unit": at.unit}
    name = "ide" if not at.controller and express else f"sata{at.controller}"
    return {"driver": driver, "bus": f"{name}.{at.unit}"}


def _on_scsi(build: Build, disk: Disk, at: DriveAddress) -> dict[str, Any]:
    driver = {"cdrom": "scsi-cd", "lun": "scsi-block"}.get(disk.device, "scsi-hd")
    found: dict[str, Any] = {"driver": driver, "bus": f"scsi{at.controller}.0"}
    if is_lsi(build.domain.devices, at.controller):
        found["scsi_id"] = at.unit
    else:
        found |= {"channel": at.bus, "scsi_id": at.target, "lun": at.unit}
    return found | ({"device__id": f"drive-{disk.alias}"} if disk.device != "lun" else {})
