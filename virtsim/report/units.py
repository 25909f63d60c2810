"""Durations and sizes as people read them; the same text on every page."""

from __future__ import annotations

__all__ = ["brief", "cut", "duration", "long_duration", "plural", "size"]

_NS_PER_US, _NS_PER_MS, _NS_PER_S = 1_000, 1_000_000, 1_000_000_000


def _exact(ns: int, unit_ns: int) -> str:
    """``ns`` in units of ``unit_ns``, exactly, thousands separated, without trailing zeros."""
    whole, rest = divmod(ns, unit_ns)
    digits = len(str(unit_ns)) - 1
    fraction = str(rest).rjust(digits, "0").rstrip("0")
    return f"{whole:,}.{fraction}" if fraction else f"{whole:,}"


def duration(ns: int) -> str:
    """A duration, exact to the nanosecond: ``7 ms``, ``105.047 s``, ``3,252.047 s``."""
    if ns < 0:
        return f"-{duration(-ns)}"
    if ns == 0:
        return "0 s"
    if ns >= _NS_PER_S:
        return f"{_exact(ns, _NS_PER_S)} s"
    if ns >= _NS_PER_MS:
        return f"{_exact(ns, _NS_PER_MS)} ms"
    if ns >= _NS_PER_US:
        return f"{_exact(ns, _NS_PER_US)} \N{MICRO SIGN}s"
    return f"{ns} ns"


def brief(ns: int) -> str:
    """A duration to three decimals of its unit: ``48.285 ms`` for 48,285,062 ns."""
    for unit_ns in (_NS_PER_S, _NS_PER_MS, _NS_PER_US):
        if abs(ns) >= unit_ns:
            step = unit_ns // 1000
            return duration((ns + step // 2) // step * step)
    return duration(ns)


def long_duration(ns: int) -> str:
    """A duration rounded to the millisecond, with minutes or hours beside it from two minutes on."""
    rounded = ns if ns < _NS_PER_MS else round(ns / _NS_PER_MS) * _NS_PER_MS
    seconds = rounded // _NS_PER_S
    if seconds < 120:
        return duration(rounded)
    minutes, seconds = divmod(seconds, 60)
    if minutes < 120:
        return f"{duration(rounded)} ({minutes} min {seconds} s)"
    hours, minutes = divmod(minutes, 60)
    return f"{duration(rounded)} ({hours} h {minutes} min)"


def size(kib: int) -> str:
    """A memory size from KiB in the largest unit that keeps it exact enough: ``402 GiB``, ``1.5 TiB``."""
    value = float(kib)
    for unit in ("KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def plural(count: int, noun: str, more: str | None = None) -> str:
    """``1 domain``, ``1,000 domains``."""
    return f"{count:,} {noun if count == 1 else more or noun + 's'}"


def cut(value: str, limit: int) -> str:
    """A text of at most ``limit`` characters; a longer one says how much is missing."""
    if len(value) <= limit:
        return value
    return f"{value[:limit]}\N{HORIZONTAL ELLIPSIS} ({len(value) - limit:,} more characters)"
