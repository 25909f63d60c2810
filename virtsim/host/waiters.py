"""Whoever waits for a process's end, in every kind of launcher.

Knows futures. Must not know how an end is noticed.
"""

from __future__ import annotations

import asyncio

from virtsim.host.abc import ExitStatus

__all__ = ["Waiters"]


class Waiters:
    """Any number of tasks that wait for one exit status."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[ExitStatus]] = []

    async def wait(self) -> ExitStatus:
        """Return the status that `ended` is told; a cancelled waiter is forgotten.

        Raises:
            RuntimeError: `abandoned` was called instead.
        """
        waiter: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def ended(self, status: ExitStatus) -> None:
        """Give everybody the status."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(status)
        self._waiting.clear()

    def abandoned(self) -> None:
        """Tell everybody that the end will not be noticed: the launcher is closed."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(RuntimeError("the launcher was closed while the process was running"))
        self._waiting.clear()
