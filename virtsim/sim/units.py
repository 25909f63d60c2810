"""Durations and sizes with units, in scenarios and on the command line: as the fake's scripts have them."""

from __future__ import annotations

from fakeqemu.scripts.units import format_duration, parse_duration_ns, parse_size

__all__ = ["format_duration", "parse_duration_ns", "parse_size"]
