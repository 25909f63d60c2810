"""Disks: what the command line attached, and their limits."""

from __future__ import annotations

from fakeqemu.model import model_of
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.parts import Device
    from fakeqemu.session import Session

__all__ = ["block_set_io_throttle", "query_block", "query_named_block_nodes"]

#: Size of a disk whose image nobody can look into.
IMAGINARY_SIZE = 20 << 30
#: What a fresh qcow2 image of 64 KiB clusters takes up.
EMPTY_QCOW2 = 200704
#: How long the file of such an image is, when nobody can look.
EMPTY_FILE = 197120
LIMITS = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")
_DISKS = ("virtio-blk-pci", "scsi-hd", "ide-hd", "usb-storage", "nvme", "virtio-blk-device")
_CDROMS = ("ide-cd", "scsi-cd")


def _flag(value: object, *, default: bool) -> bool:
    return default if value is None else value in (True, "on")


def _filename(machine: FakeQemu, node: Device) -> str:
    """The file at the bottom of a node."""
    seen: set[str | None] = set()
    while node.id not in seen:
        seen.add(node.id)
        name = node.options.get("filename")
        if isinstance(name, str):
            return name
        inline = node.options.get("file")
        if isinstance(inline, dict):
            return str(inline.get("filename", ""))
        below = machine.line.blockdevs.get(str(inline))
        if below is None:
            break
        node = below
    return (
        f'json:{{"driver": "{node.kind}"}}' if node.kind not in ("null-co", "null-aio") else f"{node.kind}://"
    )


def _image(machine: FakeQemu, node: Device, filename: str) -> dict[str, Any]:
    size = machine.host.virtual_size(filename, raw=node.kind != "qcow2")
    if size is None:
        size = EMPTY_FILE if node.kind == "file" else IMAGINARY_SIZE
    image: dict[str, Any] = {"virtual-size": size, "filename": filename}
    if node.kind == "qcow2":
        image["cluster-size"] = 65536
    image["format"] = node.kind
    image["actual-size"] = EMPTY_QCOW2
    if node.kind == "qcow2":
        data = {
            "compat": "1.1", "compression-type": "zlib", "lazy-refcounts": False, "refcount-bits": 16,
            "corrupt": False, "extended-l2": False,
        }  # fmt: skip
        image["format-specific"] = {"type": "qcow2", "data": data}
    image["dirty-flag"] = False
    return image


def _node(machine: FakeQemu, node: Device) -> dict[str, Any]:
    filename = _filename(machine, node)
    raw_cache = node.options.get("cache")
    cache: dict[str, Any] = raw_cache if isinstance(raw_cache, dict) else {}
    return {
        **dict.fromkeys(LIMITS, 0),
        "detect_zeroes": str(node.options.get("detect-zeroes", "off")),
        "image": _image(machine, node, filename),
        "ro": _flag(node.options.get("read-only"), default=False),
        "node-name": node.id,
        "backing_file_depth": 0,
        "drv": node.kind,
        "write_threshold": 0,
        "encrypted": False,
        "cache": {
            "no-flush": _flag(cache.get("no-flush"), default=False),
            "direct": _flag(cache.get("direct"), default=False),
            "writeback": True,
        },
        "file": filename,
    }


@command("query-named-block-nodes", takes=True)
def query_named_block_nodes(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> list[dict[str, Any]]:
    """The nodes of the block graph, the newest first."""
    del session, arguments
    return [_node(machine, node) for node in reversed(machine.line.blockdevs.values())]


def _qdev(device: Device) -> str:
    path = f"/machine/peripheral/{device.id}"
    return f"{path}/virtio-backend" if device.kind.startswith("virtio-blk") else str(device.id)


@command("query-block")
def query_block(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The drives as the guest sees them."""
    del session
    model, found = model_of(machine), []
    for device in machine.line.devices:
        removable = device.kind in _CDROMS
        if device.kind not in _DISKS and not removable:
            continue
        entry: dict[str, Any] = {"io-status": "ok", "device": "", "locked": False, "removable": removable}
        drive = device.options.get("drive")
        node = machine.line.blockdevs.get(str(drive))
        if node is not None:
            # Limits belong to the drive; a node of the graph has none.
            limits = model.throttle.get(str(device.id), {})
            entry["inserted"] = _node(machine, node) | limits
            if any(limits.values()):
                entry["inserted"]["group"] = _qdev(device)
        elif isinstance(drive, str):
            entry["device"] = drive
        entry["qdev"] = _qdev(device)
        if removable:
            entry["tray_open"] = False
        entry["type"] = "unknown"
        found.append(entry)
    return found


@command("block_set_io_throttle", takes=True)
def block_set_io_throttle(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Limit a disk; by the id of its device (or its old ``device`` name)."""
    del session
    model = model_of(machine)
    name = arguments.get("id") or arguments.get("device")
    if name is None:
        raise CommandError("GenericError", "Need exactly one of 'device' and 'id'")
    bare = str(name).removeprefix("/machine/peripheral/").partition("/")[0]
    device = model.device(bare)
    if device is None:
        raise CommandError("DeviceNotFound", f"Device '{name}' not found")
    behind = str(name).endswith("/virtio-backend")
    if device.kind not in (*_DISKS, *_CDROMS) or (device.kind == "virtio-blk-pci" and not behind):
        # The disk is not the PCI function but the virtio device behind it.
        raise CommandError("GenericError", "Device does not have a block device backend")
    if device.options.get("drive") is None:
        raise CommandError("GenericError", "Device has no medium")
    for total, read, write in (LIMITS[:3], LIMITS[3:]):
        if arguments[total] and (arguments[read] or arguments[write]):
            raise CommandError(
                "GenericError",
                "bps/iops/max total values and read/write values cannot be used at the same time",
            )
    model.throttle[bare] = {limit: arguments[limit] for limit in LIMITS}
