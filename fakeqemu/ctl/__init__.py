"""The control socket: a test's own door to a running fake, beside its monitors.

Knows the protocol of JSON lines, what may be asked of a machine, and what it has been asked. Must not know
QMP nor who is at the other end. Nothing here is imported before a script or the environment asks for a
socket. It works while the machine's main loop hangs, too: it is the test's, not the machine's.

    >> {"do": "emit", "event": "RTC_CHANGE", "data": {"offset": 5, "qom-path": "/rtc"}, "id": 1}
    << {"return": {"events": 1}, "id": 1}
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu

__all__ = ["listen"]


def listen(machine: FakeQemu) -> None:
    """Open the control socket that the script names; ``{pid}`` and ``{name}`` in its path are filled in."""
    from fakeqemu.actions import Accept, Listen
    from fakeqemu.ctl.control import Control
    from fakeqemu.ctl.line import NAME, Door

    template: str = machine.word("ctl")
    try:
        path = template.format(pid=machine.pid, name=machine.line.name or "guest")
    except (KeyError, IndexError, ValueError, AttributeError):
        path = template
    machine.parts["ctl"] = Control()
    machine.acceptors[NAME] = Door(path)
    machine.do(0, Listen(NAME, path=path, backlog=16))
    machine.do(0, Accept(NAME))
