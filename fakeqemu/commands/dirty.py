"""How fast the guest writes to its memory: calc-dirty-rate."""

from __future__ import annotations

__all__: list[str] = []
