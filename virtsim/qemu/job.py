"""Jobs: who may work on a domain now, and who has to wait.

One normal job, one agent job and one asynchronous job at a time, with libvirt's 30 s deadline and texts.
Source: libvirt 8.5.0 ``qemuDomainObjBeginJobInternal`` (``qemu_domainjob.c``).
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

from virtsim.errors import NoDomain, OperationError, OperationFailed, OperationTimeout
from virtsim.host.context import CURRENT_CALL, Context
from virtsim.states.job import AgentJob, AsyncJob, Job, nested_allowed

__all__ = ["JOB_WAIT_S", "DomainJob", "Held"]

#: How long one caller waits in all, seconds (``QEMU_JOB_WAIT_TIME`` = 30 000 ms): both waits share it.
JOB_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds a slot: the kind of job, the API's name, since when (loop seconds), for which API call."""

    job: Job | AgentJob | AsyncJob
    api: str
    since_s: float
    call: int


class DomainJob:
    """The job slots of one domain.

    Every ``begin`` that returns must be matched by the ``end`` of the same kind; a ``begin`` that raises or
    is cancelled holds nothing. Waking is a broadcast: when a slot is freed all waiters look again, in an
    order drawn from the run's seed, because libvirt promises none.

    Args:
        context: the run's doors (clock, chance, observer).
        name: the domain's name, for the journal and for errors.
        uuid: the domain's UUID, for errors.
        max_queued: libvirt's ``max_queued``: refuse at once when more jobs than this are held and waited for;
            0 switches it off.

    Attributes:
        active: the normal job.
        agent: the agent job.
        async_job: the asynchronous job.
        removed: the domain is no longer known; whoever waits is told so.
    """

    __slots__ = (
        "_context",
        "_max_queued",
        "_name",
        "_queued",
        "_uuid",
        "_waiters",
        "active",
        "agent",
        "async_job",
        "removed",
    )

    def __init__(self, context: Context, name: str, uuid: uuid.UUID, max_queued: int = 0) -> None:
        self._context = context
        self._name = name
        self._uuid = uuid
        self._max_queued = max_queued
        self._queued = 0
        self._waiters: list[asyncio.Future[bool]] | None = None
        self.active: Held | None = None
        self.agent: Held | None = None
        self.async_job: Held | None = None
        self.removed = False

    @property
    def call(self) -> int:
        """The API call on whose behalf somebody works on the domain now; 0 for nobody's."""
        held = self.active or self.async_job or self.agent
        return held.call if held is not None else 0

    async def begin(self, job: Job, api: str) -> None:
        """Wait for the normal job.

        Raises:
            OperationTimeout: 30 s after the call, with the name of who holds it.
            OperationFailed: more jobs are queued than ``max_queued`` allows.
            NoDomain: the domain vanished while we waited.
        """
        await self._acquire(job, None, None, api)

    async def begin_agent(self, agent: AgentJob, api: str, job: Job | None = None) -> None:
        """Wait for the agent job, and for a normal job too when one is named. Raises as `begin` does."""
        await self._acquire(job, agent, None, api)

    async def begin_async(self, kind: AsyncJob, api: str) -> None:
        """Wait for the asynchronous job. Raises as `begin` does, but ``max_queued`` never refuses it."""
        await self._acquire(Job.ASYNC, None, kind, api)

    async def begin_nested(self, api: str) -> None:
        """Wait for the normal job as a step of the caller's asynchronous job. Raises as `begin` does."""
        await self._acquire(Job.ASYNC_NESTED, None, None, api)

    def end(self) -> None:
        """Give the normal job back and wake whoever waits."""
        held, self.active = self.active, None
        self._release(held)

    def end_agent(self, *, both: bool = False) -> None:
        """Give the agent job back, with ``both`` the normal job too, and wake whoever waits."""
        held, self.agent = self.agent, None
        if both:
            self.active = None
        self._release(held)

    def end_async(self) -> None:
        """Give the asynchronous job back and wake whoever waits."""
        held, self.async_job = self.async_job, None
        self._release(held)

    def vanish(self) -> None:
        """The domain is no longer known: whoever waits gets NoDomain."""
        self.removed = True
        self._broadcast()

    # -- private

    async def _acquire(
        self, job: Job | None, agent: AgentJob | None, kind: AsyncJob | None, api: str
    ) -> None:
        self._queued += 1
        try:
            if not self._free(job, agent) or self._over_limit(job):
                await self._wait(job, agent, kind, api)
            if self.removed:
                raise NoDomain(f"no domain with matching uuid '{self._uuid}' ({self._name})")
        except BaseException:
            self._queued -= 1
            raise
        held = kind or job or agent
        assert held is not None  # noqa: S101  (the four begins above never pass three Nones)
        holder = Held(held, api, asyncio.get_running_loop().time(), CURRENT_CALL.get())
        if kind is not None:
            self.async_job = holder
        elif job is not None:
            self.active = holder
        if agent is not None:
            self.agent = Held(agent, api, holder.since_s, holder.call)
        self._context.note("job", self._name, op="begin", job=held.name, api=api)

    async def _wait(self, job: Job | None, agent: AgentJob | None, kind: AsyncJob | None, api: str) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        deadline_s = began_s + JOB_WAIT_S
        wanted = kind or job or agent
        note = {"job": wanted.name if wanted else "", "api": api}
        self._context.note("job", self._name, op="wait", held_by=self._holders(job), **note)
        while not self._free(job, agent) or self._over_limit(job):
            if self._over_limit(job):
                self._context.note("job", self._name, op="refused", held_by=self._holders(job), **note)
                raise self._refusal(job, OperationFailed, " due to max_queued limit")
            if not await self._woken(deadline_s):
                waited = round((loop.time() - began_s) * 1e9)
                self._context.note(
                    "job", self._name, op="timeout", held_by=self._holders(job), waited_ns=waited, **note
                )
                raise self._refusal(job, OperationTimeout, "")
            if self.removed:
                return

    async def _woken(self, deadline_s: float) -> bool:
        """Wait for a broadcast; False when the deadline came first."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        timer = loop.call_at(deadline_s, _expire, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            if self._waiters is not None and waiter in self._waiters:
                self._waiters.remove(waiter)

    def _free(self, job: Job | None, agent: AgentJob | None) -> bool:
        running = self.async_job.job if self.async_job is not None else None
        assert running is None or isinstance(running, AsyncJob)  # noqa: S101  (tells mypy what `_acquire` stores)
        if not nested_allowed(running, job):
            return False
        return (job is None or self.active is None) and (agent is None or self.agent is None)

    def _over_limit(self, job: Job | None) -> bool:
        return (
            self._max_queued > 0
            and self._queued > self._max_queued
            and job is not Job.ASYNC
            and job is not Job.DESTROY
        )

    def _holders(self, job: Job | None) -> str:
        """Who is in the way, as libvirt puts it; empty when nobody is."""
        running = self.async_job.job if self.async_job is not None else None
        assert running is None or isinstance(running, AsyncJob)  # noqa: S101  (see `_free`)
        # The monitor's holder is the asynchronous job only if that is what refuses the job.
        holder = self.active if nested_allowed(running, job) else self.async_job
        held = []
        if holder is not None:
            held.append(f"monitor={holder.api}")
        if self.agent is not None:
            held.append(f"agent={self.agent.api}")
        return " ".join(held)

    def _refusal(self, job: Job | None, error: type[OperationError], why: str) -> OperationError:
        holders = self._holders(job)
        suffix = f" (held by {holders})" if holders else ""
        return error(f"cannot acquire state change lock{suffix}{why}")

    def _release(self, held: Held | None) -> None:
        self._queued -= 1
        if held is not None:
            self._context.note("job", self._name, op="end", job=held.job.name, api=held.api)
        self._broadcast()

    def _broadcast(self) -> None:
        waiters, self._waiters = self._waiters, None
        if not waiters:
            return
        if len(waiters) > 1:
            # pthread_cond_broadcast wakes in no particular order: the seed decides, so that a run repeats.
            self._context.chance.stream("job").shuffle(waiters)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(True)


def _expire(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
