"""Jobs of any kind: ``query-jobs`` and the verbs."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.jobs import Job
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "job_cancel", "job_complete", "job_dismiss", "job_finalize", "job_pause", "job_resume", "query_jobs",
]  # fmt: skip


def _job(machine: FakeQemu, arguments: dict[str, Any]) -> Job:
    from fakeqemu.jobs import engine_of

    job = engine_of(machine).find(arguments["id"]) if "jobs" in machine.parts else None
    if job is None:
        raise CommandError("GenericError", "Job not found")
    return job


@command("query-jobs")
def query_jobs(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """All jobs, the newest first."""
    del session
    if "jobs" not in machine.parts:
        return []
    from fakeqemu.jobs import engine_of

    return [job.info() for job in engine_of(machine).jobs]


@command("job-pause", takes=True)
def job_pause(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a job stand still."""
    del session
    _job(machine, arguments).pause()


@command("job-resume", takes=True)
def job_resume(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a job go on."""
    del session
    _job(machine, arguments).resume()


@command("job-cancel", takes=True)
def job_cancel(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """End a job, by force."""
    del session
    _job(machine, arguments).user_cancel(force=True)


@command("job-complete", takes=True)
def job_complete(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a ready job end and take effect."""
    del session
    _job(machine, arguments).complete()


@command("job-finalize", takes=True)
def job_finalize(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a pending job take effect."""
    del session
    _job(machine, arguments).finalize()


@command("job-dismiss", takes=True)
def job_dismiss(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a concluded job go."""
    del session
    _job(machine, arguments).dismiss()
