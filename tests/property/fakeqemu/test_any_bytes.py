"""Whatever comes in, the fake answers like QEMU or ends in good order; it never fails inside."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fakeqemu.actions import Exit
from fakeqemu.cmdline.argv import ArgvError, CommandLine
from fakeqemu.cmdline.options import FLAGS, WITH_VALUE
from fakeqemu.facts.profile import profile_for
from fakeqemu.protocol.qjson import JSONReader, encode
from fakeqemu.scripts.check import check_text
from fakeqemu.scripts.grammar import compile_rules, script_mistakes
from fakeqemu.scripts.script import Script
from fakeqemu.scripts.units import format_duration, parse_duration_ns
from tests.helpers.puppet import ARGV, Puppet

SIGNS = st.sampled_from(
    list(b"{}[]:,\"'\\ \n\t019-+.eEtrufalsnx%\x00\x01\x7f\x80\xc0\xed\xff") + list(b"u00e9")
)
NOISE = st.one_of(st.binary(max_size=60), st.lists(SIGNS, max_size=60).map(bytes))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
COMMANDS = sorted(profile_for("qemu-system-x86_64").commands)
WORDS = st.sampled_from(
    [
        "path",
        "property",
        "value",
        "id",
        "device",
        "name",
        "up",
        "protocol",
        "capabilities",
        "typename",
        "driver",
    ]
)
PATHS = st.sampled_from(["/machine", "balloon0", "/machine/peripheral/balloon0"])


def message(command, arguments, ident):
    return json.dumps({"execute": command, "arguments": arguments, "id": ident}).encode()


MESSAGES = st.builds(
    message, st.sampled_from(COMMANDS), st.dictionaries(WORDS, JSON | PATHS, max_size=3), JSON
)


@given(NOISE, st.lists(st.integers(0, 60), max_size=4))
def test_any_split_of_any_bytes_reads_the_same(data, cuts):
    whole = JSONReader().feed(data)
    reader, found, last = JSONReader(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        found += reader.feed(data[last:cut])
        last = max(last, cut)
    assert repr(found) == repr(whole)


@given(JSON)
def test_what_is_written_reads_back(value):
    [(read, error)] = JSONReader().feed(encode([value]).encode("ascii"))
    assert error is None or "Unicode" in error or "UTF-8" in error
    if error is None:
        assert read == [value]


@given(st.lists(NOISE | MESSAGES, max_size=6))
def test_a_monitor_survives_anything(messages):
    puppet = Puppet().start()
    conn = puppet.open()
    for data in messages:
        puppet.write(conn, data)
        puppet.run(10**9)
        if puppet.ended is not None:
            return
        for line in puppet.take(conn).split(b"\r\n"):
            line.decode("ascii")
    puppet.write(conn, b'\n\xff\n{"execute":"query-name","id":"still here"}')
    assert b'{"return": {"name": "vm"}, "id": "still here"}\r\n' in puppet.take(conn)


@given(st.lists(MESSAGES, max_size=4))
def test_every_command_with_arguments_is_answered_once(messages):
    puppet = Puppet().start()
    conn = puppet.open()
    for data in messages:
        puppet.write(conn, data)
        if puppet.ended is not None:
            return
        replies = [
            line for line in puppet.take(conn).split(b"\r\n") if line and b'"timestamp"' not in line[:20]
        ]
        assert len(replies) == 1


OPTION = st.sampled_from(sorted(WITH_VALUE | FLAGS)).map("-".__add__)
VALUE = st.text(max_size=30) | st.sampled_from(
    [
        "{",
        "{}",
        "a=b,c=d",
        "id=x",
        "socket,id=x",
        "1G",
        "-1",
        "pc",
        "none",
        "unix:/x,server",
        '{"driver":"e1000"}',
        "user,id=x",
        ",,",
        "=",
    ]
)


@given(st.lists(OPTION | VALUE, max_size=8))
def test_any_command_line_is_read_or_refused(words):
    try:
        CommandLine(["qemu-system-x86_64", *words])
    except ArgvError as error:
        refusal = str(error)
    else:
        refusal = "qemu-system-x86_64: \n"
    assert refusal.startswith("qemu-system-x86_64: ")
    assert refusal.endswith("\n")
    puppet = Puppet(argv=["qemu-system-x86_64", *words]).start()
    assert puppet.ended is None or isinstance(puppet.ended, Exit)


SCRIPT_WORDS = st.sampled_from(
    [
        "at",
        "start",
        "on",
        "do",
        "match",
        "skip",
        "count",
        "when",
        "probability",
        "memory",
        "zeroing",
        "per_page",
        "page",
        "nics",
        "each",
        "socket",
        "delay",
        "never",
        "stale",
        "mode",
        "accept",
        "refuse",
        "greeting",
        "garbage",
        "linger",
        "ignore",
        "uninterruptible",
        "guest",
        "powerdown",
        "boot",
        "exit",
        "code",
        "stderr",
        "kill",
        "signal",
        "emit",
        "event",
        "data",
        "error",
        "class",
        "desc",
        "drop",
        "oversize",
        "reply",
        "close",
        "command",
        "bind",
        "listen",
        "capabilities",
        "eof",
        "SIGTERM",
        "1s",
        "5GiB",
        "3GiB/s",
    ]
)
TREES = st.recursive(
    SCRIPT_WORDS | st.integers() | st.booleans() | st.none() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCRIPT_WORDS, inner, max_size=4),
    max_leaves=15,
)


@given(st.lists(st.dictionaries(SCRIPT_WORDS, TREES, max_size=4), max_size=3))
def test_any_script_is_compiled_or_explained(rules):
    mistakes = script_mistakes(rules)
    for path, message in mistakes:
        node = rules
        for step in path[:-1]:
            node = node[step]
        assert message
    if not mistakes:
        puppet = Puppet().start()
        puppet.machine.script = Script.from_compiled(json.loads(json.dumps(compile_rules(rules))))


@given(NOISE)
def test_any_file_is_checked(data):
    _, mistakes = check_text(data)
    assert all(line >= 1 and column >= 1 and message for line, column, message in mistakes)


@given(st.integers(0, 10**15))
def test_durations_read_back(ns):
    assert parse_duration_ns(format_duration(ns)) == ns


def test_the_argv_of_the_helper_is_honest():
    assert CommandLine(ARGV).name == "vm"
