"""Durations and sizes with units, as scenarios and the command line have them; the fake's own reading of them."""

from __future__ import annotations

from fakeqemu.units import format_duration, parse_duration_ns, parse_size

__all__ = ["format_duration", "parse_duration_ns", "parse_size"]
