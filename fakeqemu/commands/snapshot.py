"""Snapshots of the whole machine, as jobs."""

from __future__ import annotations

__all__: list[str] = []
