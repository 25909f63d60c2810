"""Jobs: who waits for whom, how long, and what they are told; on the virtual clock, to the millisecond."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable

import pytest

from virtsim.errors import ErrorCode, NoDomain, OperationFailed, OperationTimeout, VirtsimError
from virtsim.host.chance import SeededChance
from virtsim.host.clock import SystemClock
from virtsim.host.context import Context
from virtsim.host.memory import MemoryFiles
from virtsim.qemu.job import DomainJob
from virtsim.sim.loop import run
from virtsim.states.job import MASKS, AgentJob, AsyncJob, Job, nested_allowed

KEY = uuid.UUID("11111111-2222-3333-4444-555555555555")


def play(scene: Callable[[Context], Awaitable[None]], seed: str = "0") -> None:
    async def main() -> None:
        context = Context(
            launcher=None,  # type: ignore[arg-type]
            files=MemoryFiles(),
            wallclock=SystemClock(),
            chance=SeededChance(seed),
            run_dir="/run",
        )
        await scene(context)

    run(main())


def now_ms() -> float:
    return Context.now_ns() / 1_000_000


def make(context: Context, max_queued: int = 0) -> DomainJob:
    return DomainJob(context, "vm", KEY, max_queued)


async def failure(awaitable: Awaitable[None], kind: type[VirtsimError]) -> str:
    with pytest.raises(kind) as caught:
        await awaitable
    return caught.value.text


PREFIX = "Timed out during operation: cannot acquire state change lock"


def test_a_normal_job_waits_for_the_other_until_30_s_have_passed() -> None:
    async def scene(context: Context) -> None:
        job = make(context)
        await job.begin(Job.MODIFY, "remoteDispatchDomainSuspend")
        await asyncio.sleep(5)
        text = await failure(job.begin(Job.QUERY, "other"), OperationTimeout)
        assert now_ms() == 35_000
        assert text == f"{PREFIX} (held by monitor=remoteDispatchDomainSuspend)"

    play(scene)


@pytest.mark.parametrize("job", [j for j in Job if j not in {Job.DESTROY, Job.ASYNC_NESTED}])
def test_during_a_start_only_destroy_may_come_in(job: Job) -> None:
    async def scene(context: Context) -> None:
        jobs = make(context)
        await jobs.begin_async(AsyncJob.START, "remoteDispatchDomainCreate")
        await jobs.begin(Job.DESTROY, "remoteDispatchDomainDestroy")
        jobs.end()
        text = await failure(jobs.begin(job, "x"), OperationTimeout)
        assert text == f"{PREFIX} (held by monitor=remoteDispatchDomainCreate)"
        assert now_ms() == 30_000

    play(scene)


def test_the_deadline_is_shared_by_the_two_waits() -> None:
    async def scene(context: Context) -> None:
        job = make(context)
        await job.begin_async(AsyncJob.START, "create")
        await job.begin(Job.DESTROY, "destroy")
        waiting = asyncio.ensure_future(job.begin(Job.QUERY, "stat"))
        await asyncio.sleep(20)
        job.end_async()  # from now on it waits for the normal job, with 10 s left
        text = await failure(waiting, OperationTimeout)
        assert now_ms() == 30_000
        assert text == f"{PREFIX} (held by monitor=destroy)"

    play(scene)


def test_an_async_job_that_begins_meanwhile_is_looked_at_again() -> None:
    async def scene(context: Context) -> None:
        job = make(context)
        await job.begin(Job.MODIFY, "first")
        waiting = asyncio.ensure_future(job.begin(Job.MODIFY, "second"))
        await asyncio.sleep(1)
        job.end()
        await job.begin_async(AsyncJob.DUMP, "dump")  # before the waiter has run
        await asyncio.sleep(1)
        assert not waiting.done()
        job.end_async()
        await waiting
        assert now_ms() == 2000

    play(scene)


def test_agent_jobs_have_a_slot_of_their_own() -> None:
    async def scene(context: Context) -> None:
        job = make(context)
        await job.begin_agent(AgentJob.QUERY, "remoteDispatchDomainFsfreeze")
        await job.begin(Job.QUERY, "remoteDispatchDomainGetInfo")
        assert now_ms() == 0
        texts = await asyncio.gather(
            failure(job.begin_agent(AgentJob.MODIFY, "x"), OperationTimeout),
            failure(job.begin(Job.QUERY, "y"), OperationTimeout),
        )
        both = f"{PREFIX} (held by monitor=remoteDispatchDomainGetInfo agent=remoteDispatchDomainFsfreeze)"
        assert texts == [both, both]
        job.end()
        text = await failure(job.begin_agent(AgentJob.MODIFY, "x"), OperationTimeout)
        assert text == f"{PREFIX} (held by agent=remoteDispatchDomainFsfreeze)"
        job.end_agent()
        await job.begin_agent(AgentJob.MODIFY, "both", Job.MODIFY)
        assert (job.active, job.agent) != (None, None)
        job.end_agent(both=True)
        assert (job.active, job.agent) == (None, None)

    play(scene)


def test_nobody_to_name_gives_the_bare_text() -> None:
    async def scene(context: Context) -> None:
        job = make(context, max_queued=1)
        await job.begin_async(AsyncJob.BACKUP, "backup")
        text = await failure(job.begin(Job.QUERY, "x"), OperationFailed)
        assert text == "operation failed: cannot acquire state change lock due to max_queued limit"

    play(scene)


@pytest.mark.parametrize("waiting", [1, 2, 5])
def test_more_than_max_queued_are_refused_at_once(waiting: int) -> None:
    async def scene(context: Context) -> None:
        job = make(context, max_queued=waiting)
        await job.begin(Job.MODIFY, "holder")
        queued = [asyncio.ensure_future(job.begin(Job.QUERY, "q")) for _ in range(waiting - 1)]
        await asyncio.sleep(1)
        with pytest.raises(OperationFailed) as refused:
            await job.begin(Job.QUERY, "one too many")
        assert now_ms() == 1000
        assert refused.value.code is ErrorCode.VIR_ERR_OPERATION_FAILED
        assert refused.value.detail == (
            "cannot acquire state change lock (held by monitor=holder) due to max_queued limit"
        )
        destroy = asyncio.ensure_future(job.begin(Job.DESTROY, "destroy"))
        start = asyncio.ensure_future(job.begin_async(AsyncJob.START, "create"))
        await asyncio.sleep(1)
        assert not destroy.done()
        assert not start.done()
        for task in (destroy, start, *queued):
            task.cancel()
        await asyncio.wait([destroy, start, *queued])
        job.end()
        await job.begin(Job.QUERY, "after all that")
        assert now_ms() == 2000

    play(scene)


def test_a_domain_that_vanishes_while_one_waits() -> None:
    async def scene(context: Context) -> None:
        job = make(context)
        await job.begin(Job.MODIFY, "undefine")
        waiting = asyncio.ensure_future(failure(job.begin(Job.QUERY, "x"), NoDomain))
        await asyncio.sleep(3)
        job.vanish()
        job.end()
        assert await waiting == f"Domain not found: no domain with matching uuid '{KEY}' (vm)"
        assert now_ms() == 3000

    play(scene)


def test_of_two_waiters_at_the_last_moment_exactly_one_wins() -> None:
    async def scene(context: Context) -> None:
        job = make(context)
        await job.begin(Job.MODIFY, "holder")
        waiting = [asyncio.ensure_future(job.begin(Job.QUERY, f"w{n}")) for n in range(2)]
        await asyncio.sleep(29.999)
        job.end()
        await asyncio.wait(waiting)
        assert now_ms() == 30_000
        assert sorted(type(task.exception()).__name__ for task in waiting) == ["NoneType", "OperationTimeout"]

    play(scene)


def test_waiters_win_in_no_order_but_the_seeds() -> None:
    orders = set()
    for seed in "abcdefgh":
        order: list[int] = []

        async def scene(context: Context, order: list[int] = order) -> None:
            job = make(context)
            await job.begin(Job.MODIFY, "holder")

            async def take(number: int) -> None:
                await job.begin(Job.QUERY, f"w{number}")
                order.append(number)
                job.end()

            tasks = [asyncio.ensure_future(take(n)) for n in range(5)]
            await asyncio.sleep(1)
            job.end()
            await asyncio.wait(tasks)

        play(scene, seed)
        again = list(order)
        order.clear()
        play(scene, seed)
        assert order == again
        assert sorted(order) == [0, 1, 2, 3, 4]
        orders.add(tuple(order))
    assert len(orders) > 2


def test_a_cancelled_waiter_holds_nothing_and_hinders_nobody() -> None:
    async def scene(context: Context) -> None:
        job = make(context)
        await job.begin(Job.MODIFY, "holder")
        first, second = (asyncio.ensure_future(job.begin(Job.QUERY, "w")) for _ in range(2))
        await asyncio.sleep(1)
        job.end()
        first.cancel()
        second_done = asyncio.ensure_future(second)
        await asyncio.wait([first, second_done])
        assert job.active is not None
        assert job.active.api == "w"
        job.end()
        await job.begin(Job.QUERY, "next")

    play(scene)


@pytest.mark.parametrize(("running", "job"), list(itertools.product(AsyncJob, Job)))
def test_masks(running: AsyncJob, job: Job) -> None:
    assert nested_allowed(running, job) == (job is Job.ASYNC_NESTED or job in MASKS[running])
    assert nested_allowed(running, Job.DESTROY)
    assert nested_allowed(None, job)
    assert nested_allowed(running, None)
