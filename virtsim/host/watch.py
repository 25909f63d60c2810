"""Wait until a path exists, without polling.

Knows inotify, and that a virtual loop may own the answer. Must not know what is waited for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from weakref import WeakKeyDictionary

from inotify_simple import INotify, flags

__all__ = ["wait_for_path"]

#: Where inotify cannot be had (all instances or watches of the user are taken: fs.inotify.max_user_instances
#: is 128 by default), look this often, seconds.
_FALLBACK_NAP_S = 0.05

#: What can make the awaited name appear, or the watched directory itself go away.
_MASK = flags.CREATE | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR


async def wait_for_path(path: str) -> None:
    """Return once ``path`` exists; it, and directories above it, may be missing still.

    Waits for ever: callers set the limit. Says nothing about what is there, nor whether it stays.
    """
    loop = asyncio.get_running_loop()
    own = getattr(loop, "wait_for_path", None)
    if own is not None:
        await own(path)
        return
    while (missing := _missing(path)) is not None:
        try:
            with _watching(loop, *missing) as change:
                # Once more: it may have come between the look and the watch.
                if _missing(path) == missing:
                    await change
        except (FileNotFoundError, NotADirectoryError):
            continue  # the directory went away meanwhile: look again
        except OSError:
            await asyncio.sleep(_FALLBACK_NAP_S)


def _missing(path: str) -> tuple[str, str] | None:
    """None if ``path`` exists, else the nearest directory above it that does, and the name that it lacks."""
    if os.path.lexists(path):
        return None
    directory, name = os.path.split(os.path.abspath(path))
    while not os.path.isdir(directory) and directory != "/":
        directory, name = os.path.split(directory)
    return directory, name


class _Watcher:
    """The inotify instance of one event loop, shared by all who wait on it: a thousand starts need one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inotify = INotify(nonblocking=True)
        self._waiting: dict[int, list[tuple[str, asyncio.Future[None]]]] = {}
        loop.add_reader(self._inotify.fileno(), self._read)

    def add(self, directory: str, entry: tuple[str, asyncio.Future[None]]) -> int:
        """Start to wait; returns the watch: a directory has one, however often it is added."""
        watch: int = self._inotify.add_watch(directory, _MASK)
        self._waiting.setdefault(watch, []).append(entry)
        return watch

    def remove(self, watch: int, entry: tuple[str, asyncio.Future[None]]) -> None:
        """Stop to wait."""
        entries = self._waiting[watch]
        entries.remove(entry)
        if not entries:
            del self._waiting[watch]
            with suppress(OSError):  # the kernel drops the watch of a removed directory by itself
                self._inotify.rm_watch(watch)

    def close_if_idle(self) -> bool:
        """Close when nobody waits; whether it is closed now."""
        if self._waiting:
            return False
        if not self._loop.is_closed():
            self._loop.remove_reader(self._inotify.fileno())
        self._inotify.close()
        return True

    def _read(self) -> None:
        for watch, mask, _, name in self._inotify.read(timeout=0):
            # Q_OVERFLOW has no watch: events were lost, so everybody looks again.
            lists = [self._waiting.get(watch, [])] if watch >= 0 else list(self._waiting.values())
            everybody = bool(mask & ~(flags.CREATE | flags.MOVED_TO | flags.ISDIR))
            for awaited, future in [entry for entries in lists for entry in entries]:
                if (everybody or awaited == name) and not future.done():
                    future.set_result(None)


_WATCHERS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watcher] = WeakKeyDictionary()


@contextmanager
def _watching(loop: asyncio.AbstractEventLoop, directory: str, name: str) -> Iterator[asyncio.Future[None]]:
    """A future that is done when ``name`` appears in ``directory``, or that directory goes away."""
    watcher = _WATCHERS.get(loop)
    if watcher is None:
        watcher = _WATCHERS[loop] = _Watcher(loop)
    entry = (name, loop.create_future())
    try:
        watch = watcher.add(directory, entry)
        try:
            yield entry[1]
        finally:
            watcher.remove(watch, entry)
    finally:
        if watcher.close_if_idle():
            _WATCHERS.pop(loop, None)
