"""What the first section says of a machine, and whether another one is the same.

Knows which differences a QEMU 7.2 notices, and its texts. Must not know the stream.
"""

from __future__ import annotations

from fakeqemu.migration.stream import StreamError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["compare", "configuration"]


def configuration(machine: FakeQemu) -> dict[str, Any]:
    """Machine type, memory and devices."""
    from fakeqemu.migration.part import migration_of

    migration = migration_of(machine)
    found: dict[str, Any] = {
        "machine": machine_type(machine),
        "blocks": [[name, size] for name, size in migration.memory.blocks()],
        "cpus": machine.line.cpus,
        "devices": _states(machine),
        "capabilities": sorted(migration.capabilities & {"postcopy-ram", "multifd", "return-path"}),
    }
    if "validate-uuid" in migration.capabilities:
        found["uuid"] = machine.line.uuid or "00000000-0000-0000-0000-000000000000"
    return found


def _states(machine: FakeQemu) -> list[str]:
    """What every device calls its state; QEMU names a PCI device's by its place."""
    if "hardware" not in machine.parts and not machine.line.devices:
        return []
    from fakeqemu import hardware

    found = []
    for thing in hardware.registry_of(machine).devices():
        name = thing.kind
        if name.startswith("virtio-"):
            name = name.removesuffix("-pci").removesuffix("-ccw").removesuffix("-device")
        place = thing.place
        if name != thing.kind and thing.kind.endswith("-pci") and isinstance(place, int):
            found.append(f"0000:00:{place >> 3:02x}.{place & 7}/{name}")
        else:
            found.append(name)
    return found


def machine_type(machine: FakeQemu) -> str:
    """The machine type without its alias, as the configuration section names it."""
    name = machine.line.machine
    for entry in machine.profile.value("query-machines") or ():
        if entry.get("alias") == name:
            return str(entry["name"])
    return name


def compare(machine: FakeQemu, theirs: Any) -> None:
    """Does a guest that comes from such a machine fit into this one?

    Raises:
        StreamError: QEMU would not take it; with its words.
    """
    ours = configuration(machine)
    if not isinstance(theirs, dict) or not isinstance(theirs.get("machine"), str):
        raise StreamError("Invalid argument", "Configuration section missing")
    if theirs["machine"] != ours["machine"]:
        text = f"Machine type received is '{theirs['machine']}' and local is '{ours['machine']}'"
        raise StreamError("Invalid argument", text)
    if "uuid" in theirs and "uuid" in ours and theirs["uuid"] != ours["uuid"]:
        text = f"UUID received is {theirs['uuid']} and local is {ours['uuid']}"
        raise StreamError("Invalid argument", text)
    _same_memory(dict(ours["blocks"]), theirs.get("blocks"))
    _same_devices(ours, theirs)


def _same_memory(ours: dict[str, int], theirs: Any) -> None:
    failed = "error while loading state for instance 0x0 of device 'ram'"
    for entry in theirs if isinstance(theirs, list) else ():
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], int)):
            raise StreamError("Invalid argument", failed)
        name, size = str(entry[0]), entry[1]
        if name not in ours:
            text = f'Unknown ramblock "{name}", cannot accept migration'
            raise StreamError("Invalid argument", text, failed)
        if ours[name] != size:
            text = f"Size mismatch: {name}: 0x{size:x} != 0x{ours[name]:x}: Invalid argument"
            raise StreamError("Invalid argument", text, failed)


def _same_devices(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Every device that sends its state must be there to take it; more than that may be."""
    left = list(ours["devices"])
    cpus = theirs.get("cpus")
    if isinstance(cpus, int) and cpus > ours["cpus"]:
        raise _unknown("cpu_common", ours["cpus"])
    devices = theirs.get("devices")
    for kind in devices if isinstance(devices, list) else ():
        if kind in left:
            left.remove(kind)
        else:
            raise _unknown(str(kind), 0)


def _unknown(name: str, instance: int) -> StreamError:
    return StreamError(
        "Invalid argument",
        f"Unknown savevm section or instance '{name}' {instance}. Make sure that your current VM setup"
        " matches your saved VM setup, including any hotplugged devices",
    )
