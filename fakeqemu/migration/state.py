"""What of a machine moves with its guest: the state of every part, by name.

Knows where the parts are made. Must not know what they save. Migration and snapshots both use it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["restored", "saved"]

#: Where a part that is not there yet is made: module and function.
_MAKERS = {
    "migration": ("fakeqemu.migration.part", "migration_of"),
    "hardware": ("fakeqemu.hardware.registry", "registry_of"),
    "block": ("fakeqemu.block.graph", "graph_of"),
    "chardevs": ("fakeqemu.chardevs.table", "chardevs_of"),
    "displays": ("fakeqemu.displays.screens", "displays_of"),
    "guest": ("fakeqemu.guests.inside", "guest_of"),
    "jobs": ("fakeqemu.jobs.engine", "engine_of"),
    "networks": ("fakeqemu.networks.clients", "networks_of"),
}


def saved(machine: FakeQemu) -> dict[str, Any]:
    """The state of every part that has one, by name, in the order in which they were made."""
    from fakeqemu.migration.part import migration_of

    migration_of(machine)
    found: dict[str, Any] = {}
    for name, part in list(machine.parts.items()):
        save = getattr(part, "saved", None)
        value = save() if callable(save) else None
        if value is not None:
            found[name] = value
    return found


def restored(machine: FakeQemu, name: str, value: Any) -> bool:
    """Give one part what was saved of it; False when this machine has no such part."""
    part = machine.parts.get(name)
    if part is None:
        part = _made(machine, name)
    take = getattr(part, "restored", None)
    if not callable(take):
        return False
    take(machine, value)
    return True


def _made(machine: FakeQemu, name: str) -> Any:
    maker = _MAKERS.get(name)
    if maker is None:
        return None
    from importlib import import_module

    make = getattr(import_module(maker[0]), maker[1], None)
    return make(machine) if callable(make) else None
