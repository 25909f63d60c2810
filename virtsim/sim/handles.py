# ruff: noqa: SLF001  (asyncio's handles have no other fields)
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


class _NoLoop:
    """What the representation of a handle asks in CPython 3.13."""

    @staticmethod
    def get_debug() -> bool:
        return False


class QuickHandle(asyncio.Handle):
    """asyncio's handle without the bookkeeping of debug mode: three fields instead of seven to fill in.

    A handle without a callback is a cancelled one; the loop looks at nothing else.
    """

    __slots__ = ()
    _source_traceback = None
    _repr = None
    _loop: Any = _NoLoop()

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._context = context

    @property
    def _cancelled(self) -> bool:  # type: ignore[override]
        return self._callback is None

    def cancel(self) -> None:
        """As asyncio's."""
        self._callback = None
        self._args = ()


class QuickTimer(asyncio.TimerHandle):
    """asyncio's timer handle without the bookkeeping of debug mode; ``_when`` is in nanoseconds."""

    __slots__ = ()
    _source_traceback = None
    _repr = None

    def __init__(
        self,
        when: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context,
    ) -> None:
        self._when = when
        self._scheduled = True
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._loop = loop
        self._context = context

    @property
    def _cancelled(self) -> bool:  # type: ignore[override]
        return self._callback is None

    def when(self) -> float:
        """As asyncio's, in seconds."""
        return self._when / 1e9

    def cancel(self) -> None:
        """As asyncio's."""
        if self._callback is not None:
            self._callback = None
            self._args = ()
            self._loop._timer_handle_cancelled(self)


class SimTask(asyncio.Task[T]):
    """A task that hashes by its number of creation, so that sets of tasks have one order in all processes."""

    def __init__(
        self, coro: Any, *, loop: VirtualLoop, number: int, name: object, context: Context | None
    ) -> None:
        self.number = number  # before Task.__init__, which puts the task into a set
        if name is None:
            name = f"task-{number}"  # asyncio's own numbers count all tasks of the process
        super().__init__(coro, loop=loop, name=str(name), context=context)

    def __hash__(self) -> int:
        return self.number
