"""The guest agent's answers, byte for byte as qemu-ga's.

``qemu_ga_talk.json`` was recorded from qemu-ga 7.2.22 of Debian 12 (on a Unix socket, as an unprivileged
user): what was sent, and what came back. Only what does not depend on the host is in it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.puppet import ARGV, Puppet

TALK = json.loads((Path(__file__).parent / "qemu_ga_talk.json").read_text())
PORT = (
    "-device", '{"driver":"virtio-serial-pci","id":"vs0"}',
    "-chardev", "socket,id=channel,path=/run/agent,server=on,wait=off",
    "-device", "virtserialport,bus=vs0.0,chardev=channel,id=port0,name=org.qemu.guest_agent.0",
)  # fmt: skip


@pytest.mark.parametrize("size", [0, 1, 7], ids=["whole", "byte by byte", "sevens"])
def test_the_agent_answers_as_the_real_one(size):
    puppet = Puppet(argv=[*ARGV, *PORT]).start()
    puppet.ask(puppet.open(), "cont")
    conn = puppet.connect("channel")
    for sent, expected in TALK:
        data = sent.encode("latin-1")
        for start in range(0, len(data), size or len(data)):
            puppet.write(conn, data[start : start + (size or len(data))])
        assert (sent, puppet.take(conn).decode("latin-1")) == (sent, expected)
