"""Jobs that succeed together or not at all.

Knows QEMU 7.2's transactions of jobs (JobTxn in job.c). Must not know what jobs do.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.jobs.job import Job

__all__ = ["Txn"]


class Txn:
    """A transaction; every job is in one, most of them alone.

    Attributes:
        jobs: those that have not settled yet, the newest first.
    """

    __slots__ = ("aborting", "jobs")

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.aborting = False

    def join(self, job: Job) -> None:
        """Take a job in."""
        self.jobs.insert(0, job)
        job.txn = self

    def leave(self, job: Job) -> None:
        """A job has settled."""
        self.jobs.remove(job)
        job.txn = None

    def succeeded(self, job: Job) -> None:
        """A job has done its work; when all have, they are pending (job_completed_txn_success)."""
        if self.aborting:
            self._unwind()
            return
        if job.error is not None:
            job.advance()
            return
        if all(other.completed for other in self.jobs):
            for other in tuple(self.jobs):
                if other.status == "waiting" and not other.moving:
                    other.enter("pending")

    def pended(self) -> None:
        """A job has become pending: when all are, and none waits for the user, they are finalized."""
        if self.aborting:
            self._unwind()
            return
        failed = next((job for job in self.jobs if job.error is not None), None)
        if failed is not None:
            failed.advance()
        elif all(job.status == "pending" for job in self.jobs) and all(
            job.auto_finalize for job in self.jobs
        ):
            self.finalize()

    def finalize(self) -> None:
        """Let all take effect (job_do_finalize)."""
        for job in tuple(self.jobs):
            try:
                job.driver.prepare(job)
            except CommandError as error:
                job.fail(error.desc)
                return
        for job in tuple(self.jobs):
            job.settle()

    def abort(self, job: Job) -> None:
        """A job has failed or was cancelled, and with it all are (job_completed_txn_abort)."""
        if not self.aborting:
            self.aborting = True
            for other in tuple(self.jobs):
                if other is not job:
                    other.cancel_async(force=True)
        self._unwind()

    def _unwind(self) -> None:
        while self.jobs:
            job = self.jobs[0]
            if job.moving:
                return
            if job.status == "aborting":
                job.settle()
                continue
            if job.completed:
                job.enter("aborting")
            else:
                job.advance()
            # Entering a state may have settled it already, by way of this very function.
            if job in self.jobs and (job.moving or job.status not in ("aborting", "running", "ready")):
                return
