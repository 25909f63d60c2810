"""A container's children in the order in which GLib walks them, through all comings and goings.

Knows glib/ghash.c (2.74): open addressing with tombstones, growth and shrinking in place. `fakeqemu.glib`
knows tables that only grow. Must not know what the names stand for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Table"]

_LEAST_SHIFT = 3
#: The prime below each power of two (prime_mod of ghash.c).
_PRIMES = (1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521)
_UNUSED, _TOMBSTONE = None, ""


#: Hashes of names: machines of one host have most of theirs in common.
_known: dict[str, int] = {}


def _hash(key: str) -> int:
    value = _known.get(key)
    if value is not None:
        return value
    value = 5381
    for byte in key.encode():
        # g_str_hash adds signed characters.
        value = value * 33 + (byte - 256 if byte > 127 else byte) & 0xFFFFFFFF
    value = max(value, 2)
    if len(_known) < 4096 and len(key) <= 64:
        _known[key] = value
    return value


class Table:
    """Names as a GHashTable of strings holds them. Its size follows the number of names, at most 2**16."""

    __slots__ = ("_held", "_occupied", "_shift", "_slots")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._shift = _LEAST_SHIFT
        self._slots: list[str | None] = [_UNUSED] * (1 << _LEAST_SHIFT)
        self._held = self._occupied = 0
        for name in names:
            self.add(name)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in self._slots if name])

    def add(self, name: str) -> None:
        """Put a name in; one that is there stays where it is."""
        slots, mask = self._slots, len(self._slots) - 1
        index = (_hash(name) * 11 & 0xFFFFFFFF) % _PRIMES[self._shift]
        first, step = -1, 0
        while (held := slots[index]) is not _UNUSED:
            if held == name:
                return
            if held == _TOMBSTONE and first < 0:
                first = index
            step += 1
            index = index + step & mask
        fresh = first < 0
        slots[index if fresh else first] = name
        self._held += 1
        if fresh:
            self._occupied += 1
            self._fit()

    def remove(self, name: str) -> None:
        """Take a name out, if it is there; QOM does so while it walks the table, so its size stays."""
        if name and name in self._slots:
            self._slots[self._slots.index(name)] = _TOMBSTONE
            self._held -= 1

    def _fit(self) -> None:
        size, occupied = len(self._slots), self._occupied
        if (size > self._held * 4 and size > 1 << _LEAST_SHIFT) or size <= occupied + occupied // 16:
            self._resize()

    def _resize(self) -> None:
        """In place, as ghash.c moves its entries: whoever is in the way is carried on to its own place."""
        shift = max(_LEAST_SHIFT, int(self._held * 1.333).bit_length())
        old, size = len(self._slots), 1 << shift
        slots = self._slots + [_UNUSED] * (size - old)
        moved = [False] * max(old, size)
        prime, mask = _PRIMES[shift], size - 1
        for start in range(old):
            if moved[start]:
                continue
            carried = slots[start]
            slots[start] = _UNUSED
            if not carried:
                continue
            while carried:
                index, step = (_hash(carried) * 11 & 0xFFFFFFFF) % prime, 0
                while moved[index]:
                    step += 1
                    index = index + step & mask
                moved[index] = True
                slots[index], carried = carried, slots[index]
        self._slots, self._shift, self._occupied = slots[:size], shift, self._held
