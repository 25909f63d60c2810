# ruff: noqa: ASYNC251, TID251  (the subject is code that does what our own may not)
"""Code that asks `time` and `datetime` sees the virtual clock, and only while it should."""

import asyncio
import datetime as dt
import threading
import time
from datetime import UTC, datetime
from time import monotonic as early_monotonic
from time import sleep as early_sleep

import pytest

from virtsim.sim.loop import EndOfTime, VirtualLoop, run
from virtsim.sim.usercode import virtual_wallclock

EPOCH = datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC)
EPOCH_NS = 1_709_208_000 * 10**9


def here() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def test_all_clocks_follow_the_loop_across_awaits() -> None:
    async def main() -> None:
        await asyncio.sleep(10)
        with virtual_wallclock(here(), EPOCH):
            assert datetime.now(UTC) == datetime(2024, 2, 29, 12, 0, 10, tzinfo=UTC)
            assert dt.datetime.now() == datetime(2024, 2, 29, 12, 0, 10)  # noqa: DTZ001, DTZ005
            assert time.time() == EPOCH_NS / 1e9 + 10
            began, early = time.monotonic(), early_monotonic()
            counter = time.perf_counter()
            await asyncio.sleep(3600.25)
            assert time.monotonic() - began == 3600.25
            assert early_monotonic() - early == 3600.25
            assert time.perf_counter() - counter == 3600.25
            assert datetime.now(UTC) == datetime(2024, 2, 29, 13, 0, 10, 250_000, tzinfo=UTC)
            assert time.gmtime().tm_hour == 13
            assert here().time() == 3610.25

    run(main())


def test_other_tasks_see_it_too_while_it_lasts() -> None:
    async def other(seen: list[float]) -> None:
        await asyncio.sleep(5)
        seen.append(time.time())

    async def main() -> None:
        seen: list[float] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(other(seen))
            with virtual_wallclock(here(), EPOCH_NS):
                await asyncio.sleep(6)
        assert seen == [EPOCH_NS / 1e9 + 5]

    run(main())


def test_sleeping_moves_the_loop_on_and_late_timers_fire_in_order() -> None:
    async def main() -> None:
        loop = here()
        fired: list[tuple[str, float]] = []
        for name, after in (("b", 2.0), ("a", 1.0), ("b2", 2.0)):
            loop.call_later(after, lambda name=name: fired.append((name, loop.time())))
        with virtual_wallclock(loop, EPOCH):
            time.sleep(10)
            assert loop.time() == 10
            assert time.time() == EPOCH_NS / 1e9 + 10
            early_sleep(0.5)
            assert loop.time_ns() == 10_500_000_000
            assert fired == []
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert fired == [("a", 10.5), ("b", 10.5), ("b2", 10.5)]

    run(main())


def test_sleeping_less_than_a_nanosecond_is_still_sleeping() -> None:
    async def main() -> None:
        with virtual_wallclock(here(), 0):
            time.sleep(1e-10)
            assert here().time_ns() == 1
            time.sleep(0)
            assert here().time_ns() == 1
            time.sleep(0.1 + 0.2)  # 0.30000000000000004
            assert here().time_ns() == 300_000_001
            with pytest.raises(ValueError, match="non-negative"):
                time.sleep(-1)

    run(main())


def test_code_that_sleeps_for_ever_meets_the_end_of_time() -> None:
    async def main() -> None:
        with virtual_wallclock(here(), 0):
            while True:
                time.sleep(60)

    with pytest.raises(EndOfTime, match=r"until 3600\.0"):
        run(main(), end_ns=3600 * 10**9)


def test_everything_is_put_back() -> None:
    before = (
        time.time,
        time.monotonic,
        time.perf_counter,
        time.sleep,
        time.time_ns,
        dt.datetime,
    )
    names = set(vars(time))

    async def main() -> None:
        with virtual_wallclock(here(), EPOCH):
            assert time.sleep is not before[3]
            assert early_sleep is not before[3]
        assert here().jump_hooks == []

    run(main())
    assert (
        time.time, time.monotonic, time.perf_counter, time.sleep, time.time_ns, dt.datetime
    ) == before  # fmt: skip
    assert set(vars(time)) == names
    assert early_sleep is before[3]
    assert early_monotonic is before[1]


def test_everything_is_put_back_after_an_error() -> None:
    async def main() -> None:
        with virtual_wallclock(here(), EPOCH):
            raise KeyError("mine")

    real = time.sleep
    with pytest.raises(KeyError, match="mine"):
        run(main())
    assert time.sleep is real
    assert abs(time.time() - datetime.now(UTC).timestamp()) < 5


def test_overlapping_blocks_end_with_the_last_one() -> None:
    async def block(after: float, lasts: float, seen: list[float]) -> None:
        await asyncio.sleep(after)
        with virtual_wallclock(here(), EPOCH):
            await asyncio.sleep(lasts)
            seen.append(time.time() - EPOCH_NS / 1e9)

    async def main() -> list[float]:
        seen: list[float] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(block(0, 10, seen))
            group.create_task(block(5, 10, seen))  # begins inside of the first, ends after it
        return seen

    real = time.monotonic
    assert run(main()) == [10, 15]
    assert time.monotonic is real
    assert early_monotonic is real


def test_another_epoch_at_the_same_time_is_refused() -> None:
    async def main() -> None:
        with virtual_wallclock(here(), EPOCH):
            with pytest.raises(RuntimeError, match="another epoch"), virtual_wallclock(here(), 0):
                pass
            assert time.time() == EPOCH_NS / 1e9

    run(main())


def test_the_timers_of_an_ordinary_loop_go_on_meanwhile_and_afterwards() -> None:
    def on_a_real_loop() -> float:
        async def nap() -> float:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.sleep(0.02)
            async with asyncio.timeout(5):
                await asyncio.sleep(0.01)
            return loop.time() - began

        return asyncio.run(nap())

    async def main() -> float:
        took: list[float] = []
        with virtual_wallclock(here(), EPOCH):
            thread = threading.Thread(target=lambda: took.append(on_a_real_loop()))
            thread.start()
            thread.join(10)
        return took[0]

    assert 0.025 < run(main()) < 5
    assert 0.025 < on_a_real_loop() < 5


def test_the_virtual_loops_own_timers_stay_exact() -> None:
    async def main() -> list[int]:
        seen = []
        with virtual_wallclock(here(), EPOCH):
            for _ in range(1000):
                await asyncio.sleep(0.001)
            seen.append(here().time_ns())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(30):
                    await asyncio.sleep(60)
            seen.append(here().time_ns())
        await asyncio.sleep(1)
        return [*seen, here().time_ns()]

    assert run(main()) == [1_000_000_000, 31_000_000_000, 32_000_000_000]


def test_other_threads_really_sleep() -> None:
    async def main() -> int:
        with virtual_wallclock(here(), EPOCH):
            thread = threading.Thread(target=time.sleep, args=(0.01,))
            thread.start()
            thread.join(10)
        return here().time_ns()

    assert run(main()) == 0
