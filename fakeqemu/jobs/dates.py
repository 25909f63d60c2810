"""Dates as QEMU prints them; the machine's local time is UTC.

Knows the calendar. Must not know what the time is.
"""

from __future__ import annotations

__all__ = ["date_text", "stamp"]

SECOND = 1_000_000_000
_DAY = 86400


def _parts(wall_ns: int) -> tuple[int, int, int, int, int, int]:
    """Year, month, day, hour, minute, second (days to civil date, proleptic Gregorian)."""
    days, rest = divmod(wall_ns // SECOND, _DAY)
    era, day_of_era = divmod(days + 719468, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    return year, month, day_of_year - (153 * shifted + 2) // 5 + 1, rest // 3600, rest // 60 % 60, rest % 60


def date_text(wall_ns: int) -> str:
    """``2026-11-23 00:23:31``, of nanoseconds since the epoch."""
    year, month, day, hour, minute, second = _parts(wall_ns)
    return f"{year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"


def stamp(wall_ns: int) -> str:
    """``20261123002331``, of nanoseconds since the epoch."""
    return "".join(char for char in date_text(wall_ns) if char.isdigit())
