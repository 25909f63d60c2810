"""For every conversation, every split of the bytes and every fault: the same events, the same end."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from virtsim.wire.errors import FramingError, ProtocolError
from virtsim.wire.jsonstream import NEED_DATA, JsonStream
from virtsim.wire.qmp import (
    Command,
    ErrorReply,
    Event,
    Greeting,
    QmpEngine,
    Reply,
    Role,
    State,
)

text = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(text, values, max_size=4)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
ids = st.none() | st.integers() | text | st.lists(st.integers(), max_size=2)
#: QEMU's two ways to write, a compact one, and one that no program has.
layouts = st.sampled_from(
    [{}, {"indent": 4}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": "\t\r\n "}]
)
betweens = st.sampled_from([b"", b"\n", b"\r\n", b" \r\n\t\n"])


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


cuts = st.lists(st.integers(0, 10_000), max_size=20)


def outcome(reads: list[bytes], *, drain: bool) -> tuple[list[Any], str]:
    stream = JsonStream(200)
    found: list[Any] = []
    try:
        for data in reads:
            stream.receive_data(data)
            while drain and (value := stream.next_value()) is not NEED_DATA:
                found.append(value)
        while (value := stream.next_value()) is not NEED_DATA:
            found.append(value)
        stream.end()
    except FramingError as error:
        return found, repr(error)
    return found, ""


@given(st.lists(st.tuples(objects, layouts, betweens), max_size=5), cuts, st.booleans())
def test_any_split_gives_the_same_objects(messages, where: list[int], drain: bool) -> None:
    data = b"".join(json.dumps(value, **layout).encode() + after for value, layout, after in messages)
    stream = JsonStream()
    found: list[Any] = []
    for part in split(data, where):
        stream.receive_data(part)
        while drain and (value := stream.next_value()) is not NEED_DATA:
            found.append(value)
    while (value := stream.next_value()) is not NEED_DATA:
        found.append(value)
    stream.end()

    assert found == [value for value, _, _ in messages]


pieces = st.sampled_from(
    [
        *(bytes([byte]) for byte in b'{}[]"\\:, \n\r1x\0\xff'),
        *(b'{"a": 1}', b'"b"', b"null", b'{"a": "', b'": 2}', b"[" * 60, b"y" * 90),
        *(b"\xc3\xa9", b"\xed\xa0\x80", b"\\ud800"),
    ]
)


@given(st.lists(pieces | st.binary(max_size=4), max_size=20), cuts, st.booleans())
def test_any_split_of_any_bytes_gives_the_same_objects_and_the_same_fault(
    parts: list[bytes], where: list[int], drain: bool
) -> None:
    data = b"".join(parts)
    whole = outcome([data], drain=True)

    assert outcome(split(data, where), drain=drain) == whole
    assert outcome([data[i : i + 1] for i in range(len(data))], drain=True) == whole


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_protocol_errors(data: bytes) -> None:
    for role in Role:
        engine = QmpEngine(role)
        engine.receive_data(data)
        engine.receive_eof()
        try:
            while engine.next_event() is not NEED_DATA:
                pass
        except ProtocolError:
            assert engine.state is State.BROKEN


class Wire:
    """Two engines and the bytes between them, cut anywhere."""

    def __init__(self, where: list[int]) -> None:
        self.client, self.server = QmpEngine(Role.CLIENT), QmpEngine(Role.SERVER)
        self.where = where

    def pass_on(self, sender: QmpEngine, receiver: QmpEngine, sent: list[Any]) -> list[Any]:
        got = []
        for part in split(b"".join(sender.send(event) for event in sent), self.where):
            receiver.receive_data(part)
            got += list(iter(receiver.next_event, NEED_DATA))
        return got

    def open(self) -> None:
        hello = [Greeting(version={"qemu": {}}, capabilities=("oob",))]
        assert self.pass_on(self.server, self.client, hello) == hello
        ask = [Command(name="qmp_capabilities", id=0)]
        assert self.pass_on(self.client, self.server, ask) == ask
        self.pass_on(self.server, self.client, [Reply(value={}, id=0)])
        assert self.client.state is self.server.state is State.OPEN


@given(
    st.lists(
        st.builds(
            Command,
            name=names.filter("qmp_capabilities".__ne__),
            arguments=st.none() | objects,
            id=ids,
            oob=st.booleans(),
        ),
        max_size=5,
    ),
    cuts,
)
def test_what_a_client_writes_a_server_reads(commands: list[Command], where: list[int]) -> None:
    wire = Wire(where)
    wire.open()

    assert wire.pass_on(wire.client, wire.server, commands) == commands
    assert wire.client.outstanding == wire.server.outstanding == len(commands)


@given(st.data(), st.integers(0, 5), cuts)
def test_what_a_server_writes_a_client_reads(data: st.DataObject, count: int, where: list[int]) -> None:
    wire = Wire(where)
    wire.open()
    commands = [Command(name="x", id=f"libvirt-{number}") for number in range(count)]
    wire.pass_on(wire.client, wire.server, commands)
    sent: list[Any] = []
    for command in data.draw(st.permutations(commands)):  # out of order, events in between
        stamps = st.none() | st.tuples(st.integers(), st.integers())
        sent += data.draw(
            st.lists(st.builds(Event, name=names, data=st.none() | objects, timestamp=stamps), max_size=2)
        )
        sent.append(
            data.draw(
                st.builds(Reply, value=values, id=st.just(command.id))
                | st.builds(ErrorReply, error_class=text, desc=text, id=st.just(command.id))
            )
        )

    assert wire.pass_on(wire.server, wire.client, sent) == sent
    assert wire.client.outstanding == wire.server.outstanding == 0
