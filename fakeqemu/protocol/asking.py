"""Ask the machine itself what a monitor could ask it: one command runs another.

Knows where commands are found. Must not know what any of them does.
"""

from __future__ import annotations

from fakeqemu.registry import COMMANDS, CommandError, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["ask", "nobody"]


def nobody() -> Session:
    """A session that no client has: for commands that come from elsewhere."""
    from fakeqemu.protocol.session import Session

    session = Session(0)
    session.negotiated = True
    return session


def ask(
    machine: FakeQemu, name: str, arguments: dict[str, Any] | None = None, session: Session | None = None
) -> Any:
    """Run a command; its value, or a `fakeqemu.registry.Deferred`.

    Raises:
        CommandError: as a monitor would hear it; CommandNotFound for what is not modelled.
    """
    given = arguments or {}
    command = COMMANDS.get(name) or load(name)
    if command is None:
        recorded = machine.profile.value(name, given)
        if recorded is not None:
            return recorded
        refusal = machine.profile.refusal(name, given)
        if refusal is not None:
            raise CommandError(refusal["class"], refusal["desc"])
        raise CommandError("CommandNotFound", f"The command {name} has not been found")
    from fakeqemu.protocol.qjson import Raw, parse

    speaker = session or nobody()
    if command.takes:
        from fakeqemu.protocol.schema import check

        check(machine.profile, name, given)
        value = command.run(machine, speaker, given)
    else:
        value = command.run(machine, speaker)
    return parse(value.text) if isinstance(value, Raw) else value
