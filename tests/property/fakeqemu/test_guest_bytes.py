"""Any bytes on the agent's port and on the console: an answer or none, no traceback, all within bounds."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from fakeqemu.guests import guest_of
from fakeqemu.guests.agent.arguments import ARGUMENTS
from tests.helpers.puppet import ARGV, SECOND, Puppet

PORTS = (
    "-chardev", "pty,id=tty", "-device", "isa-serial,chardev=tty", "-device", "virtio-serial-pci,id=vs0",
    "-chardev", "socket,id=channel,path=/run/agent,server=on,wait=off",
    "-device", "virtserialport,bus=vs0.0,chardev=channel,id=port0,name=org.qemu.guest_agent.0",
)  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({part.lstrip("?").partition(":")[0] for shape in ARGUMENTS.values() for part in shape.split()})


def machine():
    puppet = Puppet(argv=[*ARGV, *PORTS]).start()
    puppet.ask(puppet.open(), "cont")
    return puppet, puppet.connect("channel")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_on_the_port(pieces):
    puppet, conn = machine()
    for piece in pieces:
        puppet.write(conn, piece)
    puppet.take(conn)
    # The byte ff is wrong anywhere: after it both begin anew.
    puppet.write(conn, b'\xff\n{"execute":"guest-sync","arguments":{"id":7}}\n')
    assert puppet.take(conn).endswith(b'{"return": 7}\n')


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(ARGUMENTS)),
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON, max_size=4),
)
def test_any_arguments(command, arguments):
    puppet, conn = machine()
    puppet.write(conn, json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    for line in puppet.take(conn).replace(b"\xff", b"").splitlines():
        assert {"return", "error"} & json.loads(line).keys()
    assert sum(map(len, guest_of(puppet.machine).system.files.values())) <= 1 << 20


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"root\r", b"x\r", b"sh -c 'echo a > /tmp/x'\r"]),
        max_size=12,
    )
)
def test_any_bytes_on_the_console(pieces):
    puppet, _ = machine()
    tty = puppet.ptys["tty"]
    for piece in (b"root\r", b"\r", *pieces):
        puppet.write(tty, piece)
    puppet.run(SECOND)
    assert len(puppet.take(tty)) < 1 << 20


def test_accounts_that_are_no_text():
    puppet, conn = machine()
    for command, arguments in (
        ("guest-file-open", {"path": "/etc/passwd", "mode": "w"}),
        ("guest-file-write", {"handle": 1000, "buf-b64": "/4A6Og=="}),
        ("guest-ssh-get-authorized-keys", {"username": "root"}),
    ):
        puppet.write(conn, json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    assert puppet.take(conn).splitlines()[-1].startswith(b'{"error"')


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_state_is_taken_or_left(value):
    puppet, _ = machine()
    guest = guest_of(puppet.machine)
    good = json.loads(json.dumps(guest.saved()))
    for state in (value, *({**good, key: value} for key in good)):
        guest.restored(puppet.machine, state)
    guest.restored(
        puppet.machine,
        {**good, "system": {"files": value, "keys": value, "offline": value, "passwords": value}},
    )
