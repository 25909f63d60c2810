"""Seeded randomness: one root seed, one named stream for each use.

Knows how a stream's seed is made of the root seed and the stream's name. Must not know what is drawn.
"""

from __future__ import annotations

import random

__all__ = ["SeededChance"]


class SeededChance:
    """Streams of random numbers that depend on the seed and their own name only (`virtsim.host.abc.Chance`).

    A new draw in one stream moves no other stream, and the same seed gives the same numbers in every process:
    ``random.Random`` hashes a text seed itself (SHA-512), so PYTHONHASHSEED has no part in it.

    Args:
        seed: the root seed; 7 and "7" are the same seed, so that one given on a command line replays.
    """

    def __init__(self, seed: str | int) -> None:
        self.seed = str(seed)
        self._streams: dict[str, random.Random] = {}

    def stream(self, name: str) -> random.Random:
        """The stream of that name; the same object each time, so that draws go on where they stopped."""
        found = self._streams.get(name)
        if found is None:
            found = random.Random(f"{self.seed}/{name}")  # noqa: S311 - reproducible on purpose, no secret
            self._streams[name] = found
        return found
