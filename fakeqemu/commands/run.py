"""Running, stopping, resetting: the run state."""

from __future__ import annotations

from fakeqemu import guest
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.session import Session

__all__ = ["cont", "query_status", "set_action", "stop", "system_powerdown", "system_reset"]


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
    if machine.runstate != "inmigrate":
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
