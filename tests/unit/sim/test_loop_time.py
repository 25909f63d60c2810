"""The virtual clock is exact, and equal deadlines keep their order."""

import asyncio
import math
import random
import sys

import pytest

from virtsim.sim.loop import SWEEP_TIMERS, SimDeadlock, SimForbidden, VirtualLoop, run


def here() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def test_it_starts_at_zero_and_jumps_to_the_next_timer() -> None:
    async def main() -> list[int]:
        seen = [here().time_ns()]
        await asyncio.sleep(70 * 60)
        seen.append(here().time_ns())
        await asyncio.sleep(0.1)
        await asyncio.sleep(0.2)
        seen.append(here().time_ns())
        assert here().time() == 4200.3
        return seen

    assert run(main()) == [0, 4_200_000_000_000, 4_200_300_000_000]


@pytest.mark.slow
def test_a_hundred_thousand_milliseconds_are_exactly_a_hundred_seconds() -> None:
    async def main() -> int:
        for _ in range(100_000):
            await asyncio.sleep(0.001)
        return here().time_ns()

    assert run(main()) == 100 * 10**9


def test_equal_deadlines_fire_in_the_order_they_were_set() -> None:
    # The stock heap gave 0,6,8,5,11,... for twelve equal timers once earlier ones were cancelled.
    async def main() -> list[int]:
        loop = here()
        fired: list[int] = []
        earlier = [loop.call_later(0.5 + n / 100, fired.append, -1) for n in range(12)]
        for number in range(12):
            loop.call_later(1, fired.append, number)
        for timer in earlier:
            timer.cancel()
        await asyncio.sleep(2)
        return fired

    assert run(main()) == list(range(12))


def test_relative_and_absolute_deadlines_meet_at_the_same_nanosecond() -> None:
    async def main() -> list[str]:
        loop = here()
        fired: list[str] = []
        await asyncio.sleep(0.3)
        loop.call_at(loop.time() + 0.7, fired.append, "at")
        loop.call_later(0.7, fired.append, "later")
        loop.call_at(1.0, fired.append, "absolute")
        await asyncio.sleep(0.7)
        assert loop.time_ns() == 10**9
        return fired

    assert run(main()) == ["at", "later", "absolute"]


def test_seconds_and_nanoseconds_convert_without_loss_for_weeks() -> None:
    draw = random.Random("time")
    for _ in range(2000):
        ns = draw.randrange(48 * 86_400 * 10**9)
        assert round(ns / 1e9 * 1e9) == ns


@pytest.mark.parametrize("delay", [1e-10, 1e-18, sys.float_info.min, 4.9e-10])
def test_any_positive_delay_takes_at_least_a_nanosecond(delay: float) -> None:
    async def main() -> int:
        await asyncio.sleep(delay)
        return here().time_ns()

    assert run(main()) == 1


def test_a_loop_until_a_deadline_ends_in_spite_of_float_rounding() -> None:
    async def main() -> int:
        loop = here()
        deadline = 0.1 + 0.2  # 0.30000000000000004: 4e-17 s are left at 0.3
        turns = 0
        while (left := deadline - loop.time()) > 0:
            await asyncio.sleep(left)
            turns += 1
        return turns

    assert run(main()) == 2


def test_past_deadlines_fire_at_once_and_time_does_not_go_back() -> None:
    async def main() -> list[tuple[str, float]]:
        loop = here()
        await asyncio.sleep(5)
        fired: list[tuple[str, float]] = []
        loop.call_at(1, lambda: fired.append(("at", loop.time())))
        loop.call_later(-3, lambda: fired.append(("later", loop.time())))
        await asyncio.sleep(-1)
        await asyncio.sleep(0)
        return fired

    assert run(main()) == [("at", 5.0), ("later", 5.0)]


def test_an_endless_timer_never_fires_and_keeps_nobody_alive() -> None:
    async def main() -> None:
        timer = here().call_later(math.inf, print)
        assert timer.when() > 1e9
        timer.cancel()
        assert timer.cancelled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.sleep(math.inf)
        await asyncio.sleep(math.inf)

    with pytest.raises(SimDeadlock, match=r"at 10\.0"):
        run(main())


def test_ready_callbacks_run_before_the_clock_moves() -> None:
    async def main() -> list[tuple[int, int]]:
        loop = here()
        seen: list[tuple[int, int]] = []

        def again(left: int) -> None:
            seen.append((left, loop.time_ns()))
            if left:
                loop.call_soon(again, left - 1)

        loop.call_later(1e-9, seen.append, (-1, 1))
        loop.call_soon(again, 50)
        await asyncio.sleep(1)
        return seen

    assert run(main()) == [(left, 0) for left in range(50, -1, -1)] + [(-1, 1)]


def test_the_handle_of_a_timer() -> None:
    async def main() -> None:
        loop = here()
        fired: list[int] = []
        timer = loop.call_later(1.5, fired.append, 1)
        assert timer.when() == 1.5
        assert not timer.cancelled()
        assert "TimerHandle" in repr(timer) or "QuickTimer" in repr(timer)
        timer.cancel()
        timer.cancel()
        assert timer.cancelled()
        soon = loop.call_soon(fired.append, 2)
        soon.cancel()
        assert soon.cancelled()
        assert isinstance(soon, asyncio.Handle)
        assert isinstance(timer, asyncio.TimerHandle)
        await asyncio.sleep(2)
        assert fired == []

    run(main())


def test_cancelled_timers_are_swept_out() -> None:
    async def main() -> None:
        loop = here()
        for _ in range(20 * SWEEP_TIMERS):
            loop.call_later(30, print).cancel()
        kept = [loop.call_later(n, list) for n in range(50)]
        assert len(loop._heap) < 3 * SWEEP_TIMERS
        for _ in range(20 * SWEEP_TIMERS):
            loop.call_later(60, print).cancel()
        assert len(loop._heap) < 3 * SWEEP_TIMERS + len(kept)
        await asyncio.sleep(100)
        assert loop._heap == []
        assert loop._timer_cancelled_count == 0

    run(main())


def test_timeouts_at_their_exact_deadline() -> None:
    # A tie, which real time hardly knows: a result that is set at the deadline. wait_for() was rebuilt on
    # timeout() in Python 3.12 and since then prefers the timeout; scenarios must not depend on it.
    async def main() -> str:
        loop = here()
        future: asyncio.Future[str] = loop.create_future()
        loop.call_later(1, future.set_result, "result")
        try:
            return await asyncio.wait_for(future, 1)
        except TimeoutError:
            return "timeout"

    assert run(main()) == ("result" if sys.version_info < (3, 12) else "timeout")


def test_jump_hooks_are_told_of_every_jump() -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        here().jump_hooks.append(seen.append)
        await asyncio.sleep(1)
        await asyncio.sleep(0)
        here().advance(5)
        here().advance(0)
        await asyncio.sleep(1)
        return seen

    assert run(main()) == [10**9, 10**9 + 5, 2 * 10**9 + 5]


def test_the_clock_does_not_go_back() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="does not go back"):
            here().advance(-1)

    run(main())


def test_tasks_are_named_and_hashed_by_number() -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(asyncio.sleep(1)) for _ in range(5)]
        named = asyncio.create_task(asyncio.sleep(1), name="mine")
        assert [task.get_name() for task in tasks] == [f"task-{n}" for n in range(2, 7)]
        assert named.get_name() == "mine"
        assert [hash(task) for task in tasks] == [2, 3, 4, 5, 6]
        assert list(asyncio.all_tasks())[:3] != []
        await asyncio.wait([*tasks, named])

    run(main())
    run(main())  # the same names again: asyncio's own counter is the process's


def test_the_task_factory_cannot_be_changed() -> None:
    async def main() -> None:
        here().set_task_factory(None)
        with pytest.raises(SimForbidden, match="task factory"):
            here().set_task_factory(lambda *_, **__: None)

    run(main())


def test_contexts_are_kept_as_asyncio_keeps_them() -> None:
    import contextvars

    variable = contextvars.ContextVar("variable", default="outer")

    async def main() -> list[str]:
        seen: list[str] = []
        variable.set("main")
        here().call_later(1, lambda: seen.append(variable.get()))
        other = contextvars.copy_context()
        other.run(variable.set, "other")
        here().call_soon(lambda: seen.append(variable.get()), context=other)
        here().call_at(2, lambda: seen.append(variable.get()), context=other)
        variable.set("later")
        await asyncio.create_task(asyncio.sleep(3), context=other)
        return seen

    assert run(main()) == ["other", "main", "other"]


def test_an_exception_in_a_callback_goes_to_the_handler_and_the_loop_goes_on() -> None:
    async def main() -> list[str]:
        loop = here()
        told: list[str] = []
        loop.set_exception_handler(lambda _, context: told.append(repr(context["exception"])))
        loop.call_soon(lambda: 1 / 0)
        loop.call_later(1, {}.__getitem__, "x")
        await asyncio.sleep(2)
        return told

    assert run(main()) == ["ZeroDivisionError('division by zero')", "KeyError('x')"]


def test_an_interrupt_ends_the_run_and_everything_is_cleaned_up() -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            ended.append("child")

    async def main() -> None:
        task = asyncio.create_task(child())
        await asyncio.sleep(1)
        here().call_soon(raise_interrupt)
        await task

    def raise_interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert ended == ["child"]


def test_debug_mode_gives_the_same_times_and_reports_slow_callbacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> list[float]:
        loop = here()
        assert loop.get_debug()
        fired: list[float] = []
        for after in (2, 1, 2):
            loop.call_later(after, lambda: fired.append(loop.time()))
        loop.slow_callback_duration = 0.0
        await asyncio.sleep(3)
        loop.slow_callback_duration = 1e9
        with pytest.raises(TypeError):
            loop.call_soon(None)  # type: ignore[arg-type]
        return fired

    assert run(main(), debug=True) == [1, 2, 2]
    assert "took 0.000 seconds" in caplog.text


def test_a_run_inside_of_a_run_is_refused_and_leaves_nothing_unawaited() -> None:
    async def inner() -> None:
        raise AssertionError

    async def main() -> float:
        with pytest.raises(RuntimeError, match="from a running event loop"):
            run(inner())
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert run(main()) == 1.0


def test_a_run_inside_of_an_ordinary_loop_is_refused_too() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="from a running event loop"):
            run(asyncio.sleep(1))

    asyncio.run(main())


def test_a_closed_loop_says_so() -> None:
    loop = VirtualLoop()
    loop.close()
    loop.close()
    for call in (
        lambda: loop.call_soon(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_at(1, print),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_the_kind_of_net_is_checked() -> None:
    with pytest.raises(ValueError, match="memory"):
        VirtualLoop(net="imaginary")  # type: ignore[arg-type]


def test_a_task_cannot_start_eagerly() -> None:
    async def main() -> None:
        coroutine = asyncio.sleep(1)
        with pytest.raises(SimForbidden, match="eager"):
            here().create_task(coroutine, eager_start=True)
        coroutine.close()

    run(main())


def test_debug_mode_survives_errors_and_cancelled_callbacks() -> None:
    async def main() -> list[str]:
        loop = here()
        told: list[str] = []
        loop.set_exception_handler(lambda _, context: told.append(repr(context["exception"])))
        loop.call_soon(print).cancel()
        timer = loop.call_later(1, print)
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.5)
        timer.cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(math.inf)
        return told

    assert run(main(), debug=True) == ["ZeroDivisionError('division by zero')"]
