"""The law itself: what it lets pass, and what it catches."""

from __future__ import annotations

import pytest

from fakeqemu.facts.profile import profile_named
from fakeqemu.machine import FakeQemu
from tests.helpers.puppet import Puppet
from tests.helpers.schema_law import check_event, check_line, check_reply

X86 = profile_named("x86_64")


def test_the_law_is_in_force():
    assert FakeQemu.tell.__name__ == "lawful_tell"
    puppet = Puppet().start()
    puppet.open()
    with pytest.raises(AssertionError, match="NONESUCH is no event"):
        puppet.machine.emit("NONESUCH")


@pytest.mark.parametrize(
    ("command", "value", "message"),
    [
        ("query-status", {"status": "running", "singlestep": False}, "running is missing"),
        ("query-status", {"status": "sad", "singlestep": False, "running": True}, "not of its enum"),
        ("query-status", {"status": "paused", "singlestep": 0, "running": True}, "expected boolean"),
        ("query-status", {"status": "paused", "singlestep": False, "running": True, "x": 1}, "unexpected"),
        ("query-status", [], "expected object"),
        ("query-chardev", {}, "expected array"),
        ("query-balloon", {"actual": 1.5}, "expected int"),
        ("query-balloon", {"actual": 1 << 64}, "64 bits"),
        ("query-nothing", {}, "no command"),
        ("RESUME", {}, "no command"),
    ],
)
def test_what_is_against_the_law(command, value, message):
    with pytest.raises(AssertionError, match=message):
        check_reply(X86, command, value)


def test_unions_have_the_members_of_their_variant():
    check_reply(X86, "query-memory-devices", [])
    dimm = {
        "addr": 0, "size": 1, "slot": 0, "node": 0, "memdev": "/x", "hotplugged": True, "hotpluggable": True,
    }  # fmt: skip
    check_reply(X86, "query-memory-devices", [{"type": "dimm", "data": dimm}])
    with pytest.raises(AssertionError, match="memaddr is missing"):
        check_reply(X86, "query-memory-devices", [{"type": "virtio-mem", "data": dimm}])


def test_events_and_whole_lines():
    check_event(X86, "RESUME", None)
    check_event(X86, "BALLOON_CHANGE", {"actual": 1})
    with pytest.raises(AssertionError, match="actual is missing"):
        check_event(X86, "BALLOON_CHANGE", {})
    check_line(X86, {"QMP": {}}, None)
    check_line(X86, {"return": {}, "id": 1}, "cont")
    check_line(X86, {"error": {"class": "GenericError", "desc": "no"}}, "cont")
    with pytest.raises(AssertionError):
        check_line(X86, {"error": {"class": "Nonsense", "desc": "no"}}, "cont")
    with pytest.raises(AssertionError, match="neither"):
        check_line(X86, {"what": 1}, None)
