"""Skeleton."""
from __future__ import annotations
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any
    from fakeqemu.actions import Action
    from fakeqemu.script import Script
__all__ = ["FakeQemu"]
class FakeQemu:
    """Skeleton."""
    def __init__(self, argv: Sequence[str], *, script: Script | None = None, seed: str = "0", wall_ns: int = 0, profile: Any = None, pid: int = 0) -> None:
        """Skeleton."""
