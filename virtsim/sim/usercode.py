"""The wall clock of code that knows nothing of virtual time: it follows the loop while that code runs.

Knows freezegun and the functions of `time`. Must not know whose code it is.

Inside `virtual_wallclock`, ``datetime.now()``, ``time.time()``, ``time.monotonic()`` and
``time.perf_counter()`` show the loop's clock, and ``time.sleep()`` moves it on, in synchronous code, in
coroutines and across their awaits. freezegun does the first part: it patches the monotonic clock and names
that were imported before (``from time import time``), which time-machine does not; it knows nothing of
sleeping, which is added here.

What to know of it: the patches hold for the whole process while the block lasts; freezegun's clock has
microseconds; naive datetimes are UTC, whatever the machine's time zone. asyncio's own timers are unharmed: a
virtual loop does not ask `time` at all, and other loops keep the real monotonic clock (freezegun's
``real_asyncio``). Entering costs 30 to 130 ms the first time (all modules are searched), some 10 ms later;
each jump of the clock 3 us.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import freezegun
import freezegun.config

from virtsim.sim.loop import VirtualLoop

__all__ = ["virtual_wallclock"]

#: Modules whose own waiting must stay real. freezegun's default also lists "gi", which hits every module
#: whose name begins like that.
REAL_TIME_MODULES = [
    "threading",
    "multiprocessing",
    "queue",
    "selenium",
    "_pytest.terminal.",
    "_pytest.runner.",
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: The block under way; freezegun's changes belong to the process, so there is one at most.
_active: _Wallclock | None = None


class _Wallclock:
    """freezegun's frozen clock, pushed on by the loop."""

    def __init__(self, loop: VirtualLoop, epoch_ns: int) -> None:
        self.loop = loop
        self.epoch_ns = epoch_ns
        self.users = 0
        self.thread = threading.get_ident()
        self._shown_us = 0
        self._frozen: Any = None
        self._freezer: Any = None
        self._really_sleep = time.sleep  # noqa: TID251  (this is where it is replaced)
        self._sleep = self._sleep_virtually  # one object, to be found again by identity

    def start(self) -> None:
        now_ns = self.epoch_ns + self.loop.time_ns()
        self._shown_us = now_ns // 1000
        settings = freezegun.config.settings
        default, settings.default_ignore_list = settings.default_ignore_list, REAL_TIME_MODULES
        try:
            self._freezer = freezegun.freeze_time(
                EPOCH + timedelta(microseconds=self._shown_us), real_asyncio=True
            )
        finally:
            settings.default_ignore_list = default
        self._frozen = self._freezer.start()
        self.loop.jump_hooks.append(self._jumped)
        _rebind(self._really_sleep, self._sleep)

    def stop(self) -> None:
        _rebind(self._sleep, self._really_sleep)
        self.loop.jump_hooks.remove(self._jumped)
        had_clock = hasattr(time, "clock")
        self._freezer.stop()
        if not had_clock:
            with suppress(AttributeError):
                del time.clock  # type: ignore[attr-defined]  # freezegun leaves a None there

    def _jumped(self, now_ns: int) -> None:
        us = (self.epoch_ns + now_ns) // 1000
        if us != self._shown_us:
            self._frozen.tick(timedelta(microseconds=us - self._shown_us))
            self._shown_us = us

    def _sleep_virtually(self, seconds: float, /) -> None:
        """Stands for `time.sleep`: moves the loop's clock on. Other threads, and later code, do sleep."""
        if threading.get_ident() != self.thread or self.users == 0:
            self._really_sleep(seconds)
            return
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.loop.advance(math.ceil(round(seconds * 1e9, 3)))


@contextmanager
def virtual_wallclock(loop: VirtualLoop, epoch: int | datetime) -> Iterator[None]:
    """Let the wall clock of all code follow the loop's clock inside of the block.

    Blocks on the same loop may overlap in any order: the last one to end puts the real clock back.

    Args:
        loop: whose clock.
        epoch: the time of day at the loop's 0: nanoseconds since 1970, or a datetime (naive: UTC).

    Raises:
        RuntimeError: a block of another loop or with another epoch is under way.
    """
    global _active  # noqa: PLW0603  (as the patches are)
    epoch_ns = epoch if isinstance(epoch, int) else _since_1970(epoch)
    clock = _active
    if clock is None:
        clock = _Wallclock(loop, epoch_ns)
        clock.start()
        _active = clock
    elif clock.loop is not loop or clock.epoch_ns != epoch_ns:
        raise RuntimeError("the wall clock already follows another loop, or this one from another epoch")
    clock.users += 1
    try:
        yield
    finally:
        clock.users -= 1
        if clock.users == 0:
            _active = None
            clock.stop()


def _since_1970(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def _rebind(old: Callable[..., Any], new: Callable[..., Any]) -> None:
    """Replace a function wherever a module has it under some name."""
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType) or module.__name__ == __name__:
            continue
        names = [name for name, value in list(vars(module).items()) if value is old]
        for name in names:
            setattr(module, name, new)
