"""The life of a job: states, verbs, events in QEMU's order, pace, transactions, scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakeqemu.jobs import Driver, Job, Txn, engine_of
from fakeqemu.jobs.table import MOVES, STATUSES, VERBS
from fakeqemu.registry import CommandError
from tests.helpers.puppet import MS, SECOND, Puppet

MIB = 1 << 20


class Copy(Driver):
    """A block job that does nothing but last."""

    __slots__ = ("turns",)

    kind = "backup"

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[str] = []

    def commit(self, job: Job) -> None:
        self.turns.append("commit")

    def abort(self, job: Job) -> None:
        self.turns.append("abort")

    def clean(self, job: Job) -> None:
        self.turns.append("clean")


class Keep(Copy):
    """One that becomes ready."""

    __slots__ = ()

    kind = "mirror"
    two_phase = True
    swift = False


class Stage:
    """A machine, a monitor, and short words for what is said on it."""

    def __init__(self, *rules: dict[str, Any]) -> None:
        self.puppet = Puppet(*rules).start()
        self.conn = self.puppet.open()
        self.jobs = engine_of(self.puppet.machine)

    def start(self, ident: str = "j", driver: Driver | None = None, **more: Any) -> Job:
        job = self.jobs.start(ident, driver or Copy(), total=more.pop("total", MIB), **more)
        self.flush()
        return job

    def flush(self) -> None:
        """What the machine was made to do from outside of its inputs."""
        self.puppet._plan(self.puppet.machine._take())
        self.puppet.run(0)

    def say(self, command: str, **arguments: Any) -> list[str]:
        """A command: what it brings, in short."""
        message = {"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        self.puppet.write(self.conn, json.dumps(message).encode())
        return self.heard()

    def heard(self) -> list[str]:
        found = []
        for message in self.puppet.messages(self.conn):
            data = message.get("data", {})
            if message.get("event") == "JOB_STATUS_CHANGE":
                found.append(f"{data['id']} {data['status']}")
            elif "event" in message:
                found.append(message["event"] + (f": {data['error']}" if "error" in data else ""))
            else:
                found.append(message["error"]["desc"] if "error" in message else "ok")
        return found

    def progress(self) -> int:
        """How far the only job is."""
        found: int = self.puppet.ask(self.conn, "query-jobs")[0]["current-progress"]
        return found

    def run(self, ns: int) -> list[str]:
        self.puppet.run(ns)
        return self.heard()


def test_every_state_and_verb_is_in_the_tables():
    assert set(MOVES) == set(STATUSES)
    assert {status for moves in MOVES.values() for status in moves} <= set(STATUSES)
    assert {status for accepted in VERBS.values() for status in accepted} <= set(STATUSES)


def test_a_job_that_nobody_disturbs():
    stage = Stage()
    job = stage.start()
    assert stage.heard() == ["j created", "j running"]
    end = ["j waiting", "j pending", "BLOCK_JOB_COMPLETED", "j concluded", "j null"]
    assert stage.run(SECOND) == end
    assert isinstance(job.driver, Copy)
    assert job.driver.turns == ["commit", "clean"]
    assert stage.jobs.jobs == []


def test_manual_ends_wait_for_the_manager():
    stage = Stage()
    stage.start(auto_finalize=False, auto_dismiss=False)
    stage.heard()
    assert stage.run(SECOND) == ["j waiting", "j pending", "BLOCK_JOB_PENDING"]
    assert stage.say("job-dismiss", id="j") == [
        "Job 'j' in state 'pending' cannot accept command verb 'dismiss'"
    ]
    assert stage.say("job-finalize", id="j") == ["BLOCK_JOB_COMPLETED", "j concluded", "ok"]
    assert stage.say("job-dismiss", id="j") == ["j null", "ok"]
    assert stage.say("job-dismiss", id="j") == ["Job not found"]


def test_pause_resume_and_cancel_by_force():
    stage = Stage()
    stage.start(speed=65536, total=64 * MIB)
    stage.heard()
    assert stage.say("job-resume", id="j") == ["Can't resume a job that was not paused"]
    assert stage.say("job-pause", id="j") == ["j paused", "ok"]
    assert stage.say("job-pause", id="j") == ["Job is already paused"]
    assert stage.say("block-job-cancel", device="j") == ["The block job for device 'j' is currently paused"]
    assert stage.run(3600 * SECOND) == []
    assert stage.say("job-resume", id="j") == ["j running", "ok"]
    stage.say("job-pause", id="j")
    assert stage.say("job-cancel", id="j") == [
        "j running", "j aborting", "BLOCK_JOB_CANCELLED", "j concluded", "j null", "ok",
    ]  # fmt: skip


def test_a_ready_job_waits_and_may_be_cancelled_softly():
    stage = Stage()
    stage.start(driver=Keep())
    stage.heard()
    assert stage.run(SECOND) == ["j ready", "BLOCK_JOB_READY"]
    assert stage.say("job-pause", id="j") == ["j standby", "ok"]
    assert stage.say("job-complete", id="j") == ["ok"]
    assert stage.say("job-resume", id="j") == [
        "j ready", "ok", "j waiting", "j pending", "BLOCK_JOB_COMPLETED", "j concluded", "j null",
    ]  # fmt: skip
    stage.start(driver=Keep())
    stage.run(SECOND)
    assert stage.say("block-job-cancel", device="j")[:3] == ["ok", "j waiting", "j pending"]
    stage.start(driver=Keep())
    stage.run(SECOND)
    assert stage.say("block-job-cancel", device="j", force=True)[:3] == [
        "ok", "j aborting", "BLOCK_JOB_CANCELLED",
    ]  # fmt: skip


def test_progress_follows_the_limit_in_chunks():
    stage = Stage()
    stage.start(speed=1 << 19, total=4 * MIB)
    stage.heard()
    assert stage.progress() == 1 << 19, "a chunk is moved at once"
    stage.run(3 * SECOND)
    assert stage.progress() == 4 << 19
    assert stage.say("block-job-set-speed", device="j", speed=-1) == [
        "Parameter 'speed' expects a non-negative value"
    ]
    assert stage.say("block-job-set-speed", device="j", speed=1 << 20) == ["ok"]
    assert stage.progress() == 5 << 19
    assert stage.run(2 * SECOND)[:1] == ["j waiting"]


def test_progress_follows_the_rate_of_the_script():
    stage = Stage({"at": "start", "jobs": {"rate": "1MiB/s"}})
    stage.start(total=4 * MIB)
    assert stage.run(SECOND) == ["j created", "j running"]
    assert stage.progress() == MIB
    assert stage.run(3 * SECOND)[:1] == ["j waiting"]


def test_a_transaction_of_jobs_succeeds_or_fails_as_one():
    stage = Stage()
    txn = Txn()
    stage.start("a", txn=txn, auto_dismiss=False)
    stage.start("b", txn=txn, auto_dismiss=False, speed=4096, total=64 * MIB)
    stage.heard()
    assert stage.run(SECOND) == ["a waiting"]
    assert stage.say("job-finalize", id="a") == [
        "Job 'a' in state 'waiting' cannot accept command verb 'finalize'"
    ]
    assert stage.say("job-cancel", id="b") == [
        "b aborting", "BLOCK_JOB_CANCELLED", "b concluded",
        "a aborting", "BLOCK_JOB_CANCELLED", "a concluded", "ok",
    ]  # fmt: skip
    assert [job.info()["error"] for job in stage.jobs.jobs] == ["Operation canceled"] * 2


def test_the_jobs_of_a_transaction_are_finalized_together():
    stage = Stage()
    txn = Txn()
    stage.start("a", txn=txn, auto_finalize=False)
    stage.start("b", txn=txn, total=2 * MIB)
    stage.heard()
    assert stage.run(SECOND) == [
        "a waiting", "b waiting", "b pending", "a pending", "BLOCK_JOB_PENDING",
    ]  # fmt: skip
    assert stage.say("job-finalize", id="b") == [
        "BLOCK_JOB_COMPLETED", "b concluded", "b null", "BLOCK_JOB_COMPLETED", "a concluded", "a null", "ok",
    ]  # fmt: skip


def test_a_failure_while_finalizing_undoes_all():
    class Bad(Copy):
        __slots__ = ()

        def prepare(self, job: Job) -> None:
            raise CommandError("GenericError", "no")

    stage = Stage()
    txn = Txn()
    stage.start("a", txn=txn)
    stage.start("b", Bad(), txn=txn)
    stage.heard()
    assert stage.run(SECOND) == [
        "a waiting", "b waiting", "b pending", "a pending",
        "b aborting", "BLOCK_JOB_COMPLETED: no", "b concluded", "b null",
        "a aborting", "BLOCK_JOB_CANCELLED", "a concluded", "a null",
    ]  # fmt: skip


def test_a_created_job_can_be_given_up():
    stage = Stage()
    stage.jobs.create("j", Copy()).cancel(force=True)
    stage.flush()
    assert stage.heard() == ["j created", "j aborting", "j concluded", "j null"]
    with pytest.raises(CommandError, match="Parameter 'speed' expects a non-negative value"):
        stage.jobs.create("j", Copy(), speed=-1)
    stage.flush()
    assert stage.heard() == ["j created", "j null"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("", "Invalid job ID ''"), ("1", "Invalid job ID '1'"), ("a/b", "Invalid job ID 'a/b'"),
     ("j", "Job ID 'j' already in use"), ("ä", "Invalid job ID 'ä'")],
)  # fmt: skip
def test_names_of_jobs(name, text):
    stage = Stage()
    stage.start("j", speed=1)
    with pytest.raises(CommandError, match=text):
        stage.start(name)


def test_what_is_worked_on_may_have_to_be_quiet():
    stage = Stage()
    stage.start("a", speed=1, total=MIB * 64)
    stage.start("b", Keep())
    stage.run(SECOND)
    stage.jobs.drain()
    stage.flush()
    assert stage.heard() == ["a paused", "b standby", "a running", "b ready"]


# -- under a script -----------------------------------------------------------------------------------------


def on(status: str, **do: Any) -> dict[str, Any]:
    return {"on": "job", "match": f"j:{status}", "do": do}


def test_a_transition_may_be_delayed():
    stage = Stage(on("waiting", delay="5s"))
    stage.start()
    stage.heard()
    assert stage.run(4 * SECOND) == []
    assert stage.say("query-block-jobs") == ["ok"]
    assert stage.run(SECOND + MS) == [
        "j waiting", "j pending", "BLOCK_JOB_COMPLETED", "j concluded", "j null",
    ]  # fmt: skip


def test_force_does_not_wait_for_a_delay():
    stage = Stage(on("ready", delay="50s"))
    stage.start(driver=Keep())
    stage.run(SECOND)
    assert stage.say("job-cancel", id="j") == [
        "ok", "j aborting", "BLOCK_JOB_CANCELLED", "j concluded", "j null",
    ]  # fmt: skip
    assert stage.run(60 * SECOND) == []


def test_a_job_may_fail_at_a_transition():
    error = {"class": "GenericError", "desc": "Input/output error"}
    stage = Stage(on("waiting", error=error))
    stage.start()
    stage.heard()
    assert stage.run(SECOND) == [
        "BLOCK_JOB_ERROR", "j aborting", "BLOCK_JOB_COMPLETED: Input/output error", "j concluded", "j null",
    ]  # fmt: skip


def test_a_job_may_not_come_to_be():
    stage = Stage(on("created", error={"class": "GenericError", "desc": "no"}))
    with pytest.raises(CommandError, match="no"):
        stage.start()
    assert stage.jobs.jobs == []


def test_an_error_under_a_policy_stops_the_job_until_it_is_resumed():
    error = {"class": "GenericError", "desc": "No space left on device"}
    stage = Stage({**on("ready", error=error), "count": 1})
    driver = Keep()
    driver.policies = {"read": "report", "write": "enospc"}
    job = stage.start(driver=driver)
    stage.heard()
    assert stage.run(SECOND) == ["BLOCK_JOB_ERROR", "j paused"]
    assert job.block_info()["io-status"] == "nospace"
    assert stage.say("job-resume", id="j") == ["j running", "ok", "j ready", "BLOCK_JOB_READY"]
    assert job.block_info()["io-status"] == "ok"
