"""The balloon: how much memory the guest has given back, and what its driver says of the rest.

Knows hw/virtio/virtio-balloon.c of QEMU 7.2. Must not know the monitor. The guest that a fake believes in
obeys at once when it runs and has booted; its statistics are asked for every polling interval and move with
time.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry

__all__ = ["actual", "ask", "balloon_of", "property_of", "set_interval"]

#: A statistic that the guest has not reported.
UNKNOWN = (1 << 64) - 1
_NAMES = (
    "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults", "stat-free-memory",
    "stat-total-memory", "stat-available-memory", "stat-disk-caches", "stat-htlb-pgalloc", "stat-htlb-pgfail",
)  # fmt: skip
_SECOND = 1_000_000_000
_PAGE = 4096


def balloon_of(registry: Registry) -> Object | None:
    """The balloon device, or None."""
    return next((it for it in registry.devices() if it.kind.startswith("virtio-balloon")), None)


def memory(registry: Registry) -> int:
    """All memory the guest could have (get_current_ram_size)."""
    from fakeqemu.hardware.memory import plugged_bytes

    return registry.machine.line.ram + plugged_bytes(registry)


def actual(registry: Registry) -> int:
    """How much the guest has now.

    Raises:
        CommandError: there is no balloon.
    """
    thing = need(registry)
    taken: int = thing.values.get("taken", 0)
    return memory(registry) - taken


def need(registry: Registry) -> Object:
    """The balloon device.

    Raises:
        CommandError: there is none.
    """
    thing = balloon_of(registry)
    if thing is None:
        raise CommandError("DeviceNotActive", "No balloon device has been activated")
    return thing


def ask(registry: Registry, target: int) -> None:
    """The target is set: the guest's driver moves there when it runs.

    Raises:
        CommandError: there is no balloon, or the target is none.
    """
    thing = need(registry)
    if target <= 0:
        raise CommandError("GenericError", "Parameter 'target' expects a size")
    thing.values["target"] = target
    registry.machine.balloon = target
    settle(registry)


def settle(registry: Registry) -> None:
    """The guest's driver moves to the target, if there is a guest that runs it; an event says so."""
    from fakeqemu.hardware.unplug import guest_listens

    if not guest_listens(registry):
        return
    thing = balloon_of(registry)
    target = thing.values.get("target", registry.machine.balloon) if thing is not None else None
    if thing is None or target is None:
        return
    whole = memory(registry)
    taken = (whole - min(target, whole)) // _PAGE * _PAGE
    if taken != thing.values.get("taken", 0):
        thing.values["taken"] = taken
        now = whole - taken
        registry.machine.afterwards(lambda: registry.machine.emit("BALLOON_CHANGE", {"actual": now}))


def set_interval(registry: Registry, value: int) -> None:
    """How often the guest is asked for its statistics: seconds, 0 for never.

    Raises:
        CommandError: no such interval.
    """
    if value < 0:
        raise CommandError("GenericError", "timer value must be greater than zero")
    if value > 0xFFFFFFFF:
        raise CommandError("GenericError", "timer value is too big")
    thing = need(registry)
    thing.values["interval"] = value
    thing.values["asked"] = registry.machine.now_ns


def property_of(registry: Registry, name: str) -> Any:
    """``guest-stats`` or ``guest-stats-polling-interval``."""
    thing = need(registry)
    if name == "guest-stats-polling-interval":
        return thing.values.get("interval", 0)
    stats = dict.fromkeys(_NAMES, UNKNOWN)
    interval = thing.values.get("interval", 0)
    from fakeqemu.hardware.unplug import guest_listens

    machine = registry.machine
    if not interval or not guest_listens(registry):
        return {"stats": thing.values.get("stats", stats), "last-update": thing.values.get("updated", 0)}
    since = machine.now_ns - int(thing.values.get("asked", 0))
    rounds = since // (interval * _SECOND)
    moment = int(thing.values.get("asked", 0)) + rounds * interval * _SECOND
    stats = _statistics(actual(registry), moment)
    updated = (machine.wall_ns + moment) // _SECOND
    thing.values["stats"], thing.values["updated"] = stats, updated
    return {"stats": stats, "last-update": updated}


def _statistics(total: int, moment_ns: int) -> dict[str, int]:
    """What a guest of that size says at a moment: faults grow, caches breathe; by time alone."""
    seconds = moment_ns // _SECOND
    total = total * 31 // 32 // _PAGE * _PAGE
    caches = (total // 8 + seconds * 37 * _PAGE % max(_PAGE, total // 16)) // _PAGE * _PAGE
    free = (total // 2 - seconds * 13 * _PAGE % max(_PAGE, total // 32)) // _PAGE * _PAGE
    available = free + caches // 2 // _PAGE * _PAGE
    faults = 640 + seconds // 5, 120_000 + seconds * 211
    values = (0, 0, *faults, free, total, available, caches, 0, 0)
    return dict(zip(_NAMES, values, strict=True))


def saved(registry: Registry) -> Any:
    """The balloon's state."""
    thing = balloon_of(registry)
    if thing is None:
        return None
    return {name: thing.values[name] for name in ("taken", "target") if name in thing.values}


def restored(registry: Registry, value: Any) -> None:
    """Take over the balloon's state; what is odd in it is left out."""
    thing = balloon_of(registry)
    if thing is None or not isinstance(value, dict):
        return
    for name in ("taken", "target"):
        if isinstance(value.get(name), int):
            thing.values[name] = value[name]
