"""Skeleton of the launcher that runs fakeqemu in the loop."""
from __future__ import annotations
from collections.abc import Callable, Mapping, Sequence
from fakeqemu.script import Script
from virtsim.host.abc import Files, Observer, Process
from virtsim.host.context import ignore
__all__ = ["SimLauncher"]
class SimLauncher:
    """Starts fakeqemu machines as tasks of the loop."""
    def __init__(self, *, script_for: Callable[[list[str]], Script | None], seed: str, files: Files, observer: Observer = ignore, first_pid: int = 1000) -> None:
        raise NotImplementedError
    async def spawn(self, argv: Sequence[str], *, fds: Sequence[int] = (), log: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a machine."""
        raise NotImplementedError
    async def aclose(self) -> None:
        """Stop watching."""
