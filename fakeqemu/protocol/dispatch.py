"""The one order in which everything happens to a command.

    parse -> known? -> arguments? -> state? -> fault rule -> delay -> run -> reply -> events

Knows qapi/qmp-dispatch.c of QEMU 7.2. Must not know what a command does: that stands in `fakeqemu.commands`.
Events of a command are sent before its reply, as QEMU's are: they are raised while it runs.
"""

from __future__ import annotations

from fakeqemu.protocol.qjson import Raw, encode, in_order
from fakeqemu.protocol.session import error_text, reply_text
from fakeqemu.registry import COMMANDS, CommandError, Deferred, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session
    from fakeqemu.registry import Command
    from fakeqemu.scripts.script import OnRule

__all__ = ["Request", "dispatch"]

NEGOTIATE = "qmp_capabilities"


class Request:
    """One command on its way through the order."""

    __slots__ = ("arguments", "call", "command", "has_id", "ident", "name", "rule")

    def __init__(self, message: dict[str, Any]) -> None:
        self.has_id = "id" in message
        self.ident = message.get("id")
        self.name = ""
        self.arguments: dict[str, Any] = {}
        self.command: Command | None = None
        #: What the script says to it.
        self.rule: OnRule | None = None
        #: Where the control socket keeps what became of it.
        self.call: dict[str, Any] | None = None


def dispatch(machine: FakeQemu, session: Session, message: Any, error: str | None) -> None:
    """Take one message of a client through to its reply."""
    if machine.rules is None:
        _take(machine, session, message, error)
    else:
        from fakeqemu.scripts.faults import heard

        heard(machine, session, lambda: _take(machine, session, message, error))


def _take(machine: FakeQemu, session: Session, message: Any, error: str | None) -> None:
    if error is None and not isinstance(message, dict):
        error = "QMP input must be a JSON object"
    if error is not None:
        machine.send(session.conn, error_text("GenericError", error, None, has_id=False))
        return
    request = Request(message)
    refusal: CommandError | None = None
    try:
        _understand(machine, session, request, message)
    except CommandError as failure:
        refusal = failure
    control = machine.parts.get("ctl")
    if control is not None:
        request.call = control.called(machine, session.conn, request)
    if refusal is not None:
        _refuse(machine, session, request, refusal)
        return
    if machine.rules is not None:
        request.rule = machine.pick("command", request.name, request.arguments)
    if request.rule is None:
        _answer(machine, session, request)
        return
    from fakeqemu.scripts.faults import commanded

    commanded(
        machine,
        session,
        request,
        lambda: _answer(machine, session, request),
        lambda: _execute(machine, session, request),
    )


def _understand(machine: FakeQemu, session: Session, request: Request, message: dict[str, Any]) -> None:
    """Parse, known?, arguments?, state?"""
    oob = _members(session, message)
    name = request.name = message["exec-oob" if oob else "execute"]
    request.arguments = message.get("arguments") or {}
    if not session.negotiated and name != NEGOTIATE:
        raise CommandError("CommandNotFound", f"Expecting capabilities negotiation with '{NEGOTIATE}'")
    if session.negotiated and name == NEGOTIATE:
        raise CommandError("CommandNotFound", "Capabilities negotiation is already complete, command ignored")
    command = request.command = COMMANDS.get(name) or load(name)
    if not machine.profile.knows(name):
        raise CommandError("CommandNotFound", f"The command {name} has not been found")
    if oob and name not in machine.profile.oob_commands:
        raise CommandError("GenericError", f"The command {name} does not support OOB")
    if command is not None and not command.checked:
        return
    if command is None or (command.takes and (request.arguments or name != NEGOTIATE)):
        if name == NEGOTIATE and not request.arguments:
            return  # nothing to check, and nothing to load for it
        from fakeqemu.protocol.schema import check

        check(machine.profile, name, request.arguments)
    elif request.arguments:
        from fakeqemu.glib import hash_order

        key = hash_order(in_order(tuple(request.arguments)))[0]
        raise CommandError("GenericError", f"Parameter '{key}' is unexpected")


def _members(session: Session, message: dict[str, Any]) -> bool:
    """Check the members of the message itself, in QEMU's order of looking; True when it is out of band."""
    found: str | None = None
    for key in in_order(tuple(message)):
        value = message[key]
        if key == "execute" or (key == "exec-oob" and session.oob):
            if not isinstance(value, str):
                raise CommandError("GenericError", f"QMP input member '{key}' must be a string")
            if found is not None:
                raise CommandError("GenericError", f"QMP input member '{key}' clashes with '{found}'")
            found = key
        elif key == "arguments":
            if not isinstance(value, dict):
                raise CommandError("GenericError", "QMP input member 'arguments' must be an object")
        elif key != "id":
            raise CommandError("GenericError", f"QMP input member '{key}' is unexpected")
    if found is None:
        raise CommandError("GenericError", "QMP input lacks member 'execute'")
    return found == "exec-oob"


def _answer(machine: FakeQemu, session: Session, request: Request) -> None:
    try:
        value = _execute(machine, session, request)
    except CommandError as failure:
        _refuse(machine, session, request, failure)
        return
    if type(value) is Deferred:
        session.busy = True
        value.then(lambda result, error: _late(machine, session, request, result, error))
    else:
        _reply(machine, session, request, value)


def _late(
    machine: FakeQemu, session: Session, request: Request, value: Any, error: CommandError | None
) -> None:
    """A command that took its time is done."""
    session.busy = False
    if session.conn not in machine.sessions:
        return
    if error is not None:
        _refuse(machine, session, request, error)
    else:
        _reply(machine, session, request, value)
    session.pump(machine)


def _reply(machine: FakeQemu, session: Session, request: Request, value: Any) -> None:
    text = value.text if type(value) is Raw else "{}" if value is None else encode(value)
    _say(machine, session, request, reply_text(text, request.ident, has_id=request.has_id))


def _say(machine: FakeQemu, session: Session, request: Request, text: str) -> None:
    """The reply leaves, unless the script has other ideas."""
    if request.call is not None:
        machine.parts["ctl"].answered(machine, request.call, text)
    if machine.rules is None:
        machine.send(session.conn, text)
    else:
        from fakeqemu.scripts.faults import replied

        replied(machine, session, request, text)


def _execute(machine: FakeQemu, session: Session, request: Request) -> Any:
    command = request.command
    if command is None:
        recorded = machine.profile.recorded(request.name, request.arguments)
        if recorded is None:
            refusal = machine.profile.refusal(request.name, request.arguments)
            if refusal is not None:
                raise CommandError(refusal["class"], refusal["desc"])
            # What is not modelled says so.
            raise CommandError("CommandNotFound", f"The command {request.name} has not been found")
        return recorded
    if command.takes:
        return command.run(machine, session, request.arguments)
    return command.run(machine, session)


def _refuse(machine: FakeQemu, session: Session, request: Request, failure: CommandError) -> None:
    text = error_text(failure.kind, failure.desc, request.ident, has_id=request.has_id)
    _say(machine, session, request, text)
