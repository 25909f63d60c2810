"""Values on the command line with units, as in scenarios: ``402GiB``, ``105s``.

Knows how click takes a value. Must not know what it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["DURATION_MS", "SIZE_KIB", "nearest_word"]


class _Unit(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """A value with a unit."""

    def __init__(self, name: str, parse: Callable[[str], int]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _milliseconds(text: str) -> int:
    from virtsim.sim.units import parse_duration_ns

    ns = parse_duration_ns(text)
    if ns % 1_000_000:
        raise ValueError(f"policies count whole milliseconds: {text!r}")
    return ns // 1_000_000


def _kibibytes(text: str) -> int:
    from virtsim.sim.units import parse_size

    size = parse_size(text)
    if text.strip().isdigit():
        raise ValueError(f"a size needs a unit, as in 512MiB or 402GiB: {text!r}")
    return -(-size // 1024) if "." in text else size // 1024  # 1.99GiB: rounded up, as in scenarios


DURATION_MS = _Unit("duration", _milliseconds)
SIZE_KIB = _Unit("size", _kibibytes)


def nearest_word(word: str, words: list[str]) -> str:
    """What to add to the message about an unknown word."""
    from virtsim.sim.words import nearest

    return nearest(word, words)
