"""The context of a run: everything that is not the event loop and could differ between two worlds.

Knows which doors a run was given. Must not know which world stands behind them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from virtsim.host.abc import Chance, Files, Launcher, Observer, WallClock

__all__ = ["CURRENT_CALL", "Context", "ignore"]

#: Number of the API call on whose behalf the current task works, for the journal; 0 outside of any call.
CURRENT_CALL: ContextVar[int] = ContextVar("virtsim_current_call", default=0)


def ignore(kind: str, actor: str, fields: Mapping[str, Any]) -> None:
    """The observer of a run that nobody watches."""


@dataclass(frozen=True, slots=True)
class Context:
    """The doors of one run; handed to a Connection when it is opened.

    Attributes:
        launcher: starts QEMU.
        files: the file system as the library sees it.
        wallclock: the time of day.
        chance: where every random choice and identifier comes from.
        run_dir: absolute path under which sockets, logs and state live.
        observer: told of everything worth a journal record.
        hypervisor: what stands behind ``launcher``: "qemu" or "fake"; for reports only.
    """

    launcher: Launcher
    files: Files
    wallclock: WallClock
    chance: Chance
    run_dir: str
    observer: Observer = field(default=ignore)
    hypervisor: str = "qemu"

    def note(self, kind: str, actor: str, **fields: Any) -> None:
        """Tell the observer; adds the current API call."""
        call = CURRENT_CALL.get()
        if call and "call" not in fields:
            fields["call"] = call
        self.observer(kind, actor, fields)

    def new_uuid(self) -> uuid.UUID:
        """A random (version 4) UUID from the stream "uuid"."""
        bits = self.chance.stream("uuid").getrandbits(128)
        return uuid.UUID(int=bits, version=4)

    def new_mac(self) -> str:
        """A MAC address in QEMU's range 52:54:00 from the stream "mac"."""
        draw = self.chance.stream("mac")
        return "52:54:00:" + ":".join(f"{draw.randrange(256):02x}" for _ in range(3))

    @staticmethod
    def now_ns() -> int:
        """Nanoseconds on the running loop's clock."""
        loop = asyncio.get_running_loop()
        exact = getattr(loop, "time_ns", None)
        return int(exact()) if exact is not None else round(loop.time() * 1e9)
