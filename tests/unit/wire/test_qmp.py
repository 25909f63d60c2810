"""QMP's messages, turns and ids, from both ends."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from virtsim.errors import InternalError
from virtsim.wire import errors as wire_errors
from virtsim.wire.errors import (
    InvalidJSON,
    LocalProtocolError,
    MalformedMessage,
    MessageTooLarge,
    OutOfTurn,
    ProtocolError,
    Truncated,
    UnexpectedReply,
    UnknownMessage,
)
from virtsim.wire.qmp import (
    NEED_DATA,
    TRANSITIONS,
    Command,
    ConnectionClosed,
    ErrorReply,
    Event,
    Greeting,
    Kind,
    QmpEngine,
    Reply,
    Role,
    State,
)

VERSION = {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": "Debian 1:7.2"}
GREETING = (
    b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, '
    b'"capabilities": ["oob"]}}\r\n'
)


def events(engine: QmpEngine, data: bytes) -> list[object]:
    engine.receive_data(data)
    return list(iter(engine.next_event, NEED_DATA))


def client() -> QmpEngine:
    engine = QmpEngine(Role.CLIENT)
    events(engine, GREETING)
    engine.send(Command(name="qmp_capabilities", id="libvirt-1"))
    events(engine, b'{"return": {}, "id": "libvirt-1"}\r\n')
    assert engine.state is State.OPEN
    return engine


def server() -> QmpEngine:
    engine = QmpEngine(Role.SERVER)
    engine.send(Greeting(version=VERSION))
    events(engine, b'{"execute":"qmp_capabilities"}')
    engine.send(Reply(value={}))
    assert engine.state is State.OPEN
    return engine


# -- the client's end


def test_the_greeting_tells_version_and_capabilities() -> None:
    engine = QmpEngine(Role.CLIENT)
    (greeting,) = events(engine, GREETING)

    assert isinstance(greeting, Greeting)
    assert greeting.version["qemu"] == {"micro": 0, "minor": 2, "major": 7}
    assert greeting.capabilities == ("oob",)
    assert engine.state is State.NEGOTIATION


def test_several_messages_in_one_read() -> None:
    engine = client()
    engine.send(Command(name="stop", id="libvirt-2"))

    assert events(
        engine,
        b'{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}\r\n'
        b'{"return": {}, "id": "libvirt-2"}\r\n{"event": "X", "data": {"a": 1}}\r\n',
    ) == [
        Event(name="STOP", timestamp=(1, 2)),
        Reply(value={}, id="libvirt-2"),
        Event(name="X", data={"a": 1}),
    ]


def test_replies_may_come_out_of_order() -> None:
    engine = client()
    for id_ in ("a", "b", "c"):
        engine.send(Command(name="x", id=id_))

    assert [
        reply.id
        for reply in events(engine, b'{"return":1,"id":"c"}{"return":2,"id":"a"}{"return":3,"id":"b"}')
    ] == [
        "c",
        "a",
        "b",
    ]
    assert engine.outstanding == 0


def test_an_error_reply() -> None:
    engine = client()
    engine.send(Command(name="x", id="1"))

    assert events(
        engine,
        b'{"id": "1", "error": {"class": "CommandNotFound", "desc": "The command x has not been found"}}',
    ) == [ErrorReply(error_class="CommandNotFound", desc="The command x has not been found", id="1")]


def test_a_reply_without_id_is_for_the_command_sent_last() -> None:
    engine = client()
    engine.send(Command(name="x", id="1"))
    engine.send(Command(name="y", id="2"))
    events(engine, b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}')

    with pytest.raises(UnexpectedReply):
        events(engine, b'{"return": {}, "id": "2"}')


def test_the_negotiation_may_fail_and_be_tried_again() -> None:
    engine = QmpEngine(Role.CLIENT)
    events(engine, GREETING)
    engine.send(Command(name="query-status"))
    events(engine, b'{"error": {"class": "CommandNotFound", "desc": "Expecting capabilities negotiation"}}')
    engine.send(Command(name="qmp_capabilities", arguments={"enable": ["oob", "x"]}))
    events(engine, b'{"error": {"class": "GenericError", "desc": "no x"}}')
    assert engine.state is State.NEGOTIATION
    engine.send(Command(name="qmp_capabilities"))
    events(engine, b'{"return": {}}')

    assert engine.state is State.OPEN


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (Command(name="stop", id="libvirt-7"), b'{"execute":"stop","id":"libvirt-7"}\r\n'),
        (Command(name="stop"), b'{"execute":"stop"}\r\n'),
        (Command(name='a"b', id="\u00e9"), b'{"execute":"a\\"b","id":"\\u00e9"}\r\n'),
        (
            Command(name="balloon", arguments={"value": 1}, id="1"),
            b'{"execute":"balloon","arguments":{"value":1},"id":"1"}\r\n',
        ),
        (Command(name="a", arguments={}), b'{"execute":"a","arguments":{}}\r\n'),
        (
            Command(name="a", id=5, arguments={"b": None}),
            b'{"execute":"a","arguments":{"b":null},"id":5}\r\n',
        ),
        (Command(name="a", oob=True, id="x"), b'{"exec-oob":"a","id":"x"}\r\n'),
    ],
)
def test_commands_are_written_as_libvirt_writes_them(command: Command, data: bytes) -> None:
    assert client().send(command) == data


BAD_FOR_A_CLIENT = {
    "unknown": (b'{"foo": 1}', UnknownMessage, "Unknown JSON reply '{\"foo\": 1}'"),
    "empty": (b"{}", UnknownMessage, "Unknown JSON reply '{}'"),
    "no command": (b'{"return": {}}', UnexpectedReply, "Unexpected JSON reply '{\"return\": {}}'"),
    "no command, error": (
        b'{"error": {"class": "a", "desc": "b"}}',
        UnexpectedReply,
        "Unexpected JSON reply",
    ),
    "greeting again": (GREETING, OutOfTurn, "greeting in state open"),
    "event without name": (b'{"event": 1}', MalformedMessage, "the event's name is a string"),
    "event with list": (b'{"event": "X", "data": []}', MalformedMessage, "data is an object"),
    "event with strange time": (b'{"event": "X", "timestamp": 5}', MalformedMessage, "a member is no dict"),
    "event with no seconds": (b'{"event": "X", "timestamp": {}}', MalformedMessage, "a member is no int"),
    "no JSON": (b"foo\n", InvalidJSON, "cannot parse json foo"),
}


@pytest.mark.parametrize(("data", "kind", "text"), BAD_FOR_A_CLIENT.values(), ids=BAD_FOR_A_CLIENT)
def test_what_a_client_cannot_take_breaks_it(data: bytes, kind: type[ProtocolError], text: str) -> None:
    engine = client()

    with pytest.raises(kind) as caught:
        events(engine, data)

    assert text in str(caught.value)
    assert engine.state is State.BROKEN
    assert events(engine, b'{"event": "X"}') == []
    with pytest.raises(LocalProtocolError):
        engine.send(Command(name="stop"))


@pytest.mark.parametrize(
    "data",
    [
        b'{"error": 1, "id": "1"}',
        b'{"error": {}, "id": "1"}',
        b'{"error": {"class": "x"}, "id": "1"}',
        b'{"error": {"class": 1, "desc": "x"}, "id": "1"}',
    ],
)
def test_a_malformed_error_reply(data: bytes) -> None:
    engine = client()
    engine.send(Command(name="x", id="1"))

    with pytest.raises(MalformedMessage):
        events(engine, data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"QMP": 1}',
        b'{"QMP": {}}',
        b'{"QMP": {"version": 1}}',
        b'{"QMP": {"version": {}, "capabilities": {}}}',
        b'{"QMP": {"version": {}, "capabilities": [1]}}',
    ],
)
def test_a_malformed_greeting(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        events(QmpEngine(Role.CLIENT), data)


@pytest.mark.parametrize("data", [b'{"event": "X"}', b'{"return": {}}'])
def test_nothing_comes_before_the_greeting(data: bytes) -> None:
    with pytest.raises((OutOfTurn, UnexpectedReply)):
        events(QmpEngine(Role.CLIENT), data)


def test_no_command_before_the_greeting() -> None:
    with pytest.raises(LocalProtocolError):
        QmpEngine(Role.CLIENT).send(Command(name="qmp_capabilities"))


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1)])
def test_ids_of_different_types_are_different(one: object, other: object) -> None:
    engine = client()
    engine.send(Command(name="x", id=one))

    with pytest.raises(UnexpectedReply):
        events(engine, QmpEngine(Role.SERVER)._encode({"return": {}, "id": other}))


# -- the server's end


@pytest.mark.parametrize("id_", [None, "a", 1, 1.5, True, ["x", {"y": 1}], {"z": None}])
def test_a_reply_repeats_the_id(id_: object) -> None:
    engine = server()
    (command,) = events(engine, client().send(Command(name="stop", id=id_)))

    assert command == Command(name="stop", id=id_)
    answered = client()
    answered.send(command)
    assert events(answered, engine.send(Reply(value={"x": 1}, id=command.id))) == [
        Reply(value={"x": 1}, id=id_)
    ]


def test_commands_without_anything_between_them() -> None:
    assert events(server(), b'{"execute":"a"}{"execute":"b","arguments":{}}{"exec-oob":"c","id":1}') == [
        Command(name="a"),
        Command(name="b", arguments={}),
        Command(name="c", id=1, oob=True),
    ]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", UnknownMessage),
        (b'{"execute": 1}', MalformedMessage),
        (b'{"execute": ""}', MalformedMessage),
        (b'{"execute": "x", "arguments": []}', MalformedMessage),
        (b'{"execute": "x", "argument": {}}', MalformedMessage),
        (b'{"execute": "x", "exec-oob": "x"}', MalformedMessage),
    ],
)
def test_what_a_server_cannot_take(data: bytes, kind: type[ProtocolError]) -> None:
    with pytest.raises(kind):
        events(server(), data)


def test_a_server_answers_only_what_was_asked() -> None:
    engine = server()
    with pytest.raises(LocalProtocolError):
        engine.send(Reply(value={}, id="x"))
    events(engine, b'{"execute":"a","id":"x"}')
    engine.send(ErrorReply(error_class="GenericError", desc="no", id="x"))
    with pytest.raises(LocalProtocolError):
        engine.send(Reply(value={}, id="x"))


def test_a_server_cannot_greet_twice_nor_speak_first() -> None:
    engine = QmpEngine(Role.SERVER)
    with pytest.raises(LocalProtocolError):
        engine.send(Event(name="STOP"))
    engine.send(Greeting(version=VERSION))
    with pytest.raises(LocalProtocolError):
        engine.send(Greeting(version=VERSION))


def test_nothing_but_errors_before_the_negotiation_is_over() -> None:
    engine = QmpEngine(Role.SERVER)
    engine.send(Greeting(version=VERSION))
    events(engine, b'{"execute":"stop"}')
    with pytest.raises(LocalProtocolError):
        engine.send(Reply(value={}))

    assert engine.send(ErrorReply(error_class="CommandNotFound", desc="no")).endswith(b"}\r\n")


# -- both ends


@pytest.mark.parametrize("engine", [client, server], ids=["client", "server"])
@pytest.mark.parametrize("event", [Command(name="x"), Reply(value=1), Event(name="X"), ConnectionClosed()])
def test_each_end_sends_only_its_own(engine, event) -> None:
    if isinstance(event, Command) == (engine is client) and not isinstance(event, (Reply, ConnectionClosed)):
        engine().send(event)
    else:
        with pytest.raises(LocalProtocolError):
            engine().send(event)


@pytest.mark.parametrize("value", [float("nan"), object(), {1: 2, (3,): 4}, {"x"}])
def test_what_is_no_json_is_not_sent(value: object) -> None:
    engine = client()
    with pytest.raises(LocalProtocolError):
        engine.send(Command(name="x", arguments={"value": value}))

    assert engine.outstanding == 0


def test_nothing_over_the_bound_is_sent() -> None:
    engine = QmpEngine(Role.SERVER, max_bytes=100)
    with pytest.raises(LocalProtocolError):
        engine.send(Greeting(version={"x": "y" * 100}))


def test_the_bound_of_ten_mebibytes_is_libvirts() -> None:
    with pytest.raises(MessageTooLarge, match="10485760"):
        events(client(), b'{"event": "' + b"X" * (10 * 1024 * 1024))


@pytest.mark.parametrize("engine", [client, server], ids=["client", "server"])
def test_end_of_file_between_messages(engine) -> None:
    made = engine()
    made.receive_eof()

    assert list(iter(made.next_event, NEED_DATA)) == [ConnectionClosed()]
    assert made.state is State.CLOSED
    with pytest.raises(LocalProtocolError):
        made.send(Command(name="x") if engine is client else Event(name="X"))


def test_end_of_file_before_the_greeting() -> None:
    engine = QmpEngine(Role.CLIENT)
    engine.receive_eof()

    assert engine.next_event() == ConnectionClosed()


def test_end_of_file_after_what_came_before() -> None:
    engine = client()
    engine.receive_data(b'{"event": "X"}\r\n{"eve')
    engine.receive_eof()

    assert engine.next_event() == Event(name="X")
    with pytest.raises(Truncated):
        engine.next_event()
    assert engine.state is State.BROKEN


@pytest.mark.parametrize(("state", "kind"), list(itertools.product(State, Kind)))
def test_the_table_alone_decides_whose_turn_it_is(state: State, kind: Kind) -> None:
    engine = QmpEngine(Role.SERVER)
    engine._move(state)
    if (state, kind) in TRANSITIONS:
        engine._send_turn(kind)
        assert engine.state is TRANSITIONS[state, kind]
    else:
        with pytest.raises(LocalProtocolError):
            engine._send_turn(kind)
        assert engine.state is state


def test_every_state_but_the_last_two_leads_on() -> None:
    assert {state for state, _ in TRANSITIONS} == {State.GREETING, State.NEGOTIATION, State.OPEN}
    assert all((state, Kind.EOF) in TRANSITIONS for state, _ in TRANSITIONS)


def test_events_are_frozen_and_named() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Event(name="X").name = "Y"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Event("X")  # type: ignore[misc]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Command(name=""),
        lambda: Command(name="x", arguments=[]),
        lambda: Event(name=None),
        lambda: ErrorReply(error_class=None, desc=""),
        lambda: Greeting(version=None),
    ],
)
def test_an_event_that_cannot_be_is_not_made(make) -> None:
    with pytest.raises(ValueError):
        make()


def test_the_tree_of_faults_is_as_drawn() -> None:
    assert wire_errors.__doc__ is not None
    for name in wire_errors.__all__:
        kind = getattr(wire_errors, name)
        assert f"-- {name} " in wire_errors.__doc__
        assert issubclass(kind, InternalError) is (kind is not LocalProtocolError)
