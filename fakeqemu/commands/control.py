"""The session itself: negotiation, and the end of the machine."""

from __future__ import annotations

from fakeqemu.registry import command
from fakeqemu.runstate import request_shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["qmp_capabilities", "quit_"]


@command("qmp_capabilities", takes=True)
def qmp_capabilities(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Open the session; the only capability is out-of-band execution."""
    del machine
    enable = arguments.get("enable", ())
    session.oob = "oob" in enable
    session.negotiated = True


@command("quit")
def quit_(machine: FakeQemu, session: Session) -> None:
    """Leave, whatever -no-shutdown says."""
    del session
    machine.actions["shutdown"] = "poweroff"
    request_shutdown(machine, "host-qmp-quit", guest=False)
