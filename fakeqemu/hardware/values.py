"""Values that are this machine's own: what lies over the recorded ones.

Knows which properties follow the command line, the placing and what was set. Must not know how a property is
listed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry
    from fakeqemu.hardware.tree import View

__all__ = ["converted", "live_value"]

_NO = (False, None)
_TRUE = ("on", "yes", "true", "y")
_INTEGERS = frozenset(
    ("int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "size", "uint64_t")
)
#: Properties of a CPU that say where it is.
_CPU_IDS = ("socket-id", "die-id", "core-id", "thread-id", "node-id", "cluster-id")


def live_value(view: View, name: str) -> tuple[bool, Any]:
    """Whether the machine has a value of its own for a property, and which."""
    registry, owner = view.registry, view.owner
    key = (view.path, name)
    if key in registry.changed:
        return True, registry.changed[key]
    if owner is None:
        return _machine(registry, name) if view.path == "/machine" else _from_board(registry, view.path, name)
    if view.path == owner.path:
        found = _whole(view, owner, name)
        if found[0] or owner in registry.cpus or owner.path.startswith("/objects/"):
            return found
    elif name == "hotplugged":
        return True, owner.hotplugged
    return _given(view, owner, name)


def _whole(view: View, owner: Object, name: str) -> tuple[bool, Any]:
    """Values of a device, CPU or user object, as against those of its parts."""
    registry = view.registry
    if owner.path.startswith("/objects/"):
        return _object(view, owner, name)
    if name in ("hotplugged", "realized", "parent_bus"):
        return True, _common(owner, name)
    if owner in registry.cpus:
        return _cpu(registry, owner, name)
    if name == "vectors" and name not in owner.options:
        return _vectors(registry, owner)
    return _placed(owner, name)


def _given(view: View, owner: Object, name: str) -> tuple[bool, Any]:
    """Values that follow a device's options or its life."""
    registry, here = view.registry, view.path == owner.path
    if owner.kind.startswith("virtio-balloon") and name.startswith("guest-stats"):
        from fakeqemu.hardware.balloon import property_of

        return True, property_of(registry, name)
    if name in owner.values and (here or name in owner.options):
        return True, owner.values[name]
    entry = view.entry(name) if name in owner.options else None
    if entry is not None and (here or view.path.endswith("/virtio-backend")):
        return True, converted(registry, entry[1], owner.options[name])
    return _NO


def _vectors(registry: Registry, owner: Object) -> tuple[bool, Any]:
    """One interrupt for each queue, and those for the rest (virtio-blk-pci.c, virtio-scsi-pci.c)."""
    more = {"virtio-blk-pci": 1, "virtio-scsi-pci": 3}.get(owner.kind)
    if more is None:
        return _NO
    name = "num-queues" if owner.kind == "virtio-blk-pci" else "num_queues"
    queues = converted(registry, "uint16", owner.options.get(name, registry.machine.line.cpus))
    return True, queues + more


def _common(owner: Object, name: str) -> Any:
    if name == "hotplugged":
        return owner.hotplugged
    if name == "realized":
        return True
    return owner.room.path if owner.room is not None else ""


def converted(registry: Registry, kind: str, value: Any) -> Any:
    """An option as its property shows it."""
    if kind == "bool":
        return value in _TRUE if isinstance(value, str) else bool(value)
    if kind in _INTEGERS and isinstance(value, str):
        from fakeqemu.cmdline.keyval import OptionError, size

        try:
            return (
                int(value, 0) if not value[-1:].isalpha() or value[:2].lower() == "0x" else size(value, "x")
            )
        except (ValueError, OptionError):
            return value
    if kind.startswith("link<") and isinstance(value, str) and not value.startswith("/"):
        found = registry.objects.get(value) or registry.device(value)
        return found.path if found is not None else ""
    if kind in ("str", "string"):
        return value if isinstance(value, str) else str(value)
    return value


def _placed(owner: Object, name: str) -> tuple[bool, Any]:
    """Where it is, in the words of its kind of bus."""
    room, place = owner.room, owner.place
    if room is None or place is None:
        return _NO
    if isinstance(place, int) and room.kind in ("PCI", "PCIE"):
        if name == "addr":
            return True, place
        if name == "legacy-addr":
            return True, f"{place >> 3:02x}.{place & 7:x}"
    elif room.kind == "SCSI" and name in ("channel", "scsi-id", "lun"):
        return True, place[("channel", "scsi-id", "lun").index(name)]
    elif (room.kind == "virtio-serial-bus" and name == "nr") or (
        room.kind == "virtual-css-bus" and name == "dev_id"
    ):
        return True, place
    return _NO


def _cpu(registry: Registry, owner: Object, name: str) -> tuple[bool, Any]:
    from fakeqemu.hardware.cpus import props_of

    if name in _CPU_IDS:
        props = props_of(registry, owner.place)
        if name in props:
            return True, props[name]
        return (True, 0) if name == "die-id" else _NO
    if name == "apic-id":
        from fakeqemu.hardware.cpus import _apic_id

        return True, _apic_id(registry, owner.place)
    return _NO


def _object(view: View, owner: Object, name: str) -> tuple[bool, Any]:
    if name in owner.values:
        return True, owner.values[name]
    entry = view.entry(name)
    if name in owner.options and entry is not None:
        return True, converted(view.registry, entry[1], owner.options[name])
    return _NO


def _machine(registry: Registry, name: str) -> tuple[bool, Any]:
    """Properties of the machine that follow the command line."""
    line = registry.machine.line
    options = line.machine_options
    if name == "memory":
        value = {"size": line.ram}
        if line.slots:
            value = {"slots": line.slots, "max-size": line.max_ram, **value}
        return True, value
    if name == "smp":
        sockets, dies, cores, threads = line.topology
        return True, {"cpus": line.cpus, "maxcpus": line.max_cpus, "threads": threads, "cores": cores,
                      "dies": dies, "sockets": sockets, "clusters": 1}  # fmt: skip
    if name == "memory-backend" and name in options:
        return True, f"/objects/{options[name]}"
    if name == "rtc-time":
        return True, _time((registry.machine.wall_ns + registry.machine.now_ns) // 1_000_000_000)
    if name in options:
        entry = next((it for it in registry_entries(registry) if it[0] == name), None)
        if entry is not None:
            return True, converted(registry, entry[1], options[name])
    return _from_board(registry, "/machine", name)


def registry_entries(registry: Registry) -> list[Any]:
    """The recorded entries of the machine object."""
    from fakeqemu.hardware.board import board_tree

    found = board_tree(registry).get("machine")
    return found[1] if found is not None else []


def _time(seconds: int) -> dict[str, int]:
    from fakeqemu.hardware.calendar import broken_down

    year, month, day, hour, minute, second = broken_down(seconds)
    return {"tm_year": year - 1900, "tm_sec": second, "tm_hour": hour, "tm_min": minute, "tm_mon": month - 1,
            "tm_mday": day}  # fmt: skip


def _from_board(registry: Registry, path: str, name: str) -> tuple[bool, Any]:
    """A recorded value of the board in which a number has moved."""
    from fakeqemu.hardware.board import board_tree, moved

    if registry.machine.line.cpus <= 1:
        return _NO
    found = board_tree(registry).get(path[1:])
    for entry in found[1] if found is not None else ():
        if entry[0] == name and len(entry) == 3:
            value = moved(registry, entry[2])
            return (True, value) if value is not entry[2] else _NO
    return _NO
