"""The monitor for people, over QMP."""

from __future__ import annotations

from fakeqemu.registry import CommandError, Deferred, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["human_monitor_command"]


@command("human-monitor-command", takes=True)
def human_monitor_command(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> str | Deferred:
    """Carry a line out; the reply is what a person would read, lines ended by CR and LF."""
    from fakeqemu.human import execute

    index = arguments.get("cpu-index", 0)
    if not 0 <= index < max(1, machine.line.cpus):
        raise CommandError("GenericError", "Parameter 'cpu-index' expects a CPU number")
    printed = execute(machine, arguments["command-line"], session)
    if isinstance(printed, str):
        return printed.replace("\n", "\r\n")
    reply = Deferred()
    printed.then(lambda text, _error: reply.resolve(str(text or "").replace("\n", "\r\n")))
    return reply
