"""Running, stopping, resetting: the run state."""

from __future__ import annotations

from fakeqemu import runstate as guest
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "cont", "inject_nmi", "query_acpi_ospm_status", "query_status", "rtc_reset_reinjection", "set_action",
    "stop", "system_powerdown", "system_reset", "system_wakeup", "wakes", "watchdog_set_action",
    "x_exit_preconfig",
]  # fmt: skip


@command("query-status")
def query_status(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The run state."""
    del session
    running = machine.runstate == "running"
    return {"running": running, "singlestep": False, "status": machine.runstate}


@command("stop")
def stop(machine: FakeQemu, session: Session) -> None:
    """Pause; nothing happens to a machine that does not run."""
    del session
    guest.stop(machine)


@command("cont")
def cont(machine: FakeQemu, session: Session) -> None:
    """Run on; a machine that shut down wants a reset first."""
    del session
    if machine.runstate in guest.NEEDS_RESET:
        raise CommandError("GenericError", "Resetting the Virtual Machine is required")
    if machine.runstate == "finish-migrate":
        raise CommandError("GenericError", "Migration is not finalized yet")
    if machine.runstate == "inmigrate":
        machine.line.freeze = False  # it runs as soon as it is there
    else:
        guest.resume(machine)


@command("system_reset")
def system_reset(machine: FakeQemu, session: Session) -> None:
    """The reset button."""
    del session
    guest.system_reset(machine)


@command("system_powerdown")
def system_powerdown(machine: FakeQemu, session: Session) -> None:
    """The power button."""
    del session
    guest.powerdown(machine)


@command("set-action", takes=True)
def set_action(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """What a reboot, a shutdown, a panic or the watchdog lead to."""
    del session
    machine.actions.update(arguments)


@command("watchdog-set-action", takes=True)
def watchdog_set_action(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """What the watchdog leads to."""
    del session
    machine.actions["watchdog"] = arguments["action"]


def wakes(machine: FakeQemu) -> bool:
    """Whether a guest of this machine can sleep and be woken (qemu_wakeup_suspend_enabled)."""
    kind = machine.line.machine
    return kind.startswith(("pc", "pseries", "q35"))


@command("system_wakeup")
def system_wakeup(machine: FakeQemu, session: Session) -> None:
    """Wake a guest that sleeps."""
    del session
    if not wakes(machine):
        raise CommandError("GenericError", "wake-up from suspend is not supported by this guest")
    if machine.runstate != "suspended":
        raise CommandError("GenericError", "Unable to wake up: guest is not in suspended state")
    guest.wake_up(machine)


@command("inject-nmi")
def inject_nmi(machine: FakeQemu, session: Session) -> None:
    """Interrupt the guest, where the machine can; its kernel says that it does not know why."""
    del session
    kind, target = machine.line.machine, machine.line.program.rpartition("-")[2]
    if kind == "none" or target in ("aarch64", "arm", "riscv64", "riscv32"):
        raise CommandError("GenericError", "this feature or command is not currently supported")
    inside = machine.parts.get("guest")
    if inside is not None and inside.awake:
        inside.interrupted()


@command("rtc-reset-reinjection")
def rtc_reset_reinjection(machine: FakeQemu, session: Session) -> None:
    """Forget clock interrupts that the guest missed: a fake misses none."""
    del machine, session


@command("query-acpi-ospm-status")
def query_acpi_ospm_status(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """What the guest's firmware reports of memory and CPU slots: one entry for each memory slot."""
    del session
    line = machine.line
    if not line.machine.startswith(("pc", "q35", "microvm")):
        raise CommandError("GenericError", "command is not supported, missing ACPI device")
    from fakeqemu.hardware import registry_of

    plugged = [device for device in registry_of(machine).devices() if device.kind in ("pc-dimm", "nvdimm")]
    names = {int(device.values.get("slot", place)): device.id for place, device in enumerate(plugged)}
    return [
        {"slot": str(slot), "slot-type": "DIMM", "source": 0, "status": 0}
        | ({"device": names[slot]} if names.get(slot) else {})
        for slot in range(line.slots)
    ]


@command("x-exit-preconfig")
def x_exit_preconfig(machine: FakeQemu, session: Session) -> None:
    """The machine is set up already."""
    del machine, session
    raise CommandError("GenericError", "The command is permitted only before machine initialization")
