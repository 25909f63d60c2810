"""Memory: the balloon, memory devices and backends."""

from __future__ import annotations

from fakeqemu.registry import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["balloon", "query_balloon", "query_memdev", "query_memory_devices", "query_memory_size_summary"]


@command("balloon", takes=True)
def balloon(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Ask the guest to shrink or grow; it moves when it runs."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.balloon import ask

    ask(registry_of(machine), arguments["value"])


@command("query-balloon")
def query_balloon(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """How much memory the guest has now."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.balloon import actual

    return {"actual": actual(registry_of(machine))}


@command("query-memory-devices")
def query_memory_devices(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The memory devices (pc-dimm and its like), by address."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.memory import devices

    return devices(registry_of(machine))


@command("query-memory-size-summary")
def query_memory_size_summary(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """What was given at the start, and what was plugged in."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.memory import plugged_bytes

    base = 0 if machine.line.machine == "none" else machine.line.ram
    if machine.profile.arch == "s390x":
        # No board with memory slots: get_plugged_memory_size is a stub that says so.
        return {"base-memory": base}
    return {"base-memory": base, "plugged-memory": plugged_bytes(registry_of(machine), nvdimm=True)}


@command("query-memdev")
def query_memdev(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The memory backends."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.userobjects import memory_backends

    return memory_backends(registry_of(machine))
