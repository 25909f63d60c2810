"""Threads that stand for a guest's CPUs: they exist, so that a manager finds and pins them, and do nothing.

Knows the interpreter's threads. Must not know the machine. Imported when somebody first asks for thread ids.
"""

from __future__ import annotations

from _thread import allocate_lock, get_native_id, stack_size, start_new_thread

__all__ = ["start"]

#: Address space for each; a waiting thread touches a few pages of it.
_STACK = 1 << 16


def start(number: int) -> list[int]:
    """Start threads that wait until the process ends; returns their ids (as gettid() gives them)."""
    ids: list[int] = []
    forever, there = allocate_lock(), allocate_lock()
    forever.acquire()
    there.acquire()

    def wait() -> None:
        ids.append(get_native_id())
        there.release()
        forever.acquire()

    before = stack_size(_STACK)
    try:
        for _ in range(number):
            start_new_thread(wait, ())
            there.acquire()
    finally:
        stack_size(before)
    return ids
