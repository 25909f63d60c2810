"""In which order GLib walks a hash table of strings.

QEMU's objects list their children, and its visitors find left-over members, in that order. Knows glib/ghash.c
(2.74): open addressing, quadratic probing, growth. Must not know what the strings mean.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["hash_order"]

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
    shift = _LEAST_SHIFT
    slots: list[str | None] = [None] * (1 << shift)
    for held, key in enumerate(keys, 1):
        _put(slots, shift, key)
        if len(slots) <= held + held // 16:
            shift = max(_LEAST_SHIFT, int(held * 1.333).bit_length())
            old, slots = slots, [None] * (1 << shift)
            for kept in old:
                if kept is not None:
                    _put(slots, shift, kept)
    return tuple([key for key in slots if key is not None])


def _put(slots: list[str | None], shift: int, key: str) -> None:
    value = 5381
    for byte in key.encode():
        # g_str_hash adds signed characters.
        value = value * 33 + (byte - 256 if byte > 127 else byte) & _MASK
    index = (max(value, 2) * 11 & _MASK) % _PRIMES[shift]
    step = 0
    while slots[index] is not None:
        step += 1
        index = index + step & len(slots) - 1
    slots[index] = key
