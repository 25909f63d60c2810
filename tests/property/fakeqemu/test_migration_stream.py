"""Whatever comes on a migration stream or is typed at the monitor: refused, or taken in good order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fakeqemu import actions as do
from fakeqemu.human.line import BadLine, Scanner, arguments
from fakeqemu.human.table import COMMANDS
from fakeqemu.migration import stream
from tests.helpers.pair import Wires, argv_with
from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
SECTIONS = st.lists(st.tuples(st.integers(1, 7), JSON), max_size=6)
NAMED = st.sampled_from(["machine", "blocks", "cpus", "devices", "name", "value", "runstate", "pass", "runs"])
SHAPED = st.lists(
    st.tuples(
        st.integers(1, 7),
        st.dictionaries(NAMED, JSON | st.sampled_from(["running", "migration", "pc-i440fx-7.2"])),
    ),
    max_size=6,
)
EVENTS = [{"capability": name, "state": True} for name in ("events", "postcopy-ram", "return-path")]


def arrive(data: bytes, cuts: list[int]) -> Any:
    """A machine to which these bytes come, in pieces, and then the end."""
    wires = Wires()
    member = wires.member(argv=argv_with("-incoming", "unix:/run/mig"))
    conn = member.open()
    member.ask(conn, "migrate-set-capabilities", capabilities=EVENTS)
    member.sent[77] = b""
    member._plan(member.machine.connected(member.now, "-incoming", 77))
    member.run(0)
    for piece in pieces(data, cuts):
        if member.ended is not None:
            break
        member._plan(member.machine.received(member.now, 77, piece))
        member.run(0)
    if member.ended is None:
        member._plan(member.machine.disconnected(member.now, 77))
        member.run(SECOND)
    return member


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(marks)] or [data]


def in_order(member: Any) -> None:
    """It ended as QEMU does when a stream is no good, or has its guest, or waits for the rest."""
    status = (
        None
        if member.machine.parts["migration"].incoming is None
        else member.machine.parts["migration"].incoming.status
    )
    if status == "failed":
        assert member.ended == do.Exit(1)
        assert "load of migration failed: " in member.stderr
    else:
        assert status in ("completed", "postcopy-paused")
        assert member.ended is None


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4), st.booleans())
def test_any_bytes(data: bytes, cuts: list[int], header: bool) -> None:
    in_order(arrive(stream.HEADER + data if header else data, cuts))


@given(SECTIONS | SHAPED, st.lists(st.integers(0, 400), max_size=4))
@settings(max_examples=200)
def test_any_sections(sections: list[tuple[int, Any]], cuts: list[int]) -> None:
    in_order(arrive(stream.HEADER + b"".join(stream.section(kind, value) for kind, value in sections), cuts))


@given(st.integers(0, 4000), st.integers(1, 255))
@settings(max_examples=60)
def test_one_byte_is_wrong(position: int, flip: int) -> None:
    """A good stream with one byte changed: refused; never taken for another one."""
    data = bytearray(good())
    position %= len(data)
    data[position] ^= flip
    member = arrive(bytes(data), [position])
    assert member.machine.parts["migration"].incoming.status == "failed"


_good: list[bytes] = []


def good() -> bytes:
    if not _good:
        wires = Wires()
        member = wires.member()
        conn = member.open()
        message = b'{"execute":"getfd","arguments":{"fdname":"m"}}'
        member._plan(member.machine.received(member.now, conn, message, (9,)))
        member.run(0)
        member.take(conn)
        assert member.ask(conn, "migrate", uri="fd:m") == {}
        wires.run(SECOND)
        _good.append(bytes(wires.files[9]))
    return _good[0]


def test_the_good_one_is_taken() -> None:
    assert arrive(good(), [10, 50]).machine.parts["migration"].incoming.status == "completed"


@given(JSON, st.integers(1, 7), st.lists(st.integers(0, 100), max_size=5))
def test_what_is_written_is_read(value: Any, kind: int, cuts: list[int]) -> None:
    reader, found = stream.Reader(), []
    for piece in pieces(stream.HEADER + stream.section(kind, value), cuts):
        found += reader.feed(piece)
    assert found == [(kind, value)]


TYPED = st.text(st.characters(codec="ascii"), max_size=40)
LINES = st.one_of(
    TYPED,
    st.builds(lambda entry, rest: f"{entry.split('|')[0]} {rest}", st.sampled_from(sorted(COMMANDS)), TYPED),
    st.builds(lambda word: f"print {word}", st.text("0123456789+-*/%&|^~()' x", max_size=20)),
)


@given(LINES)
def test_any_line_is_read(line: str) -> None:
    scanner = Scanner(line)
    for types in COMMANDS.values():
        refused = refusal(lambda types=types: arguments("name", types, line, label="name"))
        assert refused is None or refused
    assert refusal(lambda: expression_fits(scanner)) != ""


def refusal(act: Any) -> str | None:
    try:
        act()
    except BadLine as problem:
        return str(problem)
    return None


def expression_fits(scanner: Scanner) -> None:
    assert 0 <= scanner.expression() < 1 << 64


@given(st.lists(LINES, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_line_is_answered(lines: list[str]) -> None:
    puppet = Puppet().start()
    conn = puppet.open()
    for line in lines:
        if puppet.ended is not None:
            return
        puppet.write(conn, encoded(line))
        puppet.run(100 * SECOND)
        if puppet.ended is None:
            replies = [one for one in puppet.messages(conn) if "event" not in one]
            assert len(replies) == 1
            assert "return" in replies[0]


def encoded(line: str) -> bytes:
    import json

    return json.dumps({"execute": "human-monitor-command", "arguments": {"command-line": line}}).encode()


MONITOR = (*ARGV[:8], "-nodefaults", "-monitor", "unix:/run/h,server=on,wait=off")


@given(st.lists(st.binary(max_size=30), max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_keys(bursts: list[bytes]) -> None:
    puppet = Puppet(argv=MONITOR).start()
    conn = puppet.connect(puppet.accepting[0])
    for burst in bursts:
        if puppet.ended is None:
            puppet.write(conn, burst)
            puppet.run(MS)
    if puppet.ended is None:
        puppet.write(conn, b"\n")
        puppet.run(100 * SECOND)
    assert puppet.ended is not None or puppet.take(conn).rstrip(b"\x1b[KDC").endswith(b"(qemu) ")
