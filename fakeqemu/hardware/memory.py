"""Memory devices: DIMMs, NVDIMMs and virtio-mem, their slots, addresses and sizes.

Knows hw/mem/{pc-dimm,memory-device}.c, hw/virtio/virtio-mem.c and the memory map of hw/i386/pc.c of QEMU
7.2. Must not know the guest's use of memory.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry

__all__ = ["check_device", "devices", "plugged_bytes", "resize", "size_of"]

GIB = 1 << 30
#: Alignment of memory devices on this host (the kernel's huge page).
_ALIGN = 0x200000
_BLOCK = 0x200000


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def is_memory(thing: Object) -> bool:
    """Whether a device is memory."""
    return thing.kind in ("pc-dimm", "nvdimm") or thing.kind.startswith(("virtio-mem", "virtio-pmem"))


def base(registry: Registry) -> int:
    """Where the room for memory devices begins."""
    ram = registry.machine.line.ram
    if registry.arch in ("x86_64", "i386"):
        if registry.family == "q35":
            low = ram if ram < 0xB0000000 else 0x80000000
        else:
            low = ram if ram < 0xE0000000 else 0xC0000000
        return (0x100000000 + ram - low + GIB - 1) // GIB * GIB
    if registry.arch == "aarch64":
        return (GIB + ram + GIB - 1) // GIB * GIB
    return (ram + GIB - 1) // GIB * GIB


def size_of(registry: Registry, thing: Object) -> int:
    """Bytes of the backend of a memory device."""
    backend = registry.objects.get(str(thing.options.get("memdev")))
    return backend_size(backend) if backend is not None else 0


def backend_size(backend: Object) -> int:
    """Bytes of a memory backend."""
    value = backend.options.get("size", 0)
    if isinstance(value, str):
        from fakeqemu.cmdline.keyval import size

        return size(value, "size")
    return int(value)


def _number(thing: Object, name: str, default: int) -> int:
    from fakeqemu.hardware.checks import number, text_of

    value = thing.options.get(name)
    found = number(text_of(value)) if value is not None else None
    return default if found is None else found


def check_device(registry: Registry, thing: Object) -> None:
    """Give a memory device its slot and address.

    Raises:
        CommandError: in QEMU's order of looking.
    """
    line = registry.machine.line
    virtio = thing.kind.startswith("virtio-")
    if thing.kind == "nvdimm" and line.machine_options.get("nvdimm", "off") not in ("on", "yes", "true"):
        raise _error("nvdimm is not enabled: missing 'nvdimm' in '-M'")
    if registry.arch == "aarch64" and not virtio and not _firmware(registry):
        raise _error("memory hotplug is not enabled: missing acpi-ged device")
    if not virtio:
        thing.values["slot"] = _slot(registry, thing)
    backend = registry.objects.get(str(thing.options.get("memdev")))
    if backend is None:
        raise _error("'memdev' property must be set")
    amount = backend_size(backend)
    wanted = _number(thing, "memaddr" if virtio else "addr", 0)
    thing.values["memaddr" if virtio else "addr"] = _address(registry, thing, amount, wanted)
    _realize(registry, thing, backend, virtio=virtio)


def _firmware(registry: Registry) -> bool:
    """Whether a virt machine has firmware, and with it ACPI."""
    line = registry.machine.line
    words = registry.machine.argv
    flash = any("if=pflash" in word for word in words) or "pflash0" in line.machine_options
    return not registry.without_acpi and (flash or "-bios" in words or "-pflash" in words)


def _realize(registry: Registry, thing: Object, backend: Object, *, virtio: bool) -> None:
    from fakeqemu.hardware.cpus import nodes_of

    if any(it.options.get("memdev") == backend.id for it in registry.devices() if is_memory(it)):
        if virtio:
            raise _error(f"'memdev' property specifies a busy memory backend: {backend.path}")
        raise _error(f"can't use already busy memdev: {backend.id}")
    node, nodes = _number(thing, "node", 0), nodes_of(registry) or 1
    if node >= nodes:
        if virtio:
            raise _error(
                f"'node' property has value '{node}', which exceedsthe number of numa nodes: {nodes}"
            )
        raise _error(f"'DIMM property node has value {node}' which exceeds the number of numa nodes: {nodes}")
    if virtio and thing.kind.startswith("virtio-mem"):
        block = _number(thing, "block-size", _BLOCK) or _BLOCK
        if _number(thing, "requested-size", 0) % block:
            raise _error(f"'requested-size' property has to be multiples of 'block-size' (0x{block:x})")
        thing.values["requested-size"] = _number(thing, "requested-size", 0)
        thing.values["size"] = 0


def _slot(registry: Registry, thing: Object) -> int:
    slots = registry.machine.line.slots
    wanted = _number(thing, "slot", -1)
    held = {it.values.get("slot") for it in registry.devices() if it.kind in ("pc-dimm", "nvdimm")}
    if not slots:
        raise _error("no slots where allocated, please specify the 'slots' option")
    if wanted == -1:
        free = next((slot for slot in range(slots) if slot not in held), None)
        if free is None:
            raise _error("no free slots available")
        return free
    if not 0 <= wanted < slots:
        raise _error(f"invalid slot number {wanted}, valid range is [0-{slots - 1}]")
    if wanted in held:
        raise _error(f"slot {wanted} is busy")
    return wanted


def _address(registry: Registry, thing: Object, amount: int, wanted: int) -> int:
    """memory_device_get_free_addr."""
    line = registry.machine.line
    start, room = base(registry), max(0, line.max_ram - line.ram)
    if not room:
        text = "the configuration is not prepared for memory devices (e.g., for memory hotplug)"
        raise _error(f"{text}, consider specifying the maxmem option")
    used = sum(size_of(registry, it) for it in registry.devices() if is_memory(it))
    if used + amount > room:
        text = f"currently 0x{used:x} in use of total space for memory devices 0x{room:x}"
        raise _error(f"not enough space, {text}")
    end = start + room + line.slots * GIB
    if wanted and wanted % _ALIGN:
        raise _error(f"address must be aligned to 0x{_ALIGN:x} bytes")
    if amount % _ALIGN:
        raise _error(f"backend memory size must be multiple of 0x{_ALIGN:x}")
    if wanted and not (start <= wanted and wanted + amount <= end):
        ranges = (
            f"[0x{wanted:x}:0x{amount:x}], usable range for memory devices [0x{start:x}:0x{end - start:x}]"
        )
        raise _error(f"can't add memory device {ranges}")
    place = wanted or start
    for other in sorted((it for it in registry.devices() if is_memory(it)), key=address_of):
        first, last = address_of(other), address_of(other) + size_of(registry, other)
        if place < last and first < place + amount:
            if wanted:
                raise _error(f"address range conflicts with memory device id='{other.id or '(unnamed)'}'")
            place = (last + _ALIGN - 1) // _ALIGN * _ALIGN
    if place + amount > end:
        text = "memory fragmented due to alignments"
        raise _error(f"could not find position in guest address space for memory device - {text}")
    del thing
    return place


def address_of(thing: Object) -> int:
    """Where a memory device begins."""
    value: int = thing.values.get("memaddr", thing.values.get("addr", 0))
    return value


def devices(registry: Registry) -> list[dict[str, Any]]:
    """``query-memory-devices``: by address."""
    found = []
    for thing in sorted((it for it in registry.devices() if is_memory(it)), key=address_of):
        named = {"id": thing.id} if thing.id is not None else {}
        memdev = f"/objects/{thing.options.get('memdev')}"
        node = _number(thing, "node", 0)
        if thing.kind.startswith("virtio-mem"):
            block = _number(thing, "block-size", _BLOCK) or _BLOCK
            data = {"memdev": memdev, "memaddr": address_of(thing), "block-size": block,
                    "size": thing.values.get("size", 0), "node": node, "max-size": size_of(registry, thing),
                    "requested-size": thing.values.get("requested-size", 0), **named}  # fmt: skip
            found.append({"type": "virtio-mem", "data": data})
            continue
        if thing.kind.startswith("virtio-pmem"):
            data = {"memdev": memdev, "memaddr": address_of(thing), "size": size_of(registry, thing), **named}
            found.append({"type": "virtio-pmem", "data": data})
            continue
        data = {
            "memdev": memdev, "hotplugged": thing.hotplugged, "addr": address_of(thing), "hotpluggable": True,
            "size": size_of(registry, thing), "slot": thing.values.get("slot", 0), "node": node, **named,
        }  # fmt: skip
        found.append({"type": "dimm" if thing.kind == "pc-dimm" else "nvdimm", "data": data})
    return found


def plugged_bytes(registry: Registry, *, nvdimm: bool = False) -> int:
    """How much memory the guest was given besides its base memory."""
    total = 0
    for device in devices(registry):
        if device["type"] in ("dimm", "virtio-mem") or (nvdimm and device["type"] == "nvdimm"):
            total += device["data"]["size"]
    return total


def resize(registry: Registry, thing: Object, amount: int) -> None:
    """``requested-size`` of a virtio-mem device is set; a guest that has booted follows.

    Raises:
        CommandError: not a size this device can have.
    """
    block, most = _number(thing, "block-size", _BLOCK) or _BLOCK, size_of(registry, thing)
    if amount > most:
        raise _error(f"'requested-size' cannot exceed the memory backend size(0x{most:x})")
    if amount % block:
        raise _error(f"'requested-size' has to be multiples of 'block-size' (0x{block:x})")
    thing.values["requested-size"] = amount
    from fakeqemu.hardware.unplug import guest_listens

    if guest_listens(registry):
        registry.machine.afterwards(lambda: follow(registry, thing))


def follow(registry: Registry, thing: Object) -> None:
    """The guest's driver plugs or unplugs until the requested size is there."""
    if registry.at(thing.path) is not thing:
        return
    amount = min(thing.values.get("requested-size", 0), size_of(registry, thing))
    if thing.values.get("size") != amount:
        thing.values["size"] = amount
        data: dict[str, Any] = {"size": amount, "qom-path": thing.path}
        if thing.id is not None:
            data = {"id": thing.id, **data}
        registry.machine.emit("MEMORY_DEVICE_SIZE_CHANGE", data)
