"""What the virtual loop keeps in its queues: lean handles, and tasks that hash by number.

Knows the private fields of asyncio's handles. Must not know when they run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from virtsim.sim.loop import VirtualLoop

__all__ = ["QuickHandle", "QuickTimer", "SimTask"]

T = TypeVar("T")


class QuickHandle(asyncio.Handle):
    """asyncio's handle without the bookkeeping of debug mode."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: VirtualLoop, context: Context
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False
        self._source_traceback = None
        self._repr = None


class QuickTimer(asyncio.TimerHandle):
    """asyncio's timer handle without the bookkeeping of debug mode; ``_when`` is in seconds, as there."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context,
    ) -> None:
        self._when = when
        self._scheduled = True
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False
        self._source_traceback = None
        self._repr = None


class SimTask(asyncio.Task[T]):
    """A task that hashes by its number of creation, so that sets of tasks have one order in all processes."""

    def __init__(self, coro: Any, *, loop: VirtualLoop, number: int, **options: Any) -> None:
        self.number = number  # before Task.__init__, which puts the task into a set
        if options.get("name") is None:
            options["name"] = f"task-{number}"  # asyncio's own numbers count all tasks of the process
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number
