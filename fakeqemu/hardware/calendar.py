"""Days and months from seconds, without a clock and without the host's time zone.

Knows the Gregorian calendar. Must not know what the time is.
"""

from __future__ import annotations

__all__ = ["broken_down"]


def broken_down(seconds: int) -> tuple[int, int, int, int, int, int]:
    """Year, month, day, hour, minute, second (UTC) of seconds since the epoch."""
    days, rest = divmod(seconds, 86400)
    days += 719468
    era, day_of_era = divmod(days, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    return year, month, day_of_year - (153 * shifted + 2) // 5 + 1, rest // 3600, rest // 60 % 60, rest % 60
