"""Whatever is said to jobs at whatever time, their states are QEMU's, and in the end they are gone."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fakeqemu.jobs import Driver, Txn, engine_of
from fakeqemu.jobs.table import legal
from fakeqemu.registry import CommandError
from tests.helpers.puppet import MS, SECOND, Puppet

VERBS = ("job-pause", "job-resume", "job-cancel", "job-complete", "job-finalize", "job-dismiss")
OLD_VERBS = (
    "block-job-cancel", "block-job-pause", "block-job-resume", "block-job-complete", "block-job-set-speed",
)  # fmt: skip
NAMES = ("a", "b", "c")


class Whatever(Driver):
    """A driver that may do what drivers may."""

    __slots__ = ("block", "kind", "refuses", "swift", "two_phase")

    def __init__(self, *, two_phase: bool, swift: bool, block: bool, refuses: bool) -> None:
        super().__init__()
        self.kind = "mirror" if block else "create"
        self.two_phase, self.swift, self.block, self.refuses = two_phase, swift, block, refuses

    def prepare(self, job: Any) -> None:
        if self.refuses:
            raise CommandError("GenericError", "no")


drivers = st.builds(
    Whatever, two_phase=st.booleans(), swift=st.booleans(), block=st.booleans(), refuses=st.booleans()
)
starts = st.tuples(
    st.just("start"),
    st.sampled_from(NAMES),
    drivers,
    st.fixed_dictionaries(
        {
            "speed": st.sampled_from([0, 65536, 1 << 20]),
            "total": st.sampled_from([0, 4096, 8 << 20]),
            "auto_finalize": st.booleans(),
            "auto_dismiss": st.booleans(),
        }
    ),
    st.booleans(),
)
verbs = st.tuples(st.sampled_from(VERBS + OLD_VERBS), st.sampled_from(NAMES))
waits = st.tuples(st.just("wait"), st.sampled_from([0, 1, MS, 100 * MS, 3 * SECOND]))
steps = st.lists(st.one_of(starts, verbs, waits, st.just(("drain",))), max_size=40)
statuses = st.sampled_from(
    ["created", "running", "ready", "waiting", "pending", "aborting", "concluded", "null"]
)
rules = st.lists(
    st.builds(
        lambda status, name, do: {"on": "job", "match": f"{name}:{status}", "do": do, "count": 1},
        statuses,
        st.sampled_from(NAMES),
        st.sampled_from(
            [
                {"delay": "1ms"},
                {"delay": "2s"},
                {"error": {"class": "GenericError", "desc": "Input/output error"}},
            ]
        ),
    ),
    max_size=4,
)


class Watch:
    """Follows the events of jobs."""

    def __init__(self, puppet: Puppet, conn: int) -> None:
        self.puppet, self.conn = puppet, conn
        self.states: dict[str, str] = {}

    def look(self) -> None:
        for message in self.puppet.messages(self.conn):
            if message.get("event") == "JOB_STATUS_CHANGE":
                ident, status = message["data"]["id"], message["data"]["status"]
                old = self.states.get(ident, "undefined")
                assert legal(old, status), (ident, old, status)
                self.states[ident] = status
                if status == "null":
                    del self.states[ident]


@given(steps=steps, rules=rules)
@settings(max_examples=300, deadline=None)
def test_no_job_reaches_an_illegal_state_and_all_end(steps, rules):
    puppet = Puppet(*rules).start()
    conn = puppet.open()
    jobs, watch = engine_of(puppet.machine), Watch(puppet, conn)

    def flush() -> None:
        puppet._plan(puppet.machine._take())
        puppet.run(0)
        watch.look()

    txn = Txn()
    for step in steps:
        if step[0] == "start":
            if not txn.jobs:
                txn = Txn()
            with contextlib.suppress(CommandError):
                jobs.start(step[1], step[2], **step[3], txn=txn if step[4] and not txn.aborting else None)
            flush()
        elif step[0] == "wait":
            puppet.run(step[1])
            watch.look()
        elif step[0] == "drain":
            jobs.drain()
            flush()
        else:
            command, name = step
            arguments: dict[str, Any] = {"device": name} if command.startswith("block") else {"id": name}
            if command == "block-job-set-speed":
                arguments["speed"] = 4096
            watch.look()
            puppet.write(conn, json.dumps({"execute": command, "arguments": arguments}).encode())
            watch.look()
    _end_all(puppet, conn, watch)
    assert jobs.jobs == []
    assert watch.states == {}


def _end_all(puppet: Puppet, conn: int, watch: Watch) -> None:
    """A manager that wants to be rid of all jobs."""
    for _ in range(8):
        for name in NAMES:
            for command in ("job-cancel", "job-dismiss"):
                message = {"execute": command, "arguments": {"id": name}}
                puppet.write(conn, json.dumps(message).encode())
                puppet.run(3 * SECOND)
                watch.look()
