"""Every deed at every step at which the grammar allows it: the rule acts, and it does what the word says."""

from __future__ import annotations

import json

import pytest

from fakeqemu import actions as do
from fakeqemu.scripts.deeds import STEPS, TIMED
from fakeqemu.scripts.stall import stalled
from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

RUNNING = [word for word in ARGV if word != "-S"]
DISKS = [
    "-blockdev", '{"driver":"null-co","node-name":"a","size":1048576,"read-zeroes":true}',
    "-blockdev", '{"driver":"null-co","node-name":"b","size":1048576,"read-zeroes":true}',
    "-device", '{"driver":"virtio-blk-pci","drive":"a","id":"disk0"}',
]  # fmt: skip
AGENT = [
    "-device", '{"driver":"virtio-serial-pci","id":"vs0"}',
    "-chardev", "socket,id=charchannel0,path=/run/agent,server=on,wait=off",
    "-device", "virtserialport,chardev=charchannel0,id=channel0,name=org.qemu.guest_agent.0",
]  # fmt: skip


class Watched(Puppet):
    """A puppet that remembers every piece that was sent, and every word on the way."""

    def __init__(self, *rules, argv):
        super().__init__({"at": "start", "ctl": "/run/ctl"}, *rules, argv=argv)
        self.pieces = []
        self.hung = False

    def _act(self, action):
        if isinstance(action, do.Send):
            self.pieces.append((self.now, action.conn, action.data))
        super()._act(action)
        self.hung = self.hung or stalled(self.machine)

    def run(self, ns):
        if self.ended is None:
            super().run(ns)

    @property
    def said(self):
        return b"".join(data for _, _, data in self.pieces)

    @property
    def events(self):
        return [entry["event"] for entry in self.machine.parts["ctl"].events]


def join(puppet, chardev="charmonitor"):
    """A client arrives, where one is accepted."""
    puppet.run(0)
    if puppet.ended is not None or chardev not in puppet.accepting:
        return None
    return puppet.connect(chardev)


def say(puppet, conn, *messages):
    for message in messages:
        if conn is not None and puppet.ended is None:
            puppet.write(conn, json.dumps(message).encode() + b"\n")
    puppet.run(0)


def ready(puppet):
    """A client that has negotiated; what is said before does not count."""
    puppet.start()
    conn = join(puppet)
    say(puppet, conn, {"execute": "qmp_capabilities"})
    puppet.run(SECOND)
    puppet.pieces.clear()
    return conn


def asks(command, arguments=None, before=()):
    def drive(puppet):
        conn = ready(puppet)
        say(puppet, conn, *before)
        puppet.pieces.clear()
        message = {"execute": command, "id": "mine"}
        say(puppet, conn, message if arguments is None else message | {"arguments": arguments})
        return conn

    return drive


def begins(puppet):
    puppet.start()


def arrives(puppet):
    puppet.start()
    return join(puppet)


def negotiates(puppet):
    conn = arrives(puppet)
    puppet.pieces.clear()
    say(puppet, conn, {"execute": "qmp_capabilities", "id": "mine"})
    return conn


def pings(puppet):
    ready(puppet)
    puppet.run(SECOND)
    conn = join(puppet, "charchannel0")
    puppet.pieces.clear()
    say(puppet, conn, {"execute": "guest-get-host-name", "id": "mine"})
    return conn


def signals(puppet):
    ready(puppet)
    puppet.signal(15)


def leaves(puppet):
    puppet.hang_up(ready(puppet))


def backup(puppet):
    arguments = {"job-id": "j", "device": "a", "target": "b", "sync": "full"}
    return asks("blockdev-backup", arguments)(puppet)


def listens(puppet):
    return any(isinstance(action, do.Listen) and action.chardev == "charmonitor" for _, action in puppet.log)


def accepts(puppet):
    return sum(isinstance(action, do.Accept) and action.chardev == "charmonitor" for _, action in puppet.log)


def answered(puppet):
    return b'"return"' in puppet.said


def connects(puppet):
    return bool(puppet.done(do.Connect))


#: Step -> rule's match, command line, what brings the machine to the step, whether the step was taken.
STAGES = {
    "exec": (None, RUNNING, begins, listens),
    "bind": (None, RUNNING, begins, listens),
    "listen": ("charmonitor", RUNNING, begins, listens),
    "ready": (None, RUNNING, begins, lambda puppet: puppet.machine.runstate == "running"),
    "accept": (None, RUNNING, arrives, lambda puppet: b"QMP" in puppet.said),
    "greeting": (None, RUNNING, arrives, lambda puppet: b"QMP" in puppet.said),
    "capabilities": (None, RUNNING, negotiates, answered),
    "message": (None, RUNNING, asks("query-status"), answered),
    "command": ("query-status", RUNNING, asks("query-status"), answered),
    "reply": ("query-sta*", RUNNING, asks("query-status"), answered),
    "event": ("STOP", RUNNING, asks("stop"), lambda puppet: "STOP" in puppet.events),
    "agent": ("guest-get-host-name", RUNNING + AGENT, pings, answered),
    "job": ("j:running", RUNNING + DISKS, backup, lambda puppet: b'"running"' in puppet.said),
    "migration": ("setup", RUNNING, asks("migrate", {"uri": "unix:/run/other"}), connects),
    "guest": ("poweroff", RUNNING, asks("system_powerdown"), lambda puppet: "SHUTDOWN" in puppet.events),
    "signal": ("SIGTERM", RUNNING, signals, lambda puppet: puppet.ended is not None),
    "eof": (None, RUNNING, leaves, lambda puppet: accepts(puppet) == 2),
    "exit": (None, RUNNING, asks("quit"), lambda puppet: puppet.ended is not None),
    "time": (None, RUNNING + DISKS, lambda puppet: (ready(puppet), puppet.run(2 * SECOND)), lambda _: True),
}
NEEDS_DISK = "io_error"
#: Deed -> what stands in the rule.
VALUES = {
    "delay": {"uniform": ["300ms", "400ms"]},
    "stall": "3s",
    "error": {"desc": "failed by rule"},
    "drop": True,
    "garbage": "garbage!",
    "oversize": 5000,
    "reply": {"instead": [None]},
    "id": "another",
    "lie": {"deep.a": "lie"},
    "omit": ["*"],
    "extra": True,
    "respell": True,
    "duplicate": 2,
    "reorder": True,
    "split": {"size": 3, "gap": "1ms"},
    "corrupt": 2,
    "truncate": 5,
    "emit": [{"event": "UNHEARD_OF"}, {"event": "LATER", "after": "50ms"}],
    "guest": "panic",
    "io_error": {"nospace": True},
    "close": True,
    "slow": "1KiB/s",
    "stop_reading": "1s",
    "signal": "SIGTERM",
    "exit": {"code": 7, "stderr": "last words"},
    "kill": {"signal": "SIGSEGV"},
}
CASES = [(step, deed) for step, deeds in STEPS.items() for deed in deeds]
CASES += [("time", deed) for deed in TIMED]


def play(step, deed=None, value=None):
    match, argv, drive, taken = STAGES[step]
    rule = []
    if deed is not None:
        words = {"do": {deed: value}} | ({"match": match} if match is not None else {})
        rule = [{"at": "1500ms", "do": {deed: value}} if step == "time" else {"on": step, **words}]
    argv = argv + DISKS if deed == "io_error" and DISKS[1] not in argv else argv
    puppet = Watched(*rule, argv=argv)
    drive(puppet)
    return puppet, taken


def test_every_deed_has_a_value_and_every_step_a_stage():
    assert set(VALUES) == {deed for _, deed in CASES}
    assert set(STAGES) == {step for step, _ in CASES}


@pytest.mark.parametrize("step", STAGES)
def test_every_stage_is_reached_without_a_rule(step):
    puppet, taken = play(step)
    puppet.run(SECOND)
    assert taken(puppet)


def lines(puppet):
    return [json.loads(line.lstrip(b"\xff")) for line in puppet.said.split(b"\n") if line.strip()]


def message_of(step, puppet):
    """The message that the step is about."""
    keys = {"greeting": "QMP", "event": "event"}
    return next(line for line in lines(puppet) if keys.get(step, "return") in line)


def body_of(step, message):
    return message[{"greeting": "QMP", "event": "data"}.get(step, "return")]


@pytest.mark.parametrize(("step", "deed"), CASES)
def test_a_deed_at_a_step(step, deed):
    puppet, taken = play(step, deed, VALUES[deed])

    assert any(note.startswith("rule 2: ") and deed in note for note in puppet.notes), puppet.notes
    CHECKS[deed](step, puppet, taken)


def delayed(step, puppet, taken):
    assert not taken(puppet)
    puppet.run(250 * MS if step != "eof" else 0)
    assert not taken(puppet)
    puppet.run(SECOND)
    assert taken(puppet)


def hung(step, puppet, taken):
    assert puppet.hung
    puppet.run(5 * SECOND)
    assert not stalled(puppet.machine)
    assert taken(puppet)


def failed(step, puppet, taken):
    puppet.run(SECOND)
    assert step == "job" or not taken(puppet)
    conns = [conn for conn, session in puppet.machine.sessions.items() if session.negotiated]
    for conn in conns:
        puppet.take(conn)
    heard = puppet.said.decode() + json.dumps(
        [puppet.ask(conn, command) for conn in conns for command in ("query-migrate", "query-jobs")]
    )
    assert "failed by rule" in heard


def dropped(step, puppet, taken):
    puppet.run(SECOND)
    assert not taken(puppet)


def garbled(step, puppet, taken):
    puppet.run(SECOND)
    assert b"garbage!\r\n" in puppet.said


def oversize(step, puppet, taken):
    assert len(puppet.said) >= 5000


def replied(step, puppet, taken):
    assert body_of(step, message_of(step, puppet)) == {"instead": [None]}


def identified(step, puppet, taken):
    assert message_of(step, puppet)["id"] == "another"


def lied(step, puppet, taken):
    assert body_of(step, message_of(step, puppet))["deep"] == {"a": "lie"}


def omitted(step, puppet, taken):
    assert not message_of(step, puppet).get({"greeting": "QMP", "event": "data"}.get(step, "return"))


def extended(step, puppet, taken):
    assert "x-fakeqemu-extra" in body_of(step, message_of(step, puppet))


def respelt(step, puppet, taken):
    honest, _ = play(step)
    assert message_of(step, puppet) | {"timestamp": 0} == message_of(step, honest) | {"timestamp": 0}
    assert puppet.said != honest.said


def repeated(step, puppet, taken):
    messages = [line for line in lines(puppet) if line == message_of(step, puppet)]
    assert len(messages) == 3


def overtaken(step, puppet, taken):
    key = {"greeting": b"QMP", "event": b'"event"'}.get(step, b'"return"')
    before = [data for at, _, data in puppet.pieces if at == puppet.now]
    assert step == "event" or not any(key in data for data in before)
    puppet.run(150 * MS)
    assert key in puppet.said


def in_pieces(step, puppet, taken):
    puppet.run(SECOND)
    pieces = [data for _, _, data in puppet.pieces]
    assert sum(len(data) == 3 for data in pieces) > 3
    message_of(step, puppet)


def corrupted(step, puppet, taken):
    honest, _ = play(step)
    wrong = [a != b for a, b in zip(puppet.said, honest.said, strict=True)]
    assert sum(wrong) >= 1
    assert puppet.said.endswith(b"\n")


def shortened(step, puppet, taken):
    honest, _ = play(step)
    assert 5 <= len(puppet.said) < len(honest.said)


def emitted(step, puppet, taken):
    puppet.run(SECOND)
    assert "UNHEARD_OF" in puppet.events
    if puppet.ended is None:
        assert "LATER" in puppet.events


def panicked(step, puppet, taken):
    puppet.run(SECOND)
    assert "GUEST_PANICKED" in puppet.events


def broken(step, puppet, taken):
    puppet.run(SECOND)
    if step not in ("ready", "capabilities"):
        assert "BLOCK_IO_ERROR" in puppet.events or "io_error" in " ".join(puppet.notes)


def closed(step, puppet, taken):
    assert puppet.done(do.Close)


def slowed(step, puppet, taken):
    rates = [action.rate for _, action in puppet.log if isinstance(action, do.Pace)]
    assert 1024 in rates


def deaf(step, puppet, taken):
    puppet.run(3 * SECOND)
    reading = [action.reading for _, action in puppet.log if isinstance(action, do.Pace)]
    assert (reading[0], reading[-1]) == (False, True)


def terminated(step, puppet, taken):
    puppet.run(SECOND)
    assert puppet.ended == do.Exit(0)
    assert "terminating on signal 15" in puppet.stderr


def ended(step, puppet, taken):
    assert puppet.ended == do.Exit(7)
    assert "last words" in puppet.stderr


def killed(step, puppet, taken):
    assert puppet.ended == do.Kill(11)


CHECKS = {
    "delay": delayed, "stall": hung, "error": failed, "drop": dropped, "garbage": garbled,
    "oversize": oversize, "reply": replied, "id": identified, "lie": lied, "omit": omitted,
    "extra": extended, "respell": respelt, "duplicate": repeated, "reorder": overtaken,
    "split": in_pieces, "corrupt": corrupted, "truncate": shortened, "emit": emitted,
    "guest": panicked, "io_error": broken, "close": closed, "slow": slowed, "stop_reading": deaf,
    "signal": terminated, "exit": ended, "kill": killed,
}  # fmt: skip
