"""Durations, sizes and rates as people write them: ``105s``, ``1h30m``, ``402GiB``, ``3.83GiB/s``.

Knows units and exact arithmetic. Must not know what is measured.

All results are integers (nanoseconds, bytes, bytes per second), computed exactly with fractions and rounded
once to the nearest integer, so the same text means the same number everywhere.
"""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = [
    "DURATION_UNITS", "MAX_DURATION_NS", "MAX_SIZE", "SIZE_UNITS", "format_duration", "parse_duration_ns",
    "parse_rate", "parse_size",
]  # fmt: skip

#: Unit -> nanoseconds.
DURATION_UNITS: dict[str, int] = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "min": 60 * 1_000_000_000,
    "h": 3600 * 1_000_000_000,
    "d": 86400 * 1_000_000_000,
}

#: Unit -> bytes. IEC units are powers of 1024, SI units of 1000; a bare letter is refused as ambiguous.
SIZE_UNITS: dict[str, int] = {
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "PiB": 1 << 50,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "PB": 10**15,
}

#: Longest duration: a hundred years; beyond it a number is a typing mistake, and floats of seconds lose
#: nanoseconds.
MAX_DURATION_NS = 100 * 365 * DURATION_UNITS["d"]
#: Largest size: what QEMU's own size parser accepts (a signed 64-bit number of bytes).
MAX_SIZE = (1 << 63) - 1

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([a-zA-Zµ]+)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-zA-Z]+)")
_LONGEST = 64


def parse_duration_ns(text: object) -> int:  # noqa: C901 - one check after the other
    """Nanoseconds of a duration such as ``105s``, ``1500ms``, ``1h30m``; ``0`` needs no unit.

    Raises:
        ValueError: not a duration; the text says what was expected.
    """
    if text == 0 and not isinstance(text, bool):
        return 0
    if not isinstance(text, str):
        hint = (
            f"; did you mean {text}s or {text}ms?"
            if isinstance(text, int | float) and text is not True
            else ""
        )
        why = f"a duration needs a unit, as in 105s, 1500ms or 1h30m{hint}"
        raise ValueError(why)  # noqa: TRY004 - one error type for all texts
    word = text.strip()
    if word == "0":
        return 0
    if word.startswith("-"):
        raise ValueError(f"a duration cannot be negative: {_shown(word)}")
    total, position, last = Fraction(0), 0, None
    while position < len(word) and len(word) <= _LONGEST:
        part = _PART.match(word, position)
        if part is None:
            break
        factor = DURATION_UNITS.get(part[2].replace("µ", "u"))
        if factor is None:
            raise ValueError(f"unknown unit {part[2]!r} in {_shown(word)}: use {', '.join(DURATION_UNITS)}")
        if last is not None and factor >= last:
            raise ValueError(f"units go from large to small: {_shown(word)}")
        total, position, last = total + Fraction(part[1]) * factor, part.end(), factor
    if last is None or position != len(word):
        raise ValueError(f"not a duration: {_shown(word)}; write 105s, 1500ms or 1h30m")
    if total > MAX_DURATION_NS:
        raise ValueError(f"more than a hundred years: {_shown(word)}")
    return round(total)


def parse_size(text: object) -> int:
    """Bytes of a size such as ``402GiB`` or ``512 MiB``; a whole number without a unit counts bytes.

    Raises:
        ValueError: not a size; the text says what was expected.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        if text < 0:
            raise ValueError(f"a size cannot be negative: {text}")
        return _within(text, str(text))
    if not isinstance(text, str):
        raise ValueError("a size needs a unit, as in 512MiB or 402GiB")  # noqa: TRY004 - one error type for all texts
    word = text.strip()
    if word.startswith("-"):
        raise ValueError(f"a size cannot be negative: {_shown(word)}")
    match = _SIZE.fullmatch(word) if len(word) <= _LONGEST else None
    if match is None:
        if word.isascii() and word.isdigit() and len(word) <= _LONGEST:
            return _within(int(word), word)
        raise ValueError(f"not a size: {_shown(word)}; write 512MiB or 402GiB")
    factor = SIZE_UNITS.get(match[2])
    if factor is None:
        raise ValueError(f"unknown unit {match[2]!r} in {_shown(word)}: use {', '.join(SIZE_UNITS)}")
    return _within(round(Fraction(match[1]) * factor), word)


def parse_rate(text: object) -> int:
    """Bytes per second of a rate such as ``3.83GiB/s``.

    Raises:
        ValueError: not a rate, or a rate of nothing; the text says what was expected.
    """
    if not isinstance(text, str) or not text.strip().endswith("/s"):
        raise ValueError("a rate is a size per second, as in 3.83GiB/s")
    rate = parse_size(text.strip()[:-2])
    if rate == 0:
        raise ValueError("a rate of zero never ends")
    return rate


def format_duration(ns: int) -> str:
    """The shortest exact text that `parse_duration_ns` reads back as ``ns``.

    >>> format_duration(105_047_000_000)
    '105047ms'
    """
    for unit in ("s", "ms", "us"):
        if ns % DURATION_UNITS[unit] == 0:
            return f"{ns // DURATION_UNITS[unit]}{unit}"
    return f"{ns}ns"


def _within(size: int, shown: str) -> int:
    if size > MAX_SIZE:
        raise ValueError(f"larger than 2^63 - 1 bytes: {_shown(shown)}")
    return size


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "...")
