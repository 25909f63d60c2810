"""Demands of single device models: what each refuses to work without, in its own words.

Knows the ``realize`` functions of QEMU 7.2's hw/block, hw/net, hw/scsi, hw/virtio, hw/usb, hw/nvme as far
as managers meet them; each text was asked of the real one. Must not know the order of the checks around
them.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry

    Check: TypeAlias = Callable[[Registry, Object], None]

__all__ = ["DEMANDS"]


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def _number(thing: Object, name: str, default: int) -> int:
    from fakeqemu.hardware.checks import number, text_of

    value = thing.options.get(name)
    found = number(text_of(value)) if value is not None else None
    return default if found is None else found


def _drive(registry: Registry, thing: Object) -> None:
    del registry
    if not thing.options.get("drive"):
        raise _error("drive property not set")


def _geometry(thing: Object) -> None:
    logical, physical = (_number(thing, f"{name}_block_size", 512) for name in ("logical", "physical"))
    if logical > physical and "physical_block_size" in thing.options:
        raise _error("logical_block_size > physical_block_size not supported")
    if any(name in thing.options for name in ("cyls", "heads", "secs")):
        for name, most in (("cyls", 65535), ("heads", 255), ("secs", 255)):
            if not 1 <= _number(thing, name, 0) <= most:
                raise _error(f"{name} must be between 1 and {most}")


def _virtio_blk(registry: Registry, thing: Object) -> None:
    _drive(registry, thing)
    if "num-queues" in thing.options and _number(thing, "num-queues", 1) == 0:
        raise _error("num-queues property must be larger than 0")
    size = _number(thing, "queue-size", 256)
    if size > 1024 or size < 2 or size & (size - 1):
        raise _error(f"invalid queue-size property ({size}), must be a power of 2 (max 1024)")
    _geometry(thing)


def _scsi_disk(registry: Registry, thing: Object) -> None:
    _drive(registry, thing)
    _geometry(thing)


def _virtio_net(registry: Registry, thing: Object) -> None:
    del registry
    options = thing.options
    for name, least, most in (("rx_queue_size", 256, 1024), ("tx_queue_size", 256, 1024)):
        size = _number(thing, name, 256)
        if name in options and (size < least or size > most or size & (size - 1)):
            raise _error(f"Invalid {name} (= {size}), must be a power of 2 between {least} and {most}.")
    if "duplex" in options and options["duplex"] not in ("half", "full"):
        raise _error("'duplex' must be 'half' or 'full'")
    if _number(thing, "speed", -1) < -1:
        raise _error("'speed' must be between 0 and INT_MAX")


def _balloon(registry: Registry, thing: Object) -> None:
    from fakeqemu.hardware.balloon import balloon_of

    del thing
    if balloon_of(registry) is not None:
        raise _error("Only one balloon device is supported")


def _serial(registry: Registry, thing: Object) -> None:
    del registry
    most = _number(thing, "max_ports", 31)
    if most == 0:
        raise _error("Maximum number of serial ports not specified")


def _plan9(registry: Registry, thing: Object) -> None:
    from fakeqemu.hardware import world

    name = thing.options.get("fsdev")
    if name is None or not world.has_fsdev(registry.machine, str(name)):
        raise _error(f"9pfs device couldn't find fsdev with the id = {name if name is not None else 'NULL'}")
    tag = thing.options.get("mount_tag")
    if not tag:
        raise _error(f"fsdev with id {name} needs mount_tag arguments")
    if len(str(tag)) > 31:
        raise _error(f"mount tag '{tag}' ({len(str(tag))} bytes) is longer than maximum (31 bytes)")


def _bridge(registry: Registry, thing: Object) -> None:
    del registry
    if _number(thing, "chassis_nr", 0) == 0:
        raise _error(
            "Bridge chassis not specified. Each bridge is required to be assigned a unique chassis id > 0."
        )


def _root_port(registry: Registry, thing: Object) -> None:
    for other in registry.devices():
        same = all(_number(other, name, 0) == _number(thing, name, 0) for name in ("chassis", "slot"))
        if other.kind in _SLOTTED and same:
            raise _error("Can't add chassis slot, error -16")


_SLOTTED = ("pcie-root-port", "ioh3420", "xio3130-downstream")


def _hid(registry: Registry, thing: Object) -> None:
    del registry
    version = _number(thing, "usb_version", 2)
    if version not in (1, 2):
        raise _error(f"Invalid usb version {version} for usb hid device")


def _chardev_required(registry: Registry, thing: Object) -> None:
    del registry
    if not thing.options.get("chardev"):
        raise _error("Property chardev is required")


def _redir(registry: Registry, thing: Object) -> None:
    del registry
    if not thing.options.get("chardev"):
        raise _error("Parameter 'chardev' is missing")


def _nvme(registry: Registry, thing: Object) -> None:
    del registry
    if not thing.options.get("serial"):
        raise _error("serial property not set")


def _vfio(registry: Registry, thing: Object) -> None:
    del registry
    host = thing.options.get("host")
    if host is None and not thing.options.get("sysfsdev"):
        raise _error("No provided host device")
    raise _error(f"vfio {host}: no iommu_group found: No such file or directory")


def _vsock(registry: Registry, thing: Object) -> None:
    del registry
    if _number(thing, "guest-cid", 0) <= 2:
        raise _error("guest-cid property must be greater than 2")
    if thing.hotplugged:
        raise _error("vhost-vsock: failed to open vhost device: No such file or directory")


def _rdma(registry: Registry, thing: Object) -> None:
    del registry
    place = thing.place if isinstance(thing.place, int) else 0
    raise _error(f"Device on {place >> 3:x}.0 must be vmxnet3")


def _memdev(text: str) -> Check:
    def check(registry: Registry, thing: Object) -> None:
        del registry
        if not thing.options.get("memdev"):
            raise _error(text)

    return check


#: The first fitting prefix counts.
DEMANDS: tuple[tuple[str, Check], ...] = (
    ("virtio-blk-", _virtio_blk), ("scsi-hd", _scsi_disk), ("scsi-block", _drive),
    ("scsi-generic", _drive),
    ("usb-storage", _drive), ("virtio-net-", _virtio_net), ("virtio-balloon-", _balloon),
    ("virtio-serial-", _serial), ("virtio-9p-", _plan9), ("pci-bridge", _bridge),
    ("pcie-root-port", _root_port),
    ("ioh3420", _root_port), ("xio3130-downstream", _root_port), ("usb-tablet", _hid), ("usb-kbd", _hid),
    ("usb-mouse", _hid), ("usb-serial", _chardev_required), ("usb-braille", _chardev_required),
    ("usb-redir", _redir), ("nvme-ns", _drive), ("nvme", _nvme), ("vfio-pci", _vfio),
    ("vhost-vsock-", _vsock),
    ("pvrdma", _rdma), ("ivshmem-plain", _memdev("You must specify a 'memdev'")),
)  # fmt: skip
