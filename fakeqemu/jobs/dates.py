"""Dates as QEMU prints them; the machine's local time is UTC.

Knows the calendar. Must not know what the time is.
"""

from __future__ import annotations

from fakeqemu.hardware.calendar import broken_down

__all__ = ["date_text", "stamp"]

SECOND = 1_000_000_000


def date_text(wall_ns: int) -> str:
    """``2026-11-23 00:23:31``, of nanoseconds since the epoch."""
    year, month, day, hour, minute, second = broken_down(wall_ns // SECOND)
    return f"{year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"


def stamp(wall_ns: int) -> str:
    """``20261123002331``, of nanoseconds since the epoch."""
    return "".join(char for char in date_text(wall_ns) if char.isdigit())
