"""The steps of a job under a script.

Knows where a script may have a say in the life of a job. Must not know states.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.jobs.job import Job

__all__ = ["take"]

#: Too late for an error: the job is failing already, or nothing of it is left to fail.
_SETTLED = ("aborting", "concluded", "null")


def take(job: Job, status: str, act: Callable[[], None], failed: Callable[[], None]) -> None:
    """Take the step into a state: ``act`` enters it, ``failed`` decides anew after the job's error is set.

    A rule's ``error`` fails the job with its text, under the job's policy about errors; before it is created,
    the command that wants it is refused.
    """
    machine = job.engine.machine
    rule = machine.pick("job", f"{job.id}:{status}") if machine.rules is not None else None
    if rule is None:
        act()
        return
    from fakeqemu.scripts.effects import at_step

    error: dict[str, Any] | None = rule.do.get("error")
    if error is None or status in _SETTLED:
        at_step(machine, rule, act)
        return
    if status == "created":
        raise CommandError(error["class"], error["desc"])

    def trip() -> None:
        if job.error is not None:  # it has failed already, and only goes its way
            act()
            return
        outcome = job.trouble(error["desc"], "write" if "No space left" in error["desc"] else "read")
        if outcome == "ignore":
            act()
            return
        if outcome == "report":
            job.error = error["desc"]
        failed()

    at_step(machine, rule, trip)
