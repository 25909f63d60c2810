"""Memory: the balloon, memory devices and backends."""

from __future__ import annotations

from fakeqemu.guest import settle_balloon
from fakeqemu.model import model_of
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.session import Session

__all__ = ["balloon", "query_balloon", "query_memdev", "query_memory_devices", "query_memory_size_summary"]


def _need_balloon(machine: FakeQemu) -> None:
    if model_of(machine).balloon is None:
        raise CommandError("DeviceNotActive", "No balloon device has been activated")


@command("balloon", takes=True)
def balloon(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Ask the guest to shrink or grow; it moves when it runs."""
    del session
    _need_balloon(machine)
    if arguments["value"] <= 0:
        raise CommandError("GenericError", "Parameter 'target' expects a size")
    machine.balloon = arguments["value"]
    if machine.runstate == "running":
        settle_balloon(machine)


@command("query-balloon")
def query_balloon(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """How much memory the guest has now."""
    del session
    _need_balloon(machine)
    return {"actual": model_of(machine).actual}


@command("query-memory-devices")
def query_memory_devices(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The memory devices (pc-dimm and its like), placed one after the other above the hotplug base."""
    del session
    line = machine.line
    devices, address = [], 0x1_0000_0000 + max(0, line.ram - 0xC000_0000)
    for slot, device in enumerate(device for device in line.devices if device.kind in ("pc-dimm", "nvdimm")):
        backend = line.objects.get(str(device.options.get("memdev")))
        amount = int(backend.options.get("size", 0)) if backend is not None else 0
        data = {
            "memdev": f"/objects/{device.options.get('memdev')}",
            "hotplugged": False,
            "addr": int(device.options.get("addr", address)),
            "hotpluggable": True,
            "size": amount,
            "slot": int(device.options.get("slot", slot)),
            "node": int(device.options.get("node", 0)),
            **({"id": device.id} if device.id is not None else {}),
        }
        address += amount
        devices.append({"type": "dimm" if device.kind == "pc-dimm" else "nvdimm", "data": data})
    return devices


@command("query-memory-size-summary")
def query_memory_size_summary(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """What was given at the start, and what was plugged in."""
    plugged = sum(device["data"]["size"] for device in query_memory_devices(machine, session))
    return {"base-memory": machine.line.ram, "plugged-memory": plugged}


@command("query-memdev")
def query_memdev(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The memory backends."""
    del session
    backends = [
        device for device in machine.line.objects.values() if device.kind.startswith("memory-backend-")
    ]
    return [
        {
            "share": bool(backend.options.get("share", backend.kind == "memory-backend-memfd")),
            "reserve": True,
            "prealloc": bool(backend.options.get("prealloc", False)),
            "host-nodes": backend.options.get("host-nodes", []),
            "size": backend.options.get("size", machine.line.ram),
            "merge": True,
            "dump": machine.line.machine_options.get("dump-guest-core", "on") == "on",
            "policy": backend.options.get("policy", "default"),
            "id": backend.id,
        }
        for backend in backends
    ]
