"""What a run left behind: processes, files, sockets, descriptors, tasks.

Knows where each of them would be seen. Must not know why it is there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from virtsim.host.context import Context
from virtsim.host.memory import MemoryFiles
from virtsim.sim.loop import VirtualLoop
from virtsim.sim.net import MemoryNet
from virtsim.sim.world import World

__all__ = ["Leftovers", "open_descriptors"]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Names of what is still there after the curtain; paths are told from the run directory on."""

    processes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    fds: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    @classmethod
    def look(cls, world: World, context: Context) -> Leftovers:
        """Look around now; the doors are still up. Logs are meant to stay and do not count."""
        loop = asyncio.get_running_loop()
        memory = loop.net if isinstance(loop, VirtualLoop) and isinstance(loop.net, MemoryNet) else None
        if isinstance(context.files, MemoryFiles):
            sockets = _inside(context.files.sockets(), world.run_dir)
            files = [path for path in context.files.files() if path.startswith(world.run_dir + "/")]
        else:
            found = list(_below(world.run_dir))
            bound = [path for path in found if Path(path).is_socket()]
            files = [path for path in found if path not in bound]
            sockets = [*_inside(bound, world.run_dir), *_bound(world.run_dir)]
        return cls(
            processes=tuple(f"{name} ({p.pid})" for name, p in world.processes.items() if p.alive()),
            files=tuple(path for path in _inside(files, world.run_dir) if not _meant_to_stay(path)),
            sockets=tuple(sockets),
            fds=tuple(f"listening {fd}" for fd in memory.open_descriptors()) if memory is not None else (),
            tasks=tuple(sorted(task.get_name() for task in asyncio.all_tasks() if _stray(task))),
        )

    def with_descriptors(self, before: dict[int, str], after: dict[int, str]) -> Leftovers:
        """Add the descriptors that were opened in the run and are still open."""
        new = tuple(name for fd, name in after.items() if before.get(fd) != name)
        return replace(self, fds=(*self.fds, *new))

    @property
    def none(self) -> bool:
        """Whether nothing was left."""
        return self == Leftovers()

    def fields(self) -> dict[str, Any]:
        """As the journal has it."""
        return {name: list(getattr(self, name)) for name in self.__slots__}

    def words(self) -> str:
        """As people read it."""
        parts = [f"{name}: {', '.join(found)}" for name, found in self.fields().items() if found]
        return "; ".join(parts) or "none"


def open_descriptors() -> dict[int, str]:
    """The descriptors of this process and what they are."""
    found: dict[int, str] = {}
    for entry in list(Path("/proc/self/fd").iterdir()):
        try:
            found[int(entry.name)] = str(entry.readlink())
        except OSError:
            continue  # the listing's own descriptor
    return found


def _stray(task: asyncio.Task[Any]) -> bool:
    """Whether a task is nobody's: not the one that looks, nor a launcher's watch of a process."""
    return task is not asyncio.current_task() and not task.done()


def _meant_to_stay(path: str) -> bool:
    return path.endswith(".log") or path.rpartition("/")[2].startswith(".")


def _inside(paths: list[str], run_dir: str) -> list[str]:
    return [os.path.relpath(path, run_dir) for path in paths]


def _below(folder: str) -> Iterator[str]:
    for root, _, names in os.walk(folder):
        yield from (f"{root}/{name}" for name in sorted(names))


def _bound(run_dir: str) -> list[str]:
    """Sockets the kernel still knows under the run directory, whether or not their files are there."""
    try:
        lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [f"bound {line.split()[-1]}" for line in lines if f" {run_dir}/" in line]
