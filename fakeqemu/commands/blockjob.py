"""Block jobs: their own verbs, and ``query-block-jobs``."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.jobs import Job
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "block_commit", "block_job_cancel", "block_job_complete", "block_job_dismiss", "block_job_finalize",
    "block_job_pause", "block_job_resume", "block_job_set_speed", "block_stream", "blockdev_backup",
    "blockdev_create", "blockdev_mirror", "drive_backup", "drive_mirror", "query_block_jobs",
    "x_blockdev_amend",
]  # fmt: skip


def _job(machine: FakeQemu, arguments: dict[str, Any], member: str = "device") -> Job:
    from fakeqemu.jobs import engine_of

    name = arguments[member]
    job = engine_of(machine).find(name) if "jobs" in machine.parts else None
    if job is None or not job.driver.block:
        raise CommandError("DeviceNotActive", f"Block job '{name}' not found")
    return job


@command("query-block-jobs")
def query_block_jobs(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The block jobs, the newest first."""
    del session
    if "jobs" not in machine.parts:
        return []
    from fakeqemu.jobs import engine_of

    return [job.block_info() for job in engine_of(machine).jobs if job.driver.block]


@command("block-job-set-speed", takes=True)
def block_job_set_speed(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Limit a job to so many bytes a second."""
    del session
    _job(machine, arguments).set_speed(arguments["speed"])


@command("block-job-cancel", takes=True)
def block_job_cancel(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """End a job; of a ready one, without letting it take effect."""
    del session
    job = _job(machine, arguments)
    force = bool(arguments.get("force"))
    if job.user_paused and not force:
        raise CommandError(
            "GenericError", f"The block job for device '{arguments['device']}' is currently paused"
        )
    job.user_cancel(force=force)


@command("block-job-pause", takes=True)
def block_job_pause(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a job stand still."""
    del session
    _job(machine, arguments).pause()


@command("block-job-resume", takes=True)
def block_job_resume(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a job go on."""
    del session
    _job(machine, arguments).resume()


@command("block-job-complete", takes=True)
def block_job_complete(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a ready job end and take effect."""
    del session
    _job(machine, arguments).complete()


@command("block-job-finalize", takes=True)
def block_job_finalize(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a pending job take effect."""
    del session
    _job(machine, arguments, "id").finalize()


@command("block-job-dismiss", takes=True)
def block_job_dismiss(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let a concluded job go."""
    del session
    _job(machine, arguments, "id").dismiss()


@command("block-commit", takes=True)
def block_commit(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Write what an overlay holds into an image below it."""
    del session
    from fakeqemu.jobs import commit

    commit.block_commit(machine, arguments)


@command("block-stream", takes=True)
def block_stream(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Pull what the images below hold up into an overlay."""
    del session
    from fakeqemu.jobs import stream

    stream.block_stream(machine, arguments)


@command("blockdev-mirror", takes=True)
def blockdev_mirror(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Copy a disk to another, and keep it in step."""
    del session
    from fakeqemu.jobs import mirror

    mirror.blockdev_mirror(machine, arguments)


@command("drive-mirror", takes=True)
def drive_mirror(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Copy a disk into a file, and keep it in step."""
    del session
    from fakeqemu.jobs import drives

    drives.drive_mirror(machine, arguments)


@command("blockdev-backup", takes=True)
def blockdev_backup(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Copy what is on a disk now to another."""
    del session
    from fakeqemu.jobs import backup

    backup.backup(machine, arguments, drive=False)


@command("drive-backup", takes=True)
def drive_backup(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Copy what is on a disk now into a file."""
    del session
    from fakeqemu.jobs import backup

    backup.backup(machine, arguments, drive=True)


@command("blockdev-create", takes=True)
def blockdev_create(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Make an image file."""
    del session
    from fakeqemu.jobs import create

    create.blockdev_create(machine, arguments)


@command("x-blockdev-amend", takes=True)
def x_blockdev_amend(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Change what an image's header says."""
    del session
    from fakeqemu.jobs import create

    create.blockdev_amend(machine, arguments)
