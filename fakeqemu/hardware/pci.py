"""``query-pci``: the PCI functions as the firmware left them, or has not touched them yet.

Knows hw/pci/pci-qmp-cmds.c of QEMU 7.2 and the recorded functions of each model. Must not know how a device
got there. The firmware of a machine that has not run assigns nothing: addresses are -1 and nothing behind a
bridge is seen.
"""

from __future__ import annotations

from fakeqemu.hardware.buses import fits
from fakeqemu.hardware.facts import reinserted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.buses import Bus
    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry

__all__ = ["query"]


def query(registry: Registry) -> list[dict[str, Any]]:
    """All PCI buses that can be seen."""
    roots = [bus for bus in registry.root_bus.below if fits(bus.kind, "PCI")]
    return [{"bus": 0, "devices": reinserted(_functions(registry, bus, 0))} for bus in roots]


def _functions(registry: Registry, bus: Bus, number: int) -> list[dict[str, Any]]:
    entries: list[tuple[int, dict[str, Any]]] = []
    if number == 0:
        for recorded in (registry.board() or {}).get("pci") or ():
            entries += [(it["slot"] << 3 | it["function"], it) for it in recorded["devices"]]
    for thing in bus.devices:
        known = (registry.facts.get(f"device {thing.kind}") or {}).get("pci")
        if known is not None and isinstance(thing.place, int):
            entries.append((thing.place, _function(thing, known, number)))
    return [function for _, function in sorted(entries, key=_devfn)]


def _devfn(entry: tuple[int, dict[str, Any]]) -> int:
    return entry[0]


def _function(thing: Object, known: dict[str, Any], number: int) -> dict[str, Any]:
    place: int = thing.place
    own = {"bus": number, "qdev_id": thing.id or "", "slot": place >> 3, "function": place & 7}
    # As QEMU's dictionaries order them.
    order = (
        "irq_pin",
        "bus",
        "pci_bridge",
        "qdev_id",
        "irq",
        "slot",
        "class_info",
        "id",
        "function",
        "regions",
    )
    merged = known | own
    if thing.options.get("romfile") == "" or str(thing.options.get("rombar", 1)) == "0":
        merged["regions"] = [region for region in known["regions"] if region["bar"] != 6]
    return {name: merged[name] for name in order if name in merged}
