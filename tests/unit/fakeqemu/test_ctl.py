"""The control socket: what can be asked, what is remembered, and how it says no."""

from __future__ import annotations

import json

import pytest

from fakeqemu import actions as do
from fakeqemu.ctl.line import CLIENTS, LONGEST, NAME, QUEUE
from fakeqemu.scripts.script import Script, configured
from tests.helpers.puppet import ARGV, SECOND, Puppet

RUNNING = [word for word in ARGV if word != "-S"]
CTL = {"at": "start", "ctl": "/run/{name}-{pid}.ctl"}


class Driven(Puppet):
    """A puppet with a control socket."""

    def __init__(self, *rules, argv=RUNNING, **more):
        super().__init__(CTL, *rules, argv=argv, **more)
        self.start()
        self.door = self.connect(NAME)
        self.hello = json.loads(self.take(self.door))

    def tell(self, text):
        """Send a line; every line that comes back."""
        self.write(self.door, text if isinstance(text, bytes) else json.dumps(text).encode() + b"\n")
        return [json.loads(line) for line in self.take(self.door).splitlines()]

    def ask_ctl(self, verb, **members):
        [answer] = self.tell({"do": verb, **members})
        return answer.get("return", answer.get("error"))


def test_it_listens_where_the_script_says_and_says_hello():
    driven = Driven()
    [listen] = [
        action for _, action in driven.log if isinstance(action, do.Listen) and action.chardev == NAME
    ]
    assert listen.path == "/run/vm-4000.ctl"
    assert driven.hello == {"fakeqemu": {"protocol": 1, "pid": 4000, "name": "vm"}}


def test_hello_lists_the_verbs_with_what_they_take():
    verbs = Driven().ask_ctl("hello")["verbs"]
    assert {"set", "emit", "calls", "crash", "exit", "save", "load", "state", "rules", "wait"} <= set(verbs)
    assert verbs["emit"]["needs"] == ["event"]
    assert all(verb["about"] for verb in verbs.values())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{\n", "not JSON"),
        (b"[]\n", "a request is an object"),
        (b'{"do": NaN}\n', "no JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        ({"do": "emti"}, "did you mean 'emit'"),
        ({"do": ["emit"]}, "unknown verb"),
        ({}, "unknown verb"),
        ({"do": "emit"}, "`event` is missing"),
        ({"do": "emit", "event": 5}, "`event` is no text"),
        ({"do": "emit", "event": ""}, "`event` is empty"),
        ({"do": "emit", "event": "X", "dta": {}}, "unknown member 'dta'; emit takes event, data, after"),
        ({"do": "emit", "event": "X", "after": "5"}, "a duration needs a unit|not a duration"),
        ({"do": "set", "words": {}}, "`words` is empty"),
        ({"do": "set", "words": {"memory": {"zeroing": "1GiB/s"}}}, "that is over"),
        ({"do": "set", "words": {"guets": {}}}, "did you mean 'guest'"),
        ({"do": "set", "words": {"guest": {"powerdown": "5"}}}, "`ignore`, or a duration"),
        ({"do": "do", "words": {"drop": True}}, "cannot be done at a time"),
        ({"do": "rules", "add": [{"at": "start", "linger": "1s"}]}, "the start is over"),
        ({"do": "rules", "add": [{"at": "1s", "do": {"close": True}}]}, "may be over"),
        ({"do": "rules", "add": [{"on": "comand", "do": {"drop": True}}]}, "did you mean 'command'"),
        ({"do": "rules", "add": [{"on": "command", "do": {"drop": True}}] * 1001}, "more than 1000 rules"),
        ({"do": "wait", "for": "rain"}, "`for` is command, event or runstate"),
        ({"do": "load", "state": {}}, "no state"),
        ({"do": "load", "state": {"format": "fakeqemu/state@1", "parts": {}, "runstate": "x"}}, "runstate"),
        ({"do": "crash", "signal": "SIGNO"}, "unknown signal"),
        ({"do": "exit", "code": 256}, "at most 255"),
        ({"do": "unstall"}, "nothing hangs"),
    ],
)
def test_what_it_says_no_to(line, words):
    driven = Driven()
    [answer] = driven.tell(line)
    assert list(answer) == ["error"]
    assert any(word in answer["error"] for word in words.split("|")), answer
    assert driven.ask_ctl("state")["runstate"] == "running"


def test_an_id_comes_back_and_blank_lines_are_nothing():
    driven = Driven()
    answers = driven.tell(
        b'\n\r\n{"do": "unstall", "id": {"a": [1]}}\r\n{"do": "emit", "event": "X", "id": 2}\n'
    )
    assert [answer["id"] for answer in answers] == [{"a": [1]}, 2]


def test_an_event_reaches_the_monitors_now_or_later():
    driven = Driven()
    conn = driven.open()
    driven.ask_ctl("emit", event="NEW", data={"x": 1})
    assert [(line["event"], line["data"]) for line in driven.messages(conn)] == [("NEW", {"x": 1})]
    driven.ask_ctl("emit", event="LATE", after="5s")
    driven.run(4 * SECOND)
    assert driven.messages(conn) == []
    driven.run(SECOND)
    assert [line["event"] for line in driven.messages(conn)] == ["LATE"]


def test_calls_are_remembered_with_their_outcome():
    driven = Driven({"on": "command", "match": "query-status", "do": {"delay": "2s"}})
    conn = driven.open()
    driven.write(conn, b'{"execute": "query-status", "id": 7}{"execute": "nonsense"}')
    driven.run(3 * SECOND)
    calls = driven.ask_ctl("calls")["calls"]
    assert [(call["command"], call["outcome"]) for call in calls] == [
        ("qmp_capabilities", "return"), ("query-status", "return"), ("nonsense", "error"),
    ]  # fmt: skip
    assert calls[1]["took_ns"] == 2 * SECOND
    assert calls[1]["id"] == 7
    assert calls[1]["monitor"] == "charmonitor"
    assert calls[2]["error"]["class"] == "CommandNotFound"
    assert [call["number"] for call in driven.ask_ctl("calls", since=1, match="query-*")["calls"]] == [2]
    assert driven.ask_ctl("calls", limit=1, clear=True)["last"] == 3
    assert driven.ask_ctl("calls")["calls"] == []


def test_a_long_argument_is_not_kept():
    driven = Driven()
    conn = driven.open()
    driven.ask(conn, "qom-get", path="x" * 10_000, property="y")
    call = driven.ask_ctl("calls", match="qom-get")["calls"][0]
    assert call["arguments"]["x-fakeqemu-omitted"] > 10_000


def test_waiting_for_what_comes_and_for_what_does_not():
    driven = Driven()
    conn = driven.open()
    assert driven.tell({"do": "wait", "for": "event", "match": "ST*"}) == []
    driven.ask(conn, "stop")
    driven.run(0)
    [answer] = [json.loads(line) for line in driven.take(driven.door).splitlines()]
    assert answer["return"]["event"] == "STOP"
    assert driven.ask_ctl("wait", **{"for": "event"}, match="STOP", since=0)["event"] == "STOP"
    assert driven.ask_ctl("wait", **{"for": "runstate"}, match="paused")["runstate"] == "paused"
    assert driven.tell({"do": "wait", "for": "command", "match": "cont", "timeout": "3s", "id": 1}) == []
    assert driven.tell({"do": "state", "id": 2}) == []
    driven.run(3 * SECOND)
    answers = [json.loads(line) for line in driven.take(driven.door).splitlines()]
    assert answers[0] == {"error": "no command cont within the time", "id": 1}
    assert answers[1]["id"] == 2


def test_words_are_set_while_the_machine_runs():
    driven = Driven({"at": "start", "guest": {"powerdown": "1s", "boot": "1s"}})
    assert driven.ask_ctl("set", words={"guest": {"powerdown": "ignore"}}) == {
        "words": {"guest": {"powerdown": "ignore", "boot": SECOND}}
    }
    conn = driven.open()
    driven.run(2 * SECOND)
    driven.ask(conn, "system_powerdown")
    driven.run(10 * SECOND)
    assert driven.machine.runstate == "running"
    assert driven.ask_ctl("state")["words"]["guest"]["powerdown"] == "ignore"


def test_rules_come_and_go():
    driven = Driven()
    conn = driven.open()
    rule = {"on": "command", "match": "query-status", "do": {"error": {"desc": "no"}}}
    [listed] = driven.ask_ctl("rules", add=[rule])["rules"]
    assert (listed["name"], listed["met"]) == ("ctl rule 1", 0)
    assert driven.ask(conn, "query-status")["desc"] == "no"
    assert driven.ask_ctl("rules")["rules"][0]["met"] == 1
    assert driven.ask_ctl("rules", remove="ctl *") == {"rules": []}
    assert driven.ask(conn, "query-status")["status"] == "running"


def test_a_machine_that_hangs_is_still_told_what_to_do():
    driven = Driven()
    conn = driven.open()
    driven.ask_ctl("do", words={"stall": True})
    driven.write(conn, b'{"execute": "query-status"}')
    driven.run(3600 * SECOND)
    assert driven.take(conn) == b""
    assert driven.ask_ctl("state")["stalled"]
    driven.signal(15)
    assert driven.ended is None
    driven.ask_ctl("unstall")
    assert b'"running"' in driven.sent[conn]
    assert driven.ended == do.Exit(0)


@pytest.mark.parametrize(
    ("verb", "members", "end"),
    [
        ("crash", {}, do.Kill(11)),
        ("crash", {"signal": "SIGABRT"}, do.Kill(6)),
        ("exit", {}, do.Exit(1)),
        ("exit", {"code": 0}, do.Exit(0)),
    ],
)
@pytest.mark.parametrize("hangs", [False, True])
def test_the_end(verb, members, end, hangs):
    driven = Driven()
    if hangs:
        driven.ask_ctl("do", words={"stall": "1h"})
    assert driven.ask_ctl(verb, stderr="last words", **members) == {}
    driven.run(0)
    assert driven.ended == end
    assert "last words\n" in driven.stderr


def test_a_state_moves_to_another_machine():
    first = Driven()
    conn = first.open()
    first.ask(conn, "stop")
    state = json.loads(json.dumps(first.ask_ctl("save")["state"]))
    assert state["format"] == "fakeqemu/state@1"
    second = Driven()
    assert second.ask_ctl("load", state=state)["runstate"] == "paused"
    assert second.machine.runstate == "paused"


def test_a_damaged_state_is_an_error_and_no_traceback():
    driven = Driven()
    state = driven.ask_ctl("save")["state"]
    for wrong in (None, 5, [], "x", {"a": 1}, [[]]):
        damaged = state | {"parts": dict.fromkeys(state["parts"], wrong)}
        [answer] = driven.tell({"do": "load", "state": damaged})
        assert "return" in answer or "error" in answer


def test_only_so_many_clients_lines_and_bytes():
    driven = Driven()
    for _ in range(CLIENTS - 1):
        driven.connect(NAME)
    late = driven.connect(NAME)
    assert "are served already" in driven.take(late).decode()
    driven.tell(b"x" * (LONGEST + 1))
    assert any(isinstance(action, do.Close) and action.conn == driven.door for _, action in driven.log)
    other = Driven()
    other.tell({"do": "wait", "for": "event"})
    answers = other.tell(b'{"do": "state"}\n' * (QUEUE + 2))
    assert "more requests wait" in answers[0]["error"]


def test_a_client_that_goes_makes_room():
    driven = Driven()
    driven.tell({"do": "wait", "for": "event", "match": "NEVER"})
    driven.hang_up(driven.door)
    driven.run(20 * SECOND)
    driven.door = driven.connect(NAME)
    driven.take(driven.door)
    assert driven.ask_ctl("state")["runstate"] == "running"


def test_a_socket_that_cannot_be_had_ends_the_machine():
    puppet = Puppet(CTL)
    puppet._plan(puppet.machine.start(0))
    puppet._plan(puppet.machine.bind_failed(0, NAME, "/run/x", "Permission denied"))
    puppet.run(0)
    assert puppet.ended == do.Exit(1)
    assert "Permission denied" in puppet.stderr


def test_the_environment_alone_gives_a_control_socket_to_an_honest_qemu():
    script = configured(None, None, "/run/x")
    assert isinstance(script, Script)
    assert script.start["ctl"] == "/run/x"
    assert script.start["images"] == "real"
    assert configured(None, None, None) is None
    assert configured(None, "hostile", None).start["guest"]["powerdown"] == "ignore"
