"""The QMP session: several monitors, out-of-band commands, the queue, rates of events, pretty text."""

from __future__ import annotations

import json

from fakeqemu.protocol.pretty import prettified
from fakeqemu.protocol.ratelimit import LIMITED
from fakeqemu.protocol.session import QUEUE
from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

TWO = (
    *ARGV, "-chardev", "socket,id=other,path=/run/o,server=on,wait=off", "-mon", "chardev=other,mode=control",
    "-qmp-pretty", "unix:/run/p,server=on,wait=off",
)  # fmt: skip
SLOW = {"on": "command", "match": "query-status", "do": {"delay": "100ms"}}


def negotiated(puppet: Puppet, chardev: str = "charmonitor", *, oob: bool = False) -> int:
    conn = puppet.connect(chardev)
    puppet.take(conn)
    enable = {"enable": ["oob"]} if oob else {}
    puppet.write(conn, json.dumps({"execute": "qmp_capabilities", "arguments": enable}).encode())
    puppet.take(conn)
    return conn


def ids(puppet: Puppet, conn: int) -> list[object]:
    return [message["id"] for message in puppet.messages(conn) if "id" in message]


def said(name: str, ident: object, how: str = "execute") -> bytes:
    return json.dumps({how: name, "id": ident}).encode()


def test_every_monitor_hears_the_events_and_only_its_own_replies():
    puppet = Puppet(argv=TWO).start()
    one, two = negotiated(puppet), negotiated(puppet, "other")
    puppet.write(one, said("cont", "x"))
    assert [list(message)[-1] for message in puppet.messages(one)] == ["event", "id"]
    assert [message.get("event") for message in puppet.messages(two)] == ["RESUME"]


def test_a_monitor_that_has_not_negotiated_hears_nothing():
    puppet = Puppet(argv=TWO).start()
    one, two = negotiated(puppet), puppet.connect("other")
    puppet.take(two)
    puppet.write(one, said("cont", "x"))
    assert puppet.take(two) == b""


def test_one_command_at_a_time_whatever_monitor_it_came_from():
    puppet = Puppet(SLOW, argv=TWO).start()
    one, two = negotiated(puppet), negotiated(puppet, "other")
    puppet.write(one, said("query-status", 1))
    puppet.write(two, said("query-name", 2))
    assert puppet.take(two) == b""
    puppet.run(100 * MS)
    assert (ids(puppet, one), ids(puppet, two)) == ([1], [2])


def test_out_of_band_commands_overtake_those_that_wait():
    puppet = Puppet(SLOW).start()
    conn = negotiated(puppet, oob=True)
    puppet.write(conn, said("query-status", 1) + said("query-name", 2))
    puppet.write(conn, said("migrate-pause", 3, "exec-oob"))
    assert ids(puppet, conn) == [3]
    puppet.run(100 * MS)
    assert ids(puppet, conn) == [1, 2]


def test_a_full_queue_holds_out_of_band_commands_back():
    puppet = Puppet(SLOW).start()
    conn = negotiated(puppet, oob=True)
    puppet.write(conn, said("query-status", "slow"))
    for number in range(QUEUE):
        puppet.write(conn, said("query-name", number))
    puppet.write(conn, said("migrate-pause", "oob", "exec-oob"))
    assert ids(puppet, conn) == []
    puppet.run(100 * MS)
    answered = ids(puppet, conn)
    assert answered[0] == "slow"
    assert answered.index("oob") < answered.index(QUEUE - 1)
    assert sorted(map(str, answered)) == sorted(["slow", "oob", *map(str, range(QUEUE))])


def test_exec_oob_is_an_unknown_member_without_the_capability():
    puppet = Puppet().start()
    conn = puppet.open()
    puppet.write(conn, said("migrate-pause", 1, "exec-oob"))
    assert puppet.messages(conn)[0]["error"]["desc"] == "QMP input member 'exec-oob' is unexpected"


def test_a_client_that_floods_a_busy_monitor_is_read_no_further():
    puppet = Puppet({"on": "command", "match": "query-status", "do": {"delay": "1s"}}).start()
    conn = puppet.open()
    puppet.write(conn, said("query-status", 1) + said("query-name", 2) * 1000)
    paces = [action for _, action in puppet.log if type(action).__name__ == "Pace"]
    assert [pace.reading for pace in paces] == [False]
    puppet.run(SECOND)
    assert len(ids(puppet, conn)) == 1001
    paces = [action for _, action in puppet.log if type(action).__name__ == "Pace"]
    assert [pace.reading for pace in paces] == [False, True]


def test_events_of_a_kind_that_is_limited_come_once_a_second_the_last_one_last():
    puppet = Puppet().start()
    conn = puppet.open()
    for amount in (1, 2, 3):
        puppet.machine.now_ns = puppet.now
        puppet.machine.emit("BALLOON_CHANGE", {"actual": amount})
        puppet._plan(puppet.machine._take())
        puppet.run(100 * MS)
    assert [message["data"]["actual"] for message in puppet.messages(conn)] == [1]
    puppet.run(SECOND)
    late = puppet.messages(conn)
    assert [message["data"]["actual"] for message in late] == [3]
    # The time is that of the event, not that of its sending.
    assert late[0]["timestamp"]["microseconds"] == 200_000
    puppet.run(3 * SECOND)
    assert puppet.take(conn) == b""
    puppet.machine.emit("BALLOON_CHANGE", {"actual": 4})
    puppet._plan(puppet.machine._take())
    puppet.run(0)
    assert len(puppet.messages(conn)) == 1


def test_ports_are_limited_each_for_itself():
    assert LIMITED["VSERPORT_CHANGE"] == "id"
    puppet = Puppet().start()
    conn = puppet.open()
    for port in ("a", "b", "a"):
        puppet.machine.emit("VSERPORT_CHANGE", {"id": port, "open": True})
    puppet._plan(puppet.machine._take())
    puppet.run(0)
    assert [message["data"]["id"] for message in puppet.messages(conn)] == ["a", "b"]


def test_pretty_is_as_qemu_writes_it():
    text = '{"return": {"a": [], "b": {}}, "id": [1, {"x": "q\\"{[, "}]}'
    assert prettified(text) == (
        '{\r\n    "return": {\r\n        "a": [\r\n        ],\r\n        "b": {\r\n        }\r\n    },\r\n'
        '    "id": [\r\n        1,\r\n        {\r\n            "x": "q\\"{[, "\r\n        }\r\n    ]\r\n}'
    )


def test_a_pretty_monitor_is_pretty_from_the_greeting_on():
    puppet = Puppet(argv=TWO).start()
    conn = puppet.connect("compat_monitor0")
    assert puppet.take(conn).startswith(b'{\r\n    "QMP": {\r\n        "version": {\r\n')
    puppet.write(conn, said("qmp_capabilities", None))
    assert puppet.take(conn) == b'{\r\n    "return": {\r\n    },\r\n    "id": null\r\n}\r\n'
