"""The time of day.

Knows the system's real-time clock. Must not know what anybody does with it; durations come from the event
loop.
"""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """The host's wall clock (`virtsim.host.abc.WallClock`); it may be set back or forth while we look."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()
