# ruff: noqa: SLF001  (an event loop of one's own is made of asyncio's private parts; a test pins each of them)
"""The virtual clock: an asyncio loop whose time jumps from timer to timer.

Knows CPython's event loop from inside (``tests/unit/sim/test_cpython_internals.py`` pins what it relies on).
Must not know what runs on it: any asyncio code does.

Time is an integer number of nanoseconds from 0. While a callback is ready or a descriptor readable, time
stands still; when nothing is, it jumps to the next timer. Timers with equal deadlines fire in the order they
were set. Tasks hash by their number of creation, so that sets of tasks iterate in one order in every process.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import logging
import math
import time
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from typing import Any, Literal, TypeVar, TypeVarTuple

from virtsim.sim.doors import GuardedLoop
from virtsim.sim.handles import QuickHandle, QuickTimer, SimTask
from virtsim.sim.net import MemoryNet, Net, RealNet
from virtsim.sim.stall import EndOfTime, SimDeadlock, SimForbidden, SimLivelock, describe_tasks

__all__ = ["EndOfTime", "SimDeadlock", "SimForbidden", "SimLivelock", "VirtualLoop", "run"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
logger = logging.getLogger("asyncio")

#: Stands for "no end"; comparing two integers is cheaper than asking for None each time.
NEVER = 1 << 62
#: A live-lock also takes this fraction of the limit in turns of the loop, so that a thousand domains which
#: legitimately do a thousand things at one instant are not mistaken for one.
TURNS_PER_LIMIT = 20
#: Callbacks between two collections of young garbage. Counted: the automatic collector depends on all that
#: the process ever allocated, and so would the moment at which an abandoned generator is closed. So few that
#: what is looked through is still in the processor's cache: 250,000 cost three times as much for each object.
GC_CALLBACKS = 20_000
#: So many collections of one generation make the next older one due: what lives long is looked at less often.
GC_PROMOTION = 10
#: Cancelled timers are swept out of the heap when there are more than this many and they are the majority.
SWEEP_TIMERS = 256
#: Times callbacks in debug mode; in a tuple, where nobody who patches `time` finds it.
REAL_CLOCK = (time.perf_counter,)
#: What is left of a run after it failed may take this much virtual time to finish being cancelled.
CLEANUP_NS = 3600 * 10**9


class VirtualLoop(GuardedLoop):
    """An event loop on a virtual clock.

    Args:
        net: "memory" (default): Unix sockets that exist only in this loop; "real": the kernel's.
        end_ns: end of time; `EndOfTime` is raised when the next timer lies beyond it. None: no end.
        livelock_limit: callbacks without the clock moving by more than one nanosecond before `SimLivelock`.
        allow_external: let executors, subprocesses, signals and real hosts through; the clock stands still
            while an executor job or a subprocess is under way.

    Attributes:
        net: the sockets of this loop.
        jump_hooks: called with the new time (ns) whenever the clock has moved.
        callbacks: number of callbacks run so far.
    """

    net: Net
    _external: int
    _closed = True  # until it has been made

    def __init__(
        self,
        *,
        net: Literal["memory", "real"] = "memory",
        end_ns: int | None = None,
        livelock_limit: int = 100_000,
        allow_external: bool = False,
    ) -> None:
        if net not in {"memory", "real"}:
            raise ValueError(f"net must be 'memory' or 'real', not {net!r}")
        self._ns = 0
        super().__init__()
        self.allow_external = allow_external
        self.jump_hooks: list[Callable[[int], None]] = []
        self.callbacks = 0
        self._end = NEVER if end_ns is None else end_ns
        self._limit = livelock_limit
        self._heap: list[tuple[int, int, Any]] = []
        self._sequence = itertools.count().__next__
        self._task_numbers = itertools.count(1).__next__
        self._arrivals: list[asyncio.Handle] = []
        self._turns = 0
        self._mark = self._mark_turns = 0
        self._next_gc = NEVER
        self._collections = 0
        self._alarm = self._limit
        self._clock_resolution = 1e-9
        self._polled: Mapping[int, Any] = self._selector._fd_to_key
        # The self-pipe alone is not worth a system call: only threads and signals write to it.
        self._unpolled = 0 if allow_external else 1
        # A partial is called without a Python frame of its own; futures are made for every sleep and reply.
        self.create_future = functools.partial(asyncio.Future, loop=self)  # type: ignore[method-assign]
        if net == "memory":
            memory = MemoryNet(self)
            self.net = memory
            self._memory = memory
            self.listen_unix = memory.listen_unix
            self.wait_for_path = memory.wait_for_path
            self.absence_of_path = memory.files.absence
        else:
            self.net = RealNet()

    # -- the clock

    def time(self) -> float:
        """The clock in seconds; exact to the nanosecond below 48 days."""
        return self._ns / 1e9

    def time_ns(self) -> int:
        """The clock in nanoseconds."""
        return self._ns

    def advance(self, ns: int) -> None:
        """Move the clock on from inside a callback, as code that blocks does; timers passed fire afterwards.

        Raises:
            ValueError: ``ns`` is negative.
            EndOfTime: the clock has passed the end of the run.
        """
        if ns < 0:
            raise ValueError("the clock does not go back")
        if ns:
            self._moved(self._ns + ns)
        if self._ns > self._end:
            raise EndOfTime(self._end_report(self._ns))

    def _moved(self, now: int) -> None:
        if now - self._ns > 1:  # one nanosecond is what the smallest of timers costs: no progress
            self._mark = self.callbacks
            self._mark_turns = self._turns
        self._ns = now
        for hook in self.jump_hooks:
            hook(now)

    # -- scheduling

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's."""
        if self._debug or self._closed:
            return super().call_soon(callback, *args, context=context)
        handle = QuickHandle(callback, args, copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's; rounds to whole nanoseconds, and anything above 0 to at least one."""
        if delay <= 0:
            ns = self._ns
        elif delay == math.inf:
            ns = NEVER
        else:
            ns = self._ns + (round(delay * 1e9) or 1)
        return self._at(ns, callback, args, context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's; rounds to whole nanoseconds, and anything after now to at least the next one."""
        if when == math.inf:
            return self._at(NEVER, callback, args, context)
        ns = round(when * 1e9)
        if ns <= self._ns:
            ns = self._ns + 1 if when > self._ns / 1e9 else self._ns
        return self._at(ns, callback, args, context)

    def _at(
        self, ns: int, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.TimerHandle:
        timer: Any
        if self._debug:
            self._check_closed()
            self._check_thread()
            self._check_callback(callback, "call_at")
            timer = asyncio.TimerHandle(ns / 1e9, callback, args, self, context)
            timer._scheduled = True
        else:
            if self._closed:
                self._check_closed()
            timer = QuickTimer(ns, callback, args, self, copy_context() if context is None else context)
        if ns < NEVER:
            heappush(self._heap, (ns, self._sequence(), timer))
        else:
            timer._scheduled = False  # it never fires, so it keeps nobody alive
        return timer  # type: ignore[no-any-return]

    def _timer_handle_cancelled(self, handle: Any) -> None:
        if not handle._scheduled:
            return
        self._timer_cancelled_count += 1
        if self._timer_cancelled_count > SWEEP_TIMERS and self._timer_cancelled_count * 2 > len(self._heap):
            # asyncio's own handles are marked after this call: the next sweep takes this one along.
            self._heap[:] = [entry for entry in self._heap if not entry[2]._cancelled]
            heapify(self._heap)
            self._timer_cancelled_count = 0

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: Context | None = None,
        eager_start: bool | None = None,
    ) -> asyncio.Task[Any]:
        """As asyncio's; the task hashes by its number, and ``task-NUMBER`` is its name when it gets none.

        Raises:
            SimForbidden: it should start eagerly.
        """
        self._check_closed()
        if eager_start:
            raise SimForbidden("an eager task would run in another order than the same code elsewhere")
        return SimTask(coro, loop=self, number=self._task_numbers(), name=name, context=context)

    def set_task_factory(self, factory: Any) -> None:
        """Refused: eager or foreign tasks would change the order of everything.

        Raises:
            SimForbidden: always, unless ``factory`` is None, which changes nothing.
        """
        if factory is not None:
            raise SimForbidden("the virtual loop keeps its own task factory: its order is part of the replay")

    # -- running

    def _run_once(self) -> None:  # noqa: C901, PLR0912  (a call more would cost a tenth of it all)
        ready = self._ready
        heap = self._heap
        self._turns += 1
        arrivals = self._arrivals
        if arrivals:
            ready.extend(arrivals)
            arrivals.clear()
        if len(self._polled) > self._unpolled:
            events = self._selector.select(0)
            if events:
                self._process_events(events)
        if not ready and not self._stopping:
            self._jump()
        now = self._ns
        if now > self._end:
            raise EndOfTime(self._end_report(now))
        while heap and heap[0][0] <= now:
            timer = heappop(heap)[2]
            timer._scheduled = False
            if timer._callback is None:
                self._timer_cancelled_count -= 1
            else:
                ready.append(timer)
        batch = len(ready)
        self.callbacks += batch
        if self.callbacks >= self._alarm:
            self._alarm_rang()
        if self._debug:
            self._run_debug(batch)
            return
        popleft = ready.popleft
        handle: Any
        for _ in range(batch):
            handle = popleft()
            callback = handle._callback
            if callback is not None:  # None: cancelled
                try:
                    handle._context.run(callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001  (as asyncio: one callback does not end the loop)
                    self._callback_failed(handle, error)

    def _jump(self) -> None:
        """Nothing is ready: move the clock to the next timer, wait for the outside, or give up."""
        heap = self._heap
        while heap and heap[0][2]._cancelled:
            heappop(heap)[2]._scheduled = False
            self._timer_cancelled_count -= 1
        if self._external:
            self._process_events(self._selector.select(None))  # work outside takes no virtual time
            return
        if not heap:
            raise SimDeadlock(self._deadlock_report())
        when = heap[0][0]
        if when > self._ns:
            if when > self._end:
                raise EndOfTime(self._end_report(when))
            if self.jump_hooks:
                self._moved(when)
                return
            if when - self._ns > 1:
                self._mark = self.callbacks
                self._mark_turns = self._turns
            self._ns = when

    def _run_debug(self, batch: int) -> None:
        """As asyncio's debug mode, but with a real clock: the virtual one does not move in a callback."""
        real_clock = REAL_CLOCK[0]
        for _ in range(batch):
            handle: Any = self._ready.popleft()
            callback = handle._callback
            if callback is None:
                continue
            began = real_clock()
            self._current_handle = handle
            try:
                handle._context.run(callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001  (as above)
                self._callback_failed(handle, error)
            finally:
                self._current_handle = None
            took = real_clock() - began
            if took >= self.slow_callback_duration:
                logger.warning("Executing %r took %.3f seconds", handle, took)

    def _callback_failed(self, handle: asyncio.Handle, error: BaseException) -> None:
        self.call_exception_handler(
            {"message": f"Exception in callback {handle!r}", "exception": error, "handle": handle}
        )

    def _alarm_rang(self) -> None:
        """Every so many callbacks: is this a live-lock, and is there garbage?"""
        still = self.callbacks - self._mark
        turns = self._turns - self._mark_turns
        if still >= self._limit and turns >= self._limit // TURNS_PER_LIMIT:
            self._mark, self._mark_turns = self.callbacks, self._turns
            raise SimLivelock(self._livelock_report(still))
        if self.callbacks >= self._next_gc:
            self._collections += 1
            gc.collect(_generation_due(self._collections))
            self._next_gc = self.callbacks + GC_CALLBACKS
        watch = max(self._mark + self._limit, self.callbacks + self._limit // TURNS_PER_LIMIT)
        self._alarm = min(watch, self._next_gc)

    # -- reports

    def _deadlock_report(self) -> str:
        return (
            f"deadlock at {self.time():.9f} s: nothing is ready and no timer is set; the pending tasks are\n"
            + describe_tasks(asyncio.all_tasks(self))
        )

    def _livelock_report(self, still: int) -> str:
        callbacks = dict.fromkeys(_name_of(handle) for handle in list(self._ready)[:1000])
        return (
            f"live-lock at {self.time():.9f} s: {still} callbacks have run without the clock moving; "
            f"about to run {', '.join(itertools.islice(callbacks, 10))}; the pending tasks are\n"
            + describe_tasks(asyncio.all_tasks(self))
        )

    def _end_report(self, when: int) -> str:
        return (
            f"end of time: the run may last until {self._end / 1e9:.9f} s, the next thing to happen is due "
            f"at {when / 1e9:.9f} s; the pending tasks are\n" + describe_tasks(asyncio.all_tasks(self))
        )

    # -- the end

    def close(self) -> None:
        """As asyncio's; also forgets the net and all timers."""
        if self.is_closed():
            return
        super().close()
        self.__dict__.pop("create_future", None)  # it refers to the loop
        self._heap.clear()
        self._arrivals.clear()


def _generation_due(collections: int) -> int:
    """The oldest generation that the so-manieth collection looks at."""
    if collections % GC_PROMOTION:
        return 0
    return 1 if collections % GC_PROMOTION**2 else 2


def _name_of(handle: Any) -> str:
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"task {owner.get_name()}"
    return str(getattr(callback, "__qualname__", None) or type(callback).__name__)


def run(
    main: Coroutine[Any, Any, T],
    *,
    net: Literal["memory", "real"] = "memory",
    end_ns: int | None = None,
    livelock_limit: int = 100_000,
    allow_external: bool = False,
    debug: bool | None = None,
) -> T:
    """Run a coroutine on a virtual loop of its own and return its result: `asyncio.run`, virtually.

    The cyclic garbage collector is frozen meanwhile and runs only at counted points. Tasks that are left are
    cancelled and awaited, whatever happened.

    Raises:
        SimDeadlock, SimLivelock, EndOfTime: the run cannot go on; the text says where each task waits.
        RuntimeError: a loop is running in this thread already.
    """
    if asyncio._get_running_loop() is not None:
        main.close()  # it will never be awaited, and that has just been said
        raise RuntimeError("a virtual run cannot be started from a running event loop")
    was_enabled = gc.isenabled()
    gc.freeze()  # what is garbage already stays so, unfinalised, until after the run
    gc.disable()
    loop = VirtualLoop(net=net, end_ns=end_ns, livelock_limit=livelock_limit, allow_external=allow_external)
    loop._next_gc = GC_CALLBACKS
    loop._alarm = min(loop._alarm, GC_CALLBACKS)
    if debug is not None:
        loop.set_debug(debug)
    try:
        return loop.run_until_complete(main)
    finally:
        try:
            _cancel_leftovers(loop)
        finally:
            loop.close()
            gc.unfreeze()
            if was_enabled:
                gc.enable()


#: Clean-ups within clean-ups that are ended one after the other in a task that refuses to be cancelled.
ABANDON_ROUNDS = 32


def _finish(loop: VirtualLoop, cleaning: asyncio.Future[Any]) -> None:
    """Run the loop until the cancelled tasks have cleaned up, also when a callback of the user's spins."""
    try:
        loop.run_until_complete(cleaning)
    except SimLivelock:
        spinning = [handle for handle in loop._ready if _is_foreign(handle)]
        if not spinning:
            raise
        for handle in spinning:
            handle.cancel()
        loop._mark, loop._mark_turns = loop.callbacks, loop._turns
        loop.run_until_complete(cleaning)


def _abandon(task: asyncio.Task[Any]) -> None:
    """End a coroutine that will not end by itself, here, and not noisily when it is collected."""
    coroutine: Any = task.get_coro()
    for _ in range(ABANDON_ROUNDS):  # each ends one ``await`` that stands in a ``finally``
        try:
            coroutine.close()
        except Exception:  # noqa: BLE001, S112  (no loop runs any more: that its clean-up fails is known)
            continue
        return


def _is_foreign(handle: Any) -> bool:
    """Whether a callback is neither asyncio's nor ours: no step of a task, nothing that clean-up needs."""
    module = getattr(handle._callback, "__module__", None) or "asyncio"  # C functions have none
    return module.partition(".")[0] not in {"asyncio", "_asyncio", "virtsim", "fakeqemu"}


def _cancel_leftovers(loop: VirtualLoop) -> None:
    loop._end = loop.time_ns() + CLEANUP_NS
    loop._mark, loop._mark_turns = loop.callbacks, loop._turns
    try:
        left = sorted(asyncio.all_tasks(loop), key=hash)
        for task in left:
            task.cancel()
        if left:
            _finish(loop, asyncio.gather(*left, return_exceptions=True))
        for task in left:
            if not task.cancelled() and task.exception() is not None:
                loop.call_exception_handler(
                    {
                        "message": "unhandled exception while the run was cleaned up",
                        "exception": task.exception(),
                        "task": task,
                    }
                )
        loop.run_until_complete(loop.shutdown_asyncgens())
        if loop._default_executor is not None:
            loop.run_until_complete(loop.shutdown_default_executor())
    except (SimDeadlock, SimLivelock, EndOfTime):
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            _abandon(task)
        raise
