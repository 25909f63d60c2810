"""What a virtual run can die of, and the report that says which task waits where.

Knows asyncio's tasks and coroutines from outside. Must not know the loop that runs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import FrameType
from typing import Any

__all__ = ["EndOfTime", "SimDeadlock", "SimForbidden", "SimLivelock", "describe_tasks", "where"]

#: More tasks than this are counted, not listed.
MAX_LISTED_TASKS = 40


class SimDeadlock(RuntimeError):
    """Nothing is ready, no timer is set and nothing outside is awaited: no task can ever go on."""


class SimLivelock(RuntimeError):
    """Callbacks run for ever and the clock does not move."""


class EndOfTime(RuntimeError):
    """The next thing to happen lies beyond the end that the run was given."""


class SimForbidden(RuntimeError):
    """Code inside a simulated run asked for something outside: a thread, a process, a signal, a host."""


def describe_tasks(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """One line for each unfinished task, in order of creation: its name and where it waits."""
    pending = [task for task in tasks if not task.done()]
    pending.sort(key=lambda task: getattr(task, "number", 0))
    lines = [f"  {task.get_name()}: {where(task)}" for task in pending[:MAX_LISTED_TASKS]]
    if len(pending) > MAX_LISTED_TASKS:
        lines.append(f"  and {len(pending) - MAX_LISTED_TASKS} more")
    return "\n".join(lines) if lines else "  (no task is pending)"


def where(task: asyncio.Task[Any]) -> str:
    """The innermost place a task waits at, as ``file:line in function``.

    When that place is inside asyncio itself, the innermost place outside of it comes first: that is the line
    somebody has to look at. File names start at the top-level package: the text is the same on every machine.
    """
    frames = list(_await_chain(task.get_coro()))
    if not frames:
        return "not started"
    innermost = frames[-1]
    text = _place(innermost)
    outside = [frame for frame in frames if not _is_asyncio(frame)]
    if outside and outside[-1] is not innermost:
        text = f"{_place(outside[-1])}, in {_place(innermost)}"
    waiter = getattr(task, "_fut_waiter", None)
    if isinstance(waiter, asyncio.Task):
        text += f", for task {waiter.get_name()}"
    return text


def _await_chain(awaitable: Any) -> Iterable[FrameType]:
    """The frames from a task's coroutine down to what it awaits."""
    while awaitable is not None:
        for prefix, awaited in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame = getattr(awaitable, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
                awaitable = getattr(awaitable, awaited)
                break
        else:
            return


def _place(frame: FrameType) -> str:
    code = frame.f_code
    module = str(frame.f_globals.get("__name__", ""))
    depth = module.count(".") + 1
    if code.co_filename.endswith("__init__.py"):
        depth += 1
    name = "/".join(code.co_filename.split("/")[-depth:])
    return f"{name}:{frame.f_lineno} in {code.co_qualname}"


def _is_asyncio(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "asyncio"
