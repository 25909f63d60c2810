"""One job: its states, what moves it from one to the next, and what it says meanwhile.

Knows QEMU 7.2's job.c and blockjob.c. Must not know what any kind of job does: that stands in a `Driver`.

What a job does next is decided by `Job.advance`, from its state and what is wanted of it, and from nothing
else; each transition is a step of the script (``job``, named ``ID:STATUS``), which may delay it, leave it
out, or fail the job.
"""

from __future__ import annotations

from fakeqemu.jobs.pace import Pace
from fakeqemu.jobs.table import COMPLETED, READY, VERBS, legal
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.node import BlockNode
    from fakeqemu.jobs.engine import Jobs
    from fakeqemu.jobs.moving import Mover
    from fakeqemu.jobs.nodes import Holder
    from fakeqemu.jobs.txn import Txn

__all__ = ["CANCELLED", "Driver", "Job"]

#: What QEMU says of a job that was cancelled by force.
CANCELLED = "Operation canceled"
_PAUSES = {"running": "paused", "ready": "standby"}
_RESUMES = {"paused": "running", "standby": "ready"}
#: A cancelled job does not wait for these any more.
_OVERTAKEN = ("running", "paused", "ready", "standby", "waiting", "pending")


class Driver:
    """What a kind of job does at the turns of its life; this one does nothing.

    Attributes:
        holder: what it holds in the block graph.
        kind: the job's type in QMP.
        block: whether it is a block job, with events of its own and a place in ``query-block-jobs``.
        two_phase: whether it becomes ready, and ends when it is told to.
        chunk: bytes that it moves at once; a limit makes it sleep between them.
        eager: whether it moves a chunk as soon as it goes on after a pause; else it keeps to its limit.
        swift: whether a cancel ends it before the reply; else it has to wait for what it has begun to write.
        policies: what to do about an error: of reading and of writing (``on-error`` and its like).
    """

    __slots__ = ("holder", "policies")

    kind = ""
    block = True
    two_phase = False
    chunk = 1 << 19
    eager = True
    swift = True

    def __init__(self) -> None:
        self.holder: Holder | None = None
        self.policies = {"read": "report", "write": "report"}

    def touches(self, node: BlockNode) -> bool:
        """Whether it works on a node's chain."""
        return self.holder is not None and self.holder.touches(node)

    def meets(self, other: Driver) -> bool:
        """Whether both work on the same chain."""
        return other.holder is not None and any(self.touches(node) for node in other.holder.nodes)

    def fault(self) -> tuple[str, str] | None:
        """What is wrong with reading or writing: a text, and the operation; None for nothing."""
        return None

    def mover(self) -> Mover | None:
        """Who moves the bytes of its images, if those are real files; `Trouble` fails the job."""
        return None

    def run(self, job: Job) -> None:
        """The job has begun to run: the time to say how long it is; `CommandError` fails it."""

    def ready(self, job: Job) -> None:
        """The job has become ready."""

    def cancel(self, job: Job, *, force: bool) -> bool:
        """A cancel is asked for: whether it ends the job by force."""
        del force
        return not (self.two_phase and job.ready)

    def prepare(self, job: Job) -> None:
        """The last thing that may fail; `CommandError` fails the job."""

    def complete(self, job: Job) -> None:
        """The job was told to complete; `CommandError` refuses."""

    def commit(self, job: Job) -> None:
        """All is well: the result takes effect."""

    def abort(self, job: Job) -> None:
        """The job has failed or was cancelled."""

    def clean(self, job: Job) -> None:
        """The job is over, well or not."""


class Job:
    """A job. `Jobs.create` makes one.

    Attributes:
        id: its name.
        driver: what it does.
        status: one of `fakeqemu.jobs.table.STATUSES`.
        pace: how far it has come.
        speed: limit in bytes a second, 0 for none.
        pause_count: how many want it to stand still; one of them may be the user.
        started: it was told to run.
        cancelled: it was cancelled; of a ready job that may be an ordinary end.
        forced: it was cancelled, and what it did is of no use.
        error: why it failed, or None.
        leaving: a ready job was told to end.
        txn: the jobs that succeed or fail with it.
        companions: other jobs that rest as long as it is held.
    """

    __slots__ = (
        "_announced", "_moving", "_ran", "_turn", "auto_dismiss", "auto_finalize", "cancelled", "companions",
        "driver", "engine", "error", "forced", "id", "io_status", "leaving", "pace", "pause_count", "speed",
        "started", "status", "txn", "user_paused",
    )  # fmt: skip

    def __init__(self, engine: Jobs, ident: str, driver: Driver, pace: Pace, speed: int) -> None:
        self.engine, self.id, self.driver, self.pace, self.speed = engine, ident, driver, pace, speed
        pace.over, pace.trouble = self._worked, self._stuck
        pace.chunk, pace.eager = driver.chunk, driver.eager
        self.status = "undefined"
        self.auto_finalize = self.auto_dismiss = True
        self.pause_count = 1
        self.user_paused = self.started = self.cancelled = self.forced = self.leaving = False
        self.error: str | None = None
        self.io_status = "ok"
        self.txn: Txn | None = None
        self.companions: list[Job] = []
        self._moving: str | None = None
        self._turn = 0
        self._ran = self._announced = False

    # -- what is seen of it ---------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether it keeps in step with its source (job_is_ready)."""
        return self.status in READY

    @property
    def completed(self) -> bool:
        """Whether its work is over (job_is_completed)."""
        return self.status in COMPLETED

    @property
    def busy(self) -> bool:
        """Whether it is at work this instant: not while its limit makes it sleep."""
        asleep = self.speed or self.pace.done or self.pace.endless
        return self.status == "running" and not asleep

    def info(self) -> dict[str, Any]:
        """Its entry in ``query-jobs``."""
        told: dict[str, Any] = {
            "id": self.id,
            "type": self.driver.kind,
            "status": self.status,
            "current-progress": self.pace.current,
            "total-progress": self.pace.total,
        }
        if self.error is not None:
            told["error"] = self.error
        return told

    def block_info(self) -> dict[str, Any]:
        """Its entry in ``query-block-jobs``."""
        told: dict[str, Any] = {
            "type": self.driver.kind,
            "device": self.id,
            "len": self.pace.total,
            "offset": self.pace.current,
            "busy": self.busy,
            "paused": self.pause_count > 0,
            "speed": self.speed,
            "io-status": self.io_status,
            "ready": self.ready,
            "status": self.status,
            "auto-finalize": self.auto_finalize,
            "auto-dismiss": self.auto_dismiss,
        }
        if self.error is not None:
            told["error"] = self.error
        return told

    # -- verbs (job_apply_verb and the functions that use it) -----------------------------------------------

    def check(self, verb: str) -> None:
        """Refuse a verb that the job's state does not accept."""
        if self.status not in VERBS[verb]:
            raise CommandError(
                "GenericError",
                f"Job '{self.id}' in state '{self.status}' cannot accept command verb '{verb}'",
            )

    def pause(self) -> None:
        """The user wants it to stand still."""
        self.check("pause")
        if self.user_paused:
            raise CommandError("GenericError", "Job is already paused")
        self.user_paused = True
        self.pause_count += 1
        self.advance()

    def resume(self) -> None:
        """The user wants it to go on."""
        if not self.user_paused or self.pause_count <= 0:
            raise CommandError("GenericError", "Can't resume a job that was not paused")
        self.check("resume")
        self.io_status = "ok"
        self.user_paused = False
        self.pause_count -= 1
        self.advance()

    def set_speed(self, speed: int) -> None:
        """Limit it to so many bytes a second; 0 for no limit."""
        self.check("set-speed")
        if speed < 0:
            raise CommandError("GenericError", "Parameter 'speed' expects a non-negative value")
        self.speed = speed
        if self.status == "running" and not self.pace.done:
            self.pace.run(speed)

    def complete(self) -> None:
        """A ready job is to end, and its result to take effect."""
        self.check("complete")
        if self.cancelled or not self.driver.two_phase:
            raise CommandError("GenericError", f"The active block job '{self.id}' cannot be completed")
        self.driver.complete(self)
        self.leaving = True
        self.engine.machine.afterwards(self.advance)

    def user_cancel(self, *, force: bool) -> None:
        """The user wants it to end."""
        self.check("cancel")
        self.cancel(force=force)

    def finalize(self) -> None:
        """The user wants what it did to take effect, and that of its companions."""
        self.check("finalize")
        if self.txn is not None:
            self.txn.finalize()

    def dismiss(self) -> None:
        """The user has taken note of its end."""
        self.check("dismiss")
        self.enter("null")

    def cancel(self, *, force: bool) -> None:
        """End it; by force, or as its driver decides (job_cancel)."""
        self.cancel_async(force=force)
        if self.completed:
            if self.forced and self.txn is not None:
                self.txn.abort(self)
            return
        if not self.started or self.status in _RESUMES:
            self.advance()
        if self.driver.swift:
            self.advance()
        else:
            self.engine.machine.afterwards(self.advance)

    def cancel_async(self, *, force: bool) -> None:
        """Note that it shall end (job_cancel_async)."""
        force = self.driver.cancel(self, force=force) or force
        if self.user_paused:
            self.user_paused = False
            self.pause_count -= 1
        if force or not self.completed:
            self.cancelled = True
            self.forced = self.forced or force
            self.leaving = True
        if self.forced and self._moving in _OVERTAKEN:
            self._moving = None
            self._turn += 1

    # -- its life -------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Let a created job run (job_start)."""
        self.started = True
        self.pause_count -= 1
        self.advance()

    def hold(self) -> None:
        """What it works on has to be quiet (block_job_drained_begin)."""
        self.pause_count += 1
        self.advance()

    def release(self) -> None:
        """What it works on need not be quiet any more (block_job_drained_end)."""
        if self.status != "null":
            self.pause_count -= 1
            self.advance()
        companions, self.companions = self.companions, []
        for job in companions:
            job.release()

    def drop(self) -> None:
        """It was made in vain, and never ran (job_early_fail)."""
        self.driver.clean(self)
        if self.txn is not None:
            self.txn.leave(self)
        self.enter("null")

    def fail(self, text: str) -> None:
        """Its work has failed."""
        if self.error is None:
            self.error = text
        self.advance()

    def trouble(self, text: str, operation: str) -> str:
        """Reading or writing has failed: what its policy makes of it (block_job_error_action).

        Returns:
            ``report`` (the job fails), ``ignore`` (it goes on) or ``stop`` (it waits for the user).
        """
        full = "No space left" in text
        action = self.driver.policies[operation]
        if action in ("enospc", "auto"):
            action = "stop" if full else "report"
        if self.driver.block:
            data = {"device": self.id, "operation": operation, "action": action}
            self.engine.machine.emit("BLOCK_JOB_ERROR", data)
        if action == "stop":
            if not self.user_paused:
                self.user_paused = True
                self.pause_count += 1
            if self.io_status == "ok":
                self.io_status = "nospace" if full else "failed"
        return action

    def advance(self) -> None:
        """Take the next transition, if there is one and none is on its way."""
        if self._moving is None:
            move = self._next()
            if move is not None:
                self.enter(move)

    def enter(self, status: str) -> None:
        """Take the step into a state, as the script will have it."""
        from fakeqemu.jobs.steps import take

        self._turn += 1
        turn, self._moving = self._turn, status

        def act() -> None:
            if turn == self._turn and self._moving == status:
                self._moving = None
                self._become(status)

        def failed() -> None:
            if turn == self._turn and self._moving == status:
                self._moving = None
                self.advance()

        take(self, status, act, failed)

    @property
    def moving(self) -> bool:
        """Whether a transition is on its way (a script delays it, or left it out)."""
        return self._moving is not None

    def settle(self) -> None:
        """Its result takes effect, or is undone; then it is over (job_finalize_single)."""
        if self.error is None:
            self.driver.commit(self)
        else:
            self.driver.abort(self)
        self.driver.clean(self)
        if self.started and self.driver.block:
            self._tell_end()
        if self.txn is not None:
            self.txn.leave(self)
        self.enter("concluded")

    def _next(self) -> str | None:
        """Where its state and what is wanted of it lead; None to stay."""
        status = self.status
        failed = self.forced or self.error is not None
        if status == "created":
            return "aborting" if self.forced else "running" if self.started else None
        if status in _RESUMES:
            return None if self.pause_count > 0 and not failed else _RESUMES[status]
        if status in _PAUSES:
            if failed:
                return "aborting"
            return _PAUSES[status] if self.pause_count > 0 else self._onward()
        return "aborting" if status in ("waiting", "pending") and self.error is not None else None

    def _onward(self) -> str | None:
        if self.status == "ready":
            return "waiting" if self.leaving else None
        if not self.pace.done:
            return None
        return "ready" if self.driver.two_phase else "waiting"

    def _become(self, status: str) -> None:
        old = self.status
        if not legal(old, status):
            raise AssertionError(f"job {self.id}: {old} -> {status}")
        self.status = status
        if status == "aborting" and self.error is None:
            self.error = CANCELLED
        if status != old:
            self.engine.machine.emit("JOB_STATUS_CHANGE", {"status": status, "id": self.id})
        getattr(self, f"_in_{status}")()

    def _in_created(self) -> None:
        self.advance()

    def _in_running(self) -> None:
        first, self._ran = not self._ran, True
        if first:
            try:
                self.driver.run(self)
                self._find_mover()
            except CommandError as error:
                self.error = error.desc
        if self.error is None and not self.forced and not self.pause_count:
            self.pace.run(self.speed)
        self._go_on()

    def _in_paused(self) -> None:
        self.pace.halt()
        self.advance()

    def _in_ready(self) -> None:
        if not self._announced:
            self._announced = True
            if self.driver.block:
                self.engine.machine.emit("BLOCK_JOB_READY", self._end())
            self.driver.ready(self)
        self._go_on()

    def _in_standby(self) -> None:
        self.advance()

    def _in_waiting(self) -> None:
        if self.txn is not None:
            self.txn.succeeded(self)

    def _in_pending(self) -> None:
        if not self.auto_finalize and self.driver.block:
            self.engine.machine.emit("BLOCK_JOB_PENDING", {"type": self.driver.kind, "id": self.id})
        if self.txn is not None:
            self.txn.pended()

    def _in_aborting(self) -> None:
        self.pace.halt()
        if self.txn is not None:
            self.txn.abort(self)

    def _in_concluded(self) -> None:
        if self.auto_dismiss or not self.started:
            self.enter("null")

    def _in_null(self) -> None:
        self._turn += 1
        self.engine.forget(self)

    def _go_on(self) -> None:
        """What comes next: at once, or after what is being said if it has to write first."""
        failed = self.forced or self.error is not None
        still = self.pause_count > 0 and not failed
        nothing = self.status == "running" and self.pace.instant and not failed
        if self.driver.swift or still or nothing:
            self.advance()
        else:
            self.engine.machine.afterwards(self.advance)

    def _find_mover(self) -> None:
        """Whoever moves the bytes of real files."""
        if self.driver.block and not self.pace.instant and not self.pace.endless:
            from fakeqemu.block.images.disks import Trouble

            try:
                self.pace.mover = self.driver.mover()
            except Trouble as error:
                self.error = error.text

    def _stuck(self, text: str, operation: str | None) -> None:
        """Real bytes could not be read or written; ``ignore`` would lose them, so it tries again."""
        action = "report" if operation is None else self.trouble(text, operation)
        if action == "report":
            self.error = text
        elif action == "ignore":
            self.pace.run(self.speed)
        self.advance()

    def _worked(self) -> None:
        """All would be moved by now, if nothing was wrong."""
        found = self.driver.fault()
        if found is not None:
            action = self.trouble(*found)
            if action != "ignore":
                self.pace.again()
            if action == "report":
                self.error = found[0]
        self.advance()

    def _end(self) -> dict[str, Any]:
        return {
            "type": self.driver.kind,
            "device": self.id,
            "len": self.pace.total,
            "offset": self.pace.current,
            "speed": self.speed,
        }

    def _tell_end(self) -> None:
        data = self._end()
        if self.forced:
            self.engine.machine.emit("BLOCK_JOB_CANCELLED", data)
            return
        if self.error is not None:
            data["error"] = self.error
        self.engine.machine.emit("BLOCK_JOB_COMPLETED", data)
