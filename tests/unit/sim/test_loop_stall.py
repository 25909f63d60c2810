# ruff: noqa: ASYNC110  (loops that poll are the subject)
"""A run that cannot go on ends with a report that names the tasks and where they wait."""

import asyncio
import contextlib
import gc
import re

import pytest

from virtsim.sim.loop import EndOfTime, SimDeadlock, SimLivelock, VirtualLoop, run


async def wait_for_nothing(event: asyncio.Event) -> None:
    await event.wait()


async def outer(event: asyncio.Event) -> None:
    await wait_for_nothing(event)


def line_of(function: object, offset: int = 1) -> int:
    return function.__code__.co_firstlineno + offset  # type: ignore[attr-defined, no-any-return]


def test_a_deadlock_names_each_task_and_its_innermost_line() -> None:
    async def main() -> None:
        event = asyncio.Event()
        await asyncio.sleep(2.5)
        task = asyncio.create_task(outer(event), name="monitor of a")
        await task

    with pytest.raises(SimDeadlock) as caught:
        run(main())
    text = str(caught.value)
    assert text.startswith(
        "deadlock at 2.500000000 s: nothing is ready and no timer is set; the pending tasks are\n"
    )
    assert (
        f"/test_loop_stall.py:{line_of(wait_for_nothing)} in wait_for_nothing, in asyncio/locks.py:" in text
    )
    assert re.search(
        r"task-1: \S*test_loop_stall.py:\d+ in test_a_deadlock.*main, for task monitor of a", text
    )
    assert text.index("task-1") < text.index("monitor of a")


def test_a_deadlock_with_a_descriptor_that_nobody_will_ever_write_to() -> None:
    import socket

    async def main() -> None:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        try:
            loop.add_reader(near, print)
            await loop.create_future()
        finally:
            loop.remove_reader(near)
            near.close()
            far.close()

    with pytest.raises(SimDeadlock):
        run(main(), net="real")


def test_a_report_of_many_tasks_stays_readable() -> None:
    async def main() -> None:
        event = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(outer(event))

    with pytest.raises(SimDeadlock, match="and 61 more"):
        run(main())


def test_tasks_wait_in_generators_too() -> None:
    async def numbers(event: asyncio.Event):
        yield 1
        await event.wait()
        yield 2

    async def main() -> None:
        async for _ in numbers(asyncio.Event()):
            pass

    with pytest.raises(SimDeadlock, match=r"in test_tasks_wait_in_generators_too\.<locals>\.(numbers|main)"):
        run(main())


def spin_on_sleep() -> object:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    return main()


def spin_on_call_soon() -> object:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        await asyncio.sleep(1)

    return main()


def spin_on_tiny_sleeps() -> object:
    async def main() -> None:
        while True:
            await asyncio.sleep(1e-10)

    return main()


def spin_on_past_timers() -> object:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_at(0, again)

        again()
        await asyncio.sleep(1)

    return main()


def spin_as_libvirt_would() -> object:
    # virTimeBackOffWait ends at t > limit and shortens the last nap to limit - t: at t == limit it naps 0 for
    # ever.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(30)
        while loop.time() <= 30:
            await asyncio.sleep(30 - loop.time())

    return main()


@pytest.mark.parametrize(
    "spin",
    [spin_on_sleep, spin_on_call_soon, spin_on_tiny_sleeps, spin_on_past_timers, spin_as_libvirt_would],
)
def test_a_live_lock_is_found_and_named(spin: object) -> None:
    with pytest.raises(SimLivelock, match=r"callbacks have run without the clock moving") as caught:
        run(spin(), livelock_limit=2000)  # type: ignore[operator]
    assert "test_loop_stall.py:" in str(caught.value)


def test_a_callback_that_spins_for_ever_does_not_keep_tasks_from_cleaning_up() -> None:
    cleaned = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        try:
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(2)
            cleaned.append(loop.time())

    with pytest.raises(SimLivelock, match=r"about to run .*again"):
        run(main(), livelock_limit=2000)
    assert cleaned == [2]


def test_a_task_that_refuses_to_be_cancelled_is_abandoned_without_a_word() -> None:
    cleaned = []

    async def main() -> None:
        try:
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
        finally:
            cleaned.append("begun")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                cleaned.append("ended")

    with pytest.raises(SimLivelock):
        run(main(), livelock_limit=2000)
    gc.collect()  # a coroutine that is closed only now would be heard of: warnings are errors
    assert cleaned[0] == "begun"


def test_the_limit_is_a_hundred_thousand_callbacks() -> None:
    loop = VirtualLoop()
    try:
        with pytest.raises(SimLivelock, match="100000 callbacks"):
            loop.run_until_complete(spin_on_sleep())  # type: ignore[arg-type]
        assert 100_000 <= loop.callbacks <= 100_010
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()


def test_many_domains_that_do_much_at_one_instant_are_no_live_lock() -> None:
    async def busy() -> None:
        await asyncio.sleep(1)
        for _ in range(40):
            await asyncio.sleep(0)

    async def main() -> int:
        async with asyncio.TaskGroup() as group:
            for _ in range(500):
                group.create_task(busy())
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop.callbacks

    assert run(main(), livelock_limit=2000) > 10 * 2000


def test_a_busy_run_whose_clock_moves_is_no_live_lock() -> None:
    async def main() -> float:
        for _ in range(5000):
            await asyncio.sleep(2e-9)
        return asyncio.get_running_loop().time()

    assert run(main(), livelock_limit=1000) == 1e-5


def test_the_end_of_time() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(100)

    with pytest.raises(
        EndOfTime, match=r"until 1000\.0{9} s, the next thing to happen is due at 1100\.0{9} s"
    ) as caught:
        run(main(), end_ns=1000 * 10**9)
    assert "sim/test_loop_stall.py" in str(caught.value)


def test_what_happens_at_the_very_end_still_happens() -> None:
    async def main() -> float:
        await asyncio.sleep(1000)
        return asyncio.get_running_loop().time()

    assert run(main(), end_ns=1000 * 10**9) == 1000


@pytest.mark.parametrize("failure", ["deadlock", "live-lock", "end"])
def test_after_a_failure_the_tasks_are_cancelled_and_may_take_their_time(failure: str) -> None:
    ended: list[tuple[str, float]] = []

    async def child(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(5)
            ended.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child("a"))
            group.create_task(child("b"))
            await asyncio.sleep(10)
            while failure == "live-lock":
                await asyncio.sleep(0)
            await asyncio.sleep(100 if failure == "end" else 0)

    expected = {"deadlock": SimDeadlock, "live-lock": SimLivelock, "end": EndOfTime}[failure]
    with pytest.raises(expected):
        run(main(), end_ns=20 * 10**9, livelock_limit=500)
    assert ended == [("a", 15), ("b", 15)]


def test_a_task_that_cannot_be_cancelled_does_not_hang_the_run(recwarn: pytest.WarningsRecorder) -> None:
    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(stubborn(), name="stubborn")
        await asyncio.sleep(1)
        assert not task.done()

    with pytest.raises(SimDeadlock, match="stubborn"):
        run(main())
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_an_error_during_the_clean_up_is_told() -> None:
    told: list[str] = []

    async def bad() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            raise KeyError("late")

    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(repr(context["exception"])))
        loop.bad = asyncio.create_task(bad())  # type: ignore[attr-defined]
        await asyncio.sleep(1)
        return "result"

    assert run(main()) == "result"
    assert told == ["KeyError('late')"]


def test_the_collector_is_off_during_a_run_and_as_before_afterwards() -> None:
    async def main() -> bool:
        return gc.isenabled()

    assert gc.isenabled()
    assert run(main()) is False
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    gc.disable()
    try:
        run(main())
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_task_that_has_not_begun_is_said_to_be_so() -> None:
    from virtsim.sim.stall import describe_tasks

    async def main() -> str:
        task = asyncio.create_task(asyncio.sleep(1), name="later")
        text = describe_tasks([task])
        await task
        assert describe_tasks([task]) == "  (no task is pending)"
        return text

    assert "later: asyncio/tasks.py" in run(main())
