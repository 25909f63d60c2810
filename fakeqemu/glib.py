"""In which order GLib walks a hash table of strings.

QEMU's objects list their children, and its visitors find left-over members, in that order. Knows glib/ghash.c
(2.74): open addressing, quadratic probing, growth. Must not know what the strings mean.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["HashTable", "hash_order"]

_MASK = 0xFFFFFFFF
_LEAST_SHIFT = 3
#: The prime below each power of two (prime_mod of ghash.c).
_PRIMES = (1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521)


def hash_order(keys: Iterable[str]) -> tuple[str, ...]:
    """Distinct keys, given in order of insertion, in the order of iteration."""
    wanted = tuple(keys)
    order = _orders.get(wanted)
    if order is None:
        order = _walk(wanted)
        if len(_orders) < 1024:  # the keys may come from outside
            _orders[wanted] = order
    return order


_orders: dict[tuple[str, ...], tuple[str, ...]] = {}


def _walk(keys: tuple[str, ...]) -> tuple[str, ...]:
    table = HashTable()
    for key in keys:
        table.insert(key)
    return table.order()


_UNUSED, _TOMBSTONE = 0, 1


class HashTable:
    """A table of strings that grows, shrinks and keeps its places as GLib's does, entry by entry."""

    __slots__ = ("_hashes", "_keys", "_nodes", "_occupied", "_shift")

    def __init__(self) -> None:
        self._shift = _LEAST_SHIFT
        self._hashes = [_UNUSED] * (1 << _LEAST_SHIFT)
        self._keys: list[str | None] = [None] * (1 << _LEAST_SHIFT)
        self._nodes = self._occupied = 0

    def order(self) -> tuple[str, ...]:
        """The keys in the order of iteration."""
        return tuple([key for key in self._keys if key is not None])

    def _find(self, key: str, value: int) -> int:
        """Where a key is, or would go (g_hash_table_lookup_node): the first place that was left, if any."""
        index, step, left = self._index(value), 0, -1
        while self._hashes[index] != _UNUSED:
            if self._hashes[index] == value and self._keys[index] == key:
                return index
            if self._hashes[index] == _TOMBSTONE and left < 0:
                left = index
            step += 1
            index = index + step & len(self._keys) - 1
        return index if left < 0 else left

    def _index(self, value: int) -> int:
        return (value * 11 & _MASK) % _PRIMES[self._shift]

    def insert(self, key: str) -> None:
        """Put a key in that may be there already."""
        value = _hash(key)
        index = self._find(key, value)
        if self._keys[index] is not None:
            return
        fresh = self._hashes[index] == _UNUSED
        self._hashes[index], self._keys[index] = value, key
        self._nodes += 1
        if fresh:
            self._occupied += 1
            self._settle()

    def remove(self, key: str) -> None:
        """Take a key out that may not be there."""
        index = self._find(key, _hash(key))
        if self._keys[index] is None:
            return
        self._hashes[index], self._keys[index] = _TOMBSTONE, None
        self._nodes -= 1
        self._settle()

    def _settle(self) -> None:
        """g_hash_table_maybe_resize()."""
        size = len(self._keys)
        if (
            size > self._nodes * 4 and size > 1 << _LEAST_SHIFT
        ) or size <= self._occupied + self._occupied // 16:
            self._resize()

    def _resize(self) -> None:
        """g_hash_table_resize(): in place, whoever is in the way moves next."""
        self._shift = max(_LEAST_SHIFT, int(self._nodes * 1.333).bit_length())
        old, size = len(self._keys), 1 << self._shift
        room = max(old, size)
        hashes = self._hashes + [_UNUSED] * (room - old)
        keys = self._keys + [None] * (room - old)
        taken = [False] * room
        for place in range(old):
            value, key = hashes[place], keys[place]
            if value in (_UNUSED, _TOMBSTONE):
                hashes[place] = _UNUSED
                continue
            if taken[place]:
                continue
            hashes[place], keys[place] = _UNUSED, None
            while value > _TOMBSTONE:
                index, step = self._index(value), 0
                while taken[index]:
                    step += 1
                    index = index + step & size - 1
                taken[index] = True
                value, hashes[index] = hashes[index], value
                key, keys[index] = keys[index], key
        self._hashes, self._keys = hashes[:size], keys[:size]
        self._occupied = self._nodes


def _hash(key: str) -> int:
    """g_str_hash(), which adds signed characters; the two lowest values mean something else in a table."""
    value = 5381
    for byte in key.encode():
        value = value * 33 + (byte - 256 if byte > 127 else byte) & _MASK
    return max(value, 2)
