"""All jobs of a machine.

Knows which there are and what may be made. Must not know what they do.
"""

from __future__ import annotations

from fakeqemu.jobs.job import Driver, Job
from fakeqemu.jobs.pace import Pace
from fakeqemu.jobs.table import BOUND
from fakeqemu.jobs.txn import Txn
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.node import BlockNode
    from fakeqemu.machine import FakeQemu

__all__ = ["Jobs", "engine_of", "well_formed"]


def well_formed(name: str) -> bool:
    """Whether QEMU takes this for an identifier (id_wellformed)."""
    return name[:1].isalpha() and name.isascii() and all(char.isalnum() or char in "-._" for char in name)


class Jobs:
    """The jobs of one machine, the newest first."""

    __slots__ = ("jobs", "machine")

    def __init__(self, machine: FakeQemu) -> None:
        self.machine = machine
        self.jobs: list[Job] = []

    def find(self, ident: str) -> Job | None:
        """The job of that name."""
        return next((job for job in self.jobs if job.id == ident), None)

    def check_id(self, ident: str) -> None:
        """Refuse a name that a new job cannot have (job_create)."""
        if not well_formed(ident):
            raise CommandError("GenericError", f"Invalid job ID '{ident}'")
        if self.find(ident) is not None or len(self.jobs) >= BOUND:
            raise CommandError("GenericError", f"Job ID '{ident}' already in use")

    def asked(self, ident: str, driver: Driver, arguments: dict[str, Any], *, txn: Txn | None = None) -> Job:
        """Make a job with the speed and the ways to end that a command's arguments ask for; see `create`."""
        return self.create(
            ident,
            driver,
            speed=arguments.get("speed", 0),
            auto_finalize=arguments.get("auto-finalize", True),
            auto_dismiss=arguments.get("auto-dismiss", True),
            txn=txn,
        )

    def create(
        self,
        ident: str,
        driver: Driver,
        *,
        total: int = 0,
        work: int | None = None,
        speed: int = 0,
        auto_finalize: bool = True,
        auto_dismiss: bool = True,
        txn: Txn | None = None,
    ) -> Job:
        """Make a job that does not run yet (job_create, block_job_create).

        Args:
            ident: its name.
            driver: what it does.
            total: its length as it is shown, in bytes.
            work: bytes that have to be moved; all of ``total`` if not given.
            speed: limit in bytes a second, 0 for none.
            auto_finalize: it takes effect without being told.
            auto_dismiss: it goes without being told.
            txn: its companions; it is alone if not given.

        Raises:
            CommandError: the name is taken or none, the limit is negative, or the script refuses.
        """
        self.check_id(ident)
        pace = Pace(self.machine, total, total if work is None else work)
        job = Job(self, ident, driver, pace, max(speed, 0))
        job.auto_finalize, job.auto_dismiss = auto_finalize, auto_dismiss
        (txn or Txn()).join(job)
        self.jobs.insert(0, job)
        try:
            job.enter("created")
        except CommandError:
            self.jobs.remove(job)
            if job.txn is not None:
                job.txn.leave(job)
            raise
        if speed < 0:
            job.drop()
            raise CommandError("GenericError", "Parameter 'speed' expects a non-negative value")
        return job

    def start(self, ident: str, driver: Driver, **more: Any) -> Job:
        """Make a job as `create` does, and let it run."""
        job = self.create(ident, driver, **more)
        job.launch()
        return job

    def drain(self) -> None:
        """Let everything that is being read and written come to rest for a moment (bdrv_drain_all)."""
        left = [job for job in reversed(self.jobs) if job.driver.block and not job.completed]
        held: list[Job] = []
        while left:  # chain by chain; of a chain, the newest is nearest to the guest
            chain = [job for job in left if job is left[0] or job.driver.meets(left[0].driver)]
            for job in reversed(chain):
                job.hold()
            held += chain
            left = [job for job in left if job not in chain]
        for job in held:
            job.release()

    def rest_around(self, node: BlockNode) -> None:
        """Let what is done to a node's chain rest for a moment, while its graph changes."""
        for job in reversed(self.hold_around(node)):
            job.release()

    def hold_around(self, node: BlockNode) -> list[Job]:
        """Let what is done to a node's chain rest (bdrv_drained_begin); whoever asks releases the jobs."""
        found = [job for job in self.jobs if not job.completed and job.driver.touches(node)]
        for job in found:
            job.hold()
        return found

    def forget(self, job: Job) -> None:
        """A job is no more."""
        if job in self.jobs:
            self.jobs.remove(job)

    def saved(self) -> None:
        """Jobs stay where they are when a guest moves."""

    def restored(self, machine: FakeQemu, value: object) -> None:
        """Jobs do not come with a guest."""


def engine_of(machine: FakeQemu) -> Jobs:
    """The machine's jobs; made when first asked for."""
    found: Jobs | None = machine.parts.get("jobs")
    if found is None:
        found = machine.parts["jobs"] = Jobs(machine)
    return found
