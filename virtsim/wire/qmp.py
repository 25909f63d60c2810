"""QMP, QEMU's monitor protocol: bytes to events and events to bytes, for either end of the conversation.

Knows the messages, whose turn it is, and libvirt's bound on their size. Must not know sockets, clocks, or
what any command does. The specification is QEMU 7.2's ``docs/interop/qmp-spec.rst``; faults are classes of
`virtsim.wire.errors`.

::

    engine = QmpEngine(Role.CLIENT)
    engine.receive_data(data)                   # whatever came; b"" is no end of file: see receive_eof()
    while (event := engine.next_event()) is not NEED_DATA:
        ...
    transport.write(engine.send(Command(name="query-status", id="libvirt-2")))

The session is a table, `TRANSITIONS`: what is absent in it is out of turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final, TypeVar

from virtsim.wire.errors import (
    LocalProtocolError,
    MalformedMessage,
    OutOfTurn,
    ProtocolError,
    UnexpectedReply,
    UnknownMessage,
)
from virtsim.wire.jsonstream import MAX_MESSAGE_BYTES, NEED_DATA, JsonStream, NeedData, quote
from virtsim.wire.qmp_events import Command, ConnectionClosed, ErrorReply, Event, Greeting, QmpEvent, Reply

__all__ = [
    "CAPABILITIES_COMMAND",
    "MAX_MESSAGE_BYTES",
    "NEED_DATA",
    "TRANSITIONS",
    "Command",
    "ConnectionClosed",
    "ErrorReply",
    "Event",
    "Greeting",
    "Kind",
    "QmpEngine",
    "QmpEvent",
    "Reply",
    "Role",
    "State",
]

_E = TypeVar("_E")

#: The command that ends the negotiation.
CAPABILITIES_COMMAND: Final = "qmp_capabilities"


class Role(StrEnum):
    """Which end of the conversation an engine is."""

    CLIENT = "client"
    SERVER = "server"


class State(StrEnum):
    """Where a session stands; both ends see the same."""

    GREETING = "greeting"
    NEGOTIATION = "negotiation"
    OPEN = "open"
    CLOSED = "closed"
    BROKEN = "broken"


class Kind(StrEnum):
    """What moves a session on."""

    GREETING = "greeting"
    COMMAND = "command"
    RETURN = "return"
    ERROR = "error"
    CAPABILITIES_DONE = "capabilities-done"
    EVENT = "event"
    EOF = "eof"


#: (state, what is sent or received) -> state.
TRANSITIONS: dict[tuple[State, Kind], State] = {
    # "Right when connected the Server will issue a greeting message" (qmp-spec 2.2).
    (State.GREETING, Kind.GREETING): State.NEGOTIATION,
    (State.GREETING, Kind.EOF): State.CLOSED,
    # "mode is negotiation ... only the qmp_capabilities command is allowed" (4): others get CommandNotFound.
    (State.NEGOTIATION, Kind.COMMAND): State.NEGOTIATION,
    (State.NEGOTIATION, Kind.ERROR): State.NEGOTIATION,
    (State.NEGOTIATION, Kind.CAPABILITIES_DONE): State.OPEN,
    # QEMU sends none before the negotiation is over; libvirt takes them all the same, and so do we.
    (State.NEGOTIATION, Kind.EVENT): State.NEGOTIATION,
    (State.NEGOTIATION, Kind.EOF): State.CLOSED,
    (State.OPEN, Kind.COMMAND): State.OPEN,
    (State.OPEN, Kind.RETURN): State.OPEN,
    (State.OPEN, Kind.ERROR): State.OPEN,
    (State.OPEN, Kind.EVENT): State.OPEN,
    (State.OPEN, Kind.EOF): State.CLOSED,
}

_ROWS: dict[State, dict[Kind, State]] = {
    state: {kind: to for (at, kind), to in TRANSITIONS.items() if at is state} for state in State
}


class QmpEngine:
    """One end of one QMP conversation.

    Args:
        role: which end.
        max_bytes: longest message that is accepted or sent.
    """

    __slots__ = ("_closed", "_eof", "_max_bytes", "_outstanding", "_role", "_row", "_state", "_stream")

    def __init__(self, role: Role, *, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._role = role
        self._max_bytes = max_bytes
        self._stream = JsonStream(max_bytes)
        self._state = State.GREETING
        self._row = _ROWS[State.GREETING]
        self._outstanding: list[tuple[Any, str]] = []  # (id, name) in the order sent
        self._eof = False
        self._closed = False

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def outstanding(self) -> int:
        """How many commands have no reply yet."""
        return len(self._outstanding)

    def receive_data(self, data: bytes) -> None:
        """Take bytes as they came from the peer; `next_event` looks at them. A BROKEN engine drops them."""
        if self._state is not State.BROKEN:
            self._stream.receive_data(data)

    def receive_eof(self) -> None:
        """The peer has hung up."""
        self._eof = True

    def next_event(self) -> QmpEvent | NeedData:
        """The next event, or `NEED_DATA`.

        After an error the engine is BROKEN: the rest of what came is not looked at, and every further call
        answers `NEED_DATA`.

        Raises:
            ProtocolError: what the peer sent is wrong; the class says how.
        """
        if self._state is State.BROKEN:
            return NEED_DATA
        try:
            message = self._stream.next_value()
            if isinstance(message, NeedData):
                return self._no_more() if self._eof else NEED_DATA
            if self._role is Role.CLIENT:
                return self._from_server(message)
            return self._from_client(message)
        except ProtocolError:
            self._move(State.BROKEN)
            raise

    def send(self, event: QmpEvent) -> bytes:
        """What to write for ``event``, ended by CR LF.

        Raises:
            LocalProtocolError: this end must not send that now, or it cannot be written; the session is as
                before.
        """
        if self._role is Role.CLIENT:
            if isinstance(event, Command):
                return self._send_command(event)
        elif isinstance(event, (Reply, ErrorReply)):
            return self._send_reply(event)
        elif isinstance(event, (Greeting, Event)):
            return self._send_freely(event)
        raise LocalProtocolError(f"a {self._role} does not send a {type(event).__name__}")

    # -- receiving

    def _from_server(self, message: dict[str, Any]) -> QmpEvent:
        if "return" in message and "error" not in message:
            id_ = message.get("id")
            self._turn(self._answered(message, id_, Kind.RETURN), message)
            return Reply(value=message["return"], id=id_)
        if "event" in message:
            self._turn(Kind.EVENT, message)
            return _event(message)
        if "error" in message:
            id_ = message.get("id")
            self._turn(self._answered(message, id_, Kind.ERROR), message)
            error = _member(message, "error", dict)
            return _build(ErrorReply, message, error_class=error.get("class"), desc=error.get("desc"), id=id_)
        if "QMP" in message:
            self._turn(Kind.GREETING, message)
            banner = _member(message, "QMP", dict)
            capabilities = banner.get("capabilities", [])
            _check_type(capabilities, list, message)
            return _build(Greeting, message, version=banner.get("version"), capabilities=tuple(capabilities))
        raise UnknownMessage(f"Unknown JSON reply '{quote(message)}'")

    def _from_client(self, message: dict[str, Any]) -> QmpEvent:
        oob = "exec-oob" in message
        if not oob and "execute" not in message:
            raise UnknownMessage(f"QMP input lacks member 'execute': '{quote(message)}'")
        if unknown := message.keys() - {"exec-oob" if oob else "execute", "arguments", "id"}:
            raise MalformedMessage(f"QMP input member '{min(unknown)}' is unexpected")
        self._turn(Kind.COMMAND, message)
        command = _build(
            Command,
            message,
            name=message["exec-oob" if oob else "execute"],
            arguments=message.get("arguments"),
            id=message.get("id"),
            oob=oob,
        )
        self._outstanding.append((command.id, command.name))
        return command

    def _answered(self, message: dict[str, Any], id_: Any, kind: Kind) -> Kind:
        """Strike the command off that this reply is for, and tell what the reply means for the session."""
        name = self._strike(id_)
        if name is None:
            raise UnexpectedReply(f"Unexpected JSON reply '{quote(message)}'")
        if kind is Kind.RETURN and name == CAPABILITIES_COMMAND:
            return Kind.CAPABILITIES_DONE
        return kind

    def _strike(self, id_: Any) -> str | None:
        """Remove the oldest outstanding command with this id and return its name; None: there is none.

        A reply without an id is for the command sent last: QEMU leaves it out when it could not make out the
        command, and earlier ones have been made out, or given up.
        """
        outstanding = self._outstanding
        for index, (known, name) in enumerate(outstanding):
            if known == id_ and type(known) is type(id_):
                del outstanding[index]
                return name
        if id_ is None and outstanding and self._role is Role.CLIENT:
            return outstanding.pop()[1]
        return None

    def _no_more(self) -> QmpEvent | NeedData:
        """What comes after the last message of a peer that has hung up."""
        if self._closed:
            return NEED_DATA
        self._closed = True
        self._stream.end()
        self._move(_ROWS[self._state][Kind.EOF])
        return ConnectionClosed()

    def _turn(self, kind: Kind, message: dict[str, Any]) -> None:
        state = self._row.get(kind)
        if state is None:
            raise OutOfTurn(f"{kind} in state {self._state}: '{quote(message)}'")
        if state is not self._state:
            self._move(state)

    def _move(self, state: State) -> None:
        self._state = state
        self._row = _ROWS[state]

    # -- sending

    def send_command(self, name: str, arguments: Mapping[str, Any] | None, id_: str) -> bytes:
        """The same as ``send(Command(...))`` for the usual command, whose id is text, in half the time.

        It is put together by hand, since this and decoding the reply are the dearest parts of a round trip.
        """
        if self._role is not Role.CLIENT or Kind.COMMAND not in self._row:
            raise LocalProtocolError(f"no command can be sent by a {self._role} in state {self._state}")
        text = '{"execute":' + _quoted(name)
        if arguments is not None:
            text += ',"arguments":' + _dumps(arguments)
        data = self._bounded((text + ',"id":' + _quoted(id_) + "}\r\n").encode())
        self._outstanding.append((id_, name))
        return data

    def _send_command(self, command: Command) -> bytes:
        id_ = command.id
        if isinstance(id_, str) and not command.oob:
            return self.send_command(command.name, command.arguments, id_)
        if Kind.COMMAND not in self._row:
            raise LocalProtocolError(f"no command can be sent in state {self._state}")
        message: dict[str, Any] = {"exec-oob" if command.oob else "execute": command.name}
        if command.arguments is not None:
            message["arguments"] = command.arguments
        if id_ is not None:
            message["id"] = id_
        data = self._encode(message)
        self._outstanding.append((id_, command.name))
        return data

    def _send_reply(self, reply: Reply | ErrorReply) -> bytes:
        message: dict[str, Any]
        if isinstance(reply, Reply):
            message, kind = {"return": reply.value}, Kind.RETURN
        else:
            message, kind = {"error": {"class": reply.error_class, "desc": reply.desc}}, Kind.ERROR
        if reply.id is not None:
            message["id"] = reply.id
        data = self._encode(message)
        for known, name in self._outstanding:
            if known == reply.id and type(known) is type(reply.id):
                if kind is Kind.RETURN and name == CAPABILITIES_COMMAND:
                    kind = Kind.CAPABILITIES_DONE
                break
        else:
            raise LocalProtocolError(f"no command with id {reply.id!r} is outstanding")
        self._send_turn(kind)
        self._strike(reply.id)
        return data

    def _send_freely(self, event: Greeting | Event) -> bytes:
        message: dict[str, Any]
        if isinstance(event, Greeting):
            message = {"QMP": {"version": event.version, "capabilities": list(event.capabilities)}}
            kind = Kind.GREETING
        else:
            message, kind = {}, Kind.EVENT
            if event.timestamp is not None:
                seconds, microseconds = event.timestamp
                message["timestamp"] = {"seconds": seconds, "microseconds": microseconds}
            message["event"] = event.name
            if event.data is not None:
                message["data"] = event.data
        data = self._encode(message)
        self._send_turn(kind)
        return data

    def _send_turn(self, kind: Kind) -> None:
        state = self._row.get(kind)
        if state is None:
            raise LocalProtocolError(f"no {kind} can be sent in state {self._state}")
        self._move(state)

    def _encode(self, message: dict[str, Any]) -> bytes:
        return self._bounded((_dumps(message) + "\r\n").encode())

    def _bounded(self, data: bytes) -> bytes:
        if len(data) - 2 > self._max_bytes:
            raise LocalProtocolError(
                f"a message of {len(data) - 2} bytes is over the bound of {self._max_bytes}"
            )
        return data


_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _dumps(value: Any) -> str:
    try:
        return _encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise LocalProtocolError(f"not to be written as JSON: {error}") from error


def _build(kind: type[_E], message: dict[str, Any], **fields: Any) -> _E:
    """An event from a message of the peer's; what its class refuses is the peer's fault."""
    try:
        return kind(**fields)
    except ValueError as error:
        raise MalformedMessage(f"malformed QMP message '{quote(message)}': {error}") from error


def _member(message: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = message[name]
    _check_type(value, kind, message)
    return value


def _check_type(value: Any, kind: type[Any], message: dict[str, Any]) -> None:
    if type(value) is not kind:
        raise MalformedMessage(f"malformed QMP message '{quote(message)}': a member is no {kind.__name__}")


def _event(message: dict[str, Any]) -> Event:
    stamp = message.get("timestamp")
    timestamp = None
    if stamp is not None:
        _check_type(stamp, dict, message)
        timestamp = (stamp.get("seconds"), stamp.get("microseconds"))
        _check_type(timestamp[0], int, message)
        _check_type(timestamp[1], int, message)
    return _build(Event, message, name=message["event"], data=message.get("data"), timestamp=timestamp)
