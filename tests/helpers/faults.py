"""A coroutine that is interrupted at its k-th suspension: cancelled, or given an error."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

__all__ = ["Interrupted", "suspensions"]


class Interrupted(Coroutine[Any, Any, Any]):
    """Wraps a coroutine and counts its suspensions.

    Args:
        inner: the coroutine.
        at: number of the suspension to strike at, from 1; 0 strikes never.
        fault: the error that the await raises, or None: the task is cancelled there.
    """

    def __init__(self, inner: Coroutine[Any, Any, Any], at: int, fault: BaseException | None = None) -> None:
        self.inner = inner
        self.at = at
        self.fault = fault
        self.count = 0
        self.struck = False

    def send(self, value: Any) -> Any:
        return self._strike(self.inner.send(value))

    def throw(self, *error: Any) -> Any:
        return self._strike(self.inner.throw(*error))

    def _strike(self, waits_for: Any) -> Any:
        self.count += 1
        if self.count != self.at:
            return waits_for
        self.struck = True
        if self.fault is None:
            task = asyncio.current_task()
            assert task is not None
            task.get_loop().call_soon(task.cancel)
            return waits_for
        if waits_for is not None:
            waits_for._asyncio_future_blocking = False  # nobody waits for it after all
        return self._strike(self.inner.throw(self.fault))

    def close(self) -> None:
        self.inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self.inner.__await__())


async def suspensions(inner: Coroutine[Any, Any, Any]) -> int:
    """How often a coroutine suspends when nothing strikes it."""
    wrapped = Interrupted(inner, 0)
    await asyncio.get_running_loop().create_task(wrapped)  # type: ignore[arg-type]
    return wrapped.count
