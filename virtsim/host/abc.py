"""The doors to the world, as Protocols: clock, chance, files, launcher, observer.

Knows what the library may ask of the world. Must not know who answers: the host, or a simulation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Chance", "ExitStatus", "Files", "Launcher", "Observer", "Process", "WallClock"]


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a process ended: either ``code`` (0..255) or ``signal`` is set."""

    code: int | None = None
    signal: int | None = None


class Process(Protocol):
    """One launched program, from ``exec`` until it has left the process table."""

    @property
    def pid(self) -> int:
        """The process id; stays readable after the end."""
        ...

    def alive(self) -> bool:
        """False from the moment at which ``kill(pid, 0)`` gives ESRCH."""
        ...

    def signal(self, signum: int) -> None:
        """Send a signal; 0 only asks. Raises ProcessLookupError once the process is gone."""
        ...

    async def wait(self) -> ExitStatus:
        """Return the exit status once the process has left the process table; any number of waiters."""
        ...


class Launcher(Protocol):
    """Starts programs. The programs outlive the launcher unless they are signalled."""

    async def spawn(
        self, argv: Sequence[str], *, fds: Sequence[int] = (), log: str, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start ``argv`` in a session of its own, standard output and error appended to ``log``.

        Returns after a successful ``exec``. When it fails nothing is left behind.

        Args:
            argv: program and arguments; the program is an absolute path.
            fds: descriptors the child inherits under the same numbers; the caller keeps its own copies.
            log: path of the log file, as the launcher's ``Files`` knows it.
            env: the whole environment, or None for the launcher's default.

        Raises:
            OSError: exec failed (ENOENT, EACCES, ...).
        """
        ...

    async def aclose(self) -> None:
        """Stop watching. Ends no program."""
        ...


class Files(Protocol):
    """What the library does with files; paths are absolute. Raises OSError as the system would."""

    def read(self, path: str) -> bytes:
        """The whole content."""
        ...

    def read_tail(self, path: str, size: int) -> bytes:
        """At most the last ``size`` bytes."""
        ...

    def write_atomic(self, path: str, data: bytes) -> None:
        """Replace the file; a crash leaves the old or the new content."""
        ...

    def unlink(self, path: str) -> None:
        """Remove a file or socket."""
        ...

    def exists(self, path: str) -> bool:
        """Whether anything has this path."""
        ...

    def make_dirs(self, path: str) -> None:
        """Make a directory and its parents; may be there already."""
        ...

    def remove_dir(self, path: str) -> None:
        """Remove a directory with everything in it."""
        ...

    def list_dir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        ...


class WallClock(Protocol):
    """The time of day."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        ...


class Chance(Protocol):
    """Seeded randomness: one root seed, one named stream for each use."""

    def stream(self, name: str) -> random.Random:
        """The stream of that name; the same object each time."""
        ...


#: ``observer(kind, actor, fields)``: what the library tells whoever watches; kinds as in virtsim.journal.
Observer = Callable[[str, str, Mapping[str, Any]], None]
