"""A device goes: who must agree, what is said meanwhile, and the events at the end.

Knows qdev_unplug (softmmu/qdev-monitor.c) and the unplug handlers of acpi, shpc/pcie, pc, spapr, s390x of
QEMU 7.2. The guest agrees as the script's ``unplug`` says: at once when it has booted, after a while,
never, or with an error. Must not know commands.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry

__all__ = ["guest_runs", "request", "reset", "take_out"]

_MS = 1_000_000
#: How long a request to a PCI guest holds before it may be repeated, on the guest's clock: ACPI, PCIe.
_ACPI_WAIT, _PCIE_WAIT = 1000 * _MS, 5000 * _MS
#: Models that never send their event: something in QEMU keeps hold of them.
_KEPT = ("qemu-xhci", "nec-usb-xhci", "usb-xhci", "base-xhci")


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def request(registry: Registry, name: str) -> None:
    """Ask a device to go, by its id or path.

    Raises:
        CommandError: it is not there, or cannot go.
    """
    thing = _device(registry, name)
    machine = registry.machine
    if thing.leaving is not None and (thing.leaving < 0 or thing.leaving > registry.guest_ns()):
        raise _error(f"Device {name} is already in the process of unplug")
    if thing.room is not None and not thing.room.hot:
        raise _error(f"Bus '{thing.room.name}' does not support hotplugging")
    if ((registry.facts.get("refusals none") or {}).get(thing.kind) or ["", ""])[1].endswith(
        "pluggable device type"
    ):
        raise _error(f"Device '{thing.kind}' does not support hotplugging")
    if machine.runstate in ("inmigrate", "finish-migrate", "postmigrate"):
        raise _error("device_del not allowed while migrating")
    wait = _asked_guest(registry, thing)
    if wait is None:
        take_out(registry, thing)
        return
    thing.leaving = registry.guest_ns() + wait if wait else registry.guest_ns()
    if guest_listens(registry):
        _ask(registry, thing)
    elif machine.runstate == "running":
        guest_runs(registry)


def _device(registry: Registry, name: str) -> Object:
    if not name:
        raise _error(f"{name} is not a hotpluggable device")
    path = name if name.startswith("/") else f"/machine/peripheral/{name}"
    path = "/" + "/".join(part for part in path.split("/") if part)
    thing = registry.at(path) or next((cpu for cpu in registry.cpus if cpu.path == path), None)
    if thing is not None:
        return thing
    from fakeqemu.hardware.tree import look, not_found

    view = look(registry, path)
    if view is None:
        raise not_found(name)
    if any(entry[0] == "realized" for entry in view.entries) and view.entry("parent_bus") is not None:
        bus = "main-system-bus"
        parent = view.get("parent_bus")
        if isinstance(parent, str) and not parent.endswith("/sysbus"):
            bus = parent.rpartition("/")[2]
        raise _error(f"Bus '{bus}' does not support hotplugging")
    raise _error(f"{name} is not a hotpluggable device")


def _asked_guest(registry: Registry, thing: Object) -> int | None:
    """Check whether a device can go; how long a request to the guest holds, None when no guest is asked."""
    from fakeqemu.hardware.buses import fits

    if thing in registry.cpus:
        _check_cpu(registry, thing)
        return 0
    if thing.kind in ("pc-dimm", "nvdimm"):
        if thing.kind == "nvdimm":
            raise _error("nvdimm device hot unplug is not supported yet.")
        if registry.without_acpi:
            raise _error("memory hotplug is not enabled: missing acpi device or acpi disabled")
        return 0
    if thing.kind.startswith(("virtio-mem", "virtio-pmem")):
        raise _error("virtio based memory devices cannot be unplugged.")
    if thing.room is None:
        raise _error(f"Device '{thing.kind}' does not support hotplugging")
    if fits(thing.room.kind, "PCI"):
        if registry.arch == "ppc64":
            # Nobody has claimed the slot's connector before the guest runs.
            return 0 if registry.machine.boot_done is not None else None
        if registry.arch in ("x86_64", "i386"):
            return _ACPI_WAIT
        # A PCIe slot that no guest has switched on yet gives its device up at once.
        return _PCIE_WAIT if registry.machine.boot_done is not None else None
    return None


def _check_cpu(registry: Registry, thing: Object) -> None:
    if registry.arch == "s390x":
        raise _error("CPU hot unplug not supported on this machine")
    if registry.arch in ("x86_64", "i386"):
        if registry.without_acpi:
            raise _error("CPU hot unplug not supported without ACPI")
        if thing.place == 0:
            raise _error("Boot CPU is unpluggable")
        if not guest_listens(registry):
            # The firmware's tables have not switched the controller to the modern interface yet.
            raise _error(f"acpi: device unplug request for not supported device type: {thing.kind}")
    elif registry.arch == "ppc64" and thing.place == 0:
        raise _error("Boot CPU core may not be unplugged")


def guest_listens(registry: Registry) -> bool:
    """Whether the guest has booted and runs."""
    machine = registry.machine
    return (
        machine.runstate == "running"
        and machine.boot_done is not None
        and machine.boot_done <= machine.now_ns
    )


def guest_runs(registry: Registry) -> None:
    """The guest runs (again): it hears of requests that have been made meanwhile once it has booted."""
    machine = registry.machine
    pending = [thing for thing in registry.devices() if thing.leaving is not None]
    growing = [thing for thing in registry.devices() if thing.kind.startswith("virtio-mem")]
    if not pending and not growing and machine.balloon is None:
        return

    def listen() -> None:
        if not guest_listens(registry):
            return
        for thing in pending:
            if thing.leaving is not None:
                _ask(registry, thing)
        from fakeqemu.hardware.balloon import settle
        from fakeqemu.hardware.memory import follow

        for thing in growing:
            follow(registry, thing)
        settle(registry)

    # When it began to boot is known after the state has changed: look at it then.
    def booting() -> None:
        done = machine.boot_done
        machine.later(max(0, (done or 0) - machine.now_ns), listen)

    machine.afterwards(booting)


def _ask(registry: Registry, thing: Object) -> None:
    """The guest answers, as the script says."""
    machine = registry.machine
    words: dict[str, Any] = machine.word("unplug") or {}
    if words.get("refuse"):
        _note(registry, f"unplug: the guest keeps {thing.id or thing.path}")
        return

    def answer() -> None:
        if thing.leaving is None or registry.at(thing.path) is not thing:
            return
        machine.at("guest", "unplug", _leave if not words.get("error") else _fail)

    def _leave() -> None:
        if registry.at(thing.path) is thing and machine.runstate == "running":
            take_out(registry, thing)

    def _fail() -> None:
        guest_error(registry, thing)

    delay = words.get("after", words.get("delay", 0))
    if delay:
        machine.later(int(delay), answer)
    else:
        machine.afterwards(answer)


def _note(registry: Registry, text: str) -> None:
    rules = registry.machine.word("rules") or {}
    registry.machine.note(rules.get("unplug", "script"), text)


def guest_error(registry: Registry, thing: Object) -> None:
    """The guest cannot give a device back, and says so."""
    machine = registry.machine
    thing.leaving = None
    named = {"device": thing.id} if thing.id is not None else {}
    if thing.kind in ("pc-dimm", "nvdimm") and registry.arch in ("x86_64", "i386", "aarch64"):
        info = {"device": thing.id or "", "source": 3, "status": 1, "slot": str(thing.values.get("slot", 0)),
                "slot-type": "DIMM"}  # fmt: skip
        machine.emit("ACPI_DEVICE_OST", {"info": info})
        return
    if thing.kind in ("pc-dimm", "nvdimm"):
        text = "Memory hotunplug rejected by the guest for device " + (thing.id or "")
        machine.emit("MEM_UNPLUG_ERROR", {"device": thing.id or "", "msg": text})
    machine.emit("DEVICE_UNPLUG_GUEST_ERROR", {**named, "path": thing.path})


def reset(registry: Registry) -> None:
    """The machine is reset: PCI devices that were asked to go are gone after it."""
    from fakeqemu.hardware.buses import fits

    # The root bus first, then those behind bridges, the youngest first (acpi_set_pci_info).
    order = {id(bus): number for number, bus in enumerate(_pci_buses(registry))}

    def by_place(thing: Object) -> tuple[int, int]:
        place = thing.place if isinstance(thing.place, int) else 0
        return -order.get(id(thing.room), 0), place

    for thing in sorted(registry.devices(), key=by_place):
        if (thing.leaving is not None and thing.room is not None and fits(thing.room.kind, "PCI")) or (
            thing.kind != "pc-dimm" and thing.leaving is not None and registry.arch == "ppc64"
        ):
            take_out(registry, thing)


def _pci_buses(registry: Registry) -> list[Any]:
    """The PCI buses behind bridges in order of age; the root bus comes last."""
    from fakeqemu.hardware.buses import fits

    behind = [bus for buses in registry.buses_of.values() for bus in buses if fits(bus.kind, "PCI")]
    return behind + [bus for bus in registry.root_bus.below if fits(bus.kind, "PCI")]


def take_out(registry: Registry, thing: Object) -> None:
    """Take a device out with all that sits on it; the events follow what is being said."""
    for path, ident in _gone(registry, thing):
        data: dict[str, Any] = {"path": path}
        if ident is not None:
            data = {"device": ident, **data}
        registry.machine.afterwards(_teller(registry, data))


def _teller(registry: Registry, data: dict[str, Any]) -> Any:
    return lambda: registry.machine.emit("DEVICE_DELETED", data)


def _gone(registry: Registry, thing: Object) -> list[tuple[str, str | None]]:
    """Take out a device; path and id of whatever sends an event, in QEMU's order."""
    found: list[tuple[str, str | None]] = []
    for bus in reversed(registry.buses_of.get(thing.path, ())):
        for device in reversed(tuple(bus.devices)):
            found += _gone(registry, device)
    found += [(f"{thing.path}/{part}", None) for part in _inner(registry, thing)]
    if thing.kind not in _KEPT:
        found.append((thing.path, thing.id))
    thing.leaving = None
    registry.leave(thing)
    return found


def _inner(registry: Registry, thing: Object) -> list[str]:
    """Devices inside of a device, which send an event of their own."""
    from fakeqemu.hardware.tree import own_path

    if thing.kind in _KEPT:
        return []
    found = []
    for where, (_, entries) in registry.shapes(thing.kind).items():
        if where and any(entry[0] == "hotpluggable" for entry in entries):
            found.append(own_path(where, thing.id))
    return found
