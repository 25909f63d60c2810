"""How one leaf of the XML becomes a value and back: text, numbers, words, sizes.

Knows how libvirt 9.0.0 reads and prints scalars. Must not know which element a scalar belongs to.

``decode`` raises ValueError whose text is what libvirt appends to "Invalid value for attribute ..."; an
OverflowError's or LookupError's text stands alone. ``encode`` gives the canonical form.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "HEX2",
    "HEX4",
    "INT",
    "KIB",
    "ONOFF",
    "TEXT",
    "UINT",
    "UINT64",
    "UUID_TEXT",
    "YESNO",
    "Codec",
    "choice",
    "hexadecimal",
    "scale_to_kib",
    "unsigned",
]

_DECIMAL = re.compile(r"\s*[+]?([0-9]{1,20})\Z")
_SIGNED = re.compile(r"\s*([+-]?[0-9]{1,20})\Z")
_ANY_BASE = re.compile(r"\s*[+]?(?:0[xX]([0-9a-fA-F]{1,16})|([0-9]{1,20}))\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z|[0-9a-fA-F]{32}\Z")

#: Suffixes of ``virScaleInteger`` (libvirt 9.0.0 src/util/virutil.c); looked up without regard to case.
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
_UNSIGNED_64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Codec:
    """A pair of functions between the text of a leaf and its value.

    Attributes:
        decode: text -> value; raises ValueError.
        encode: value -> canonical text.
        words: the only texts there are, or () when they cannot be listed.
        bounds: smallest and largest value of a number, else None.
    """

    decode: Callable[[str], Any]
    encode: Callable[[Any], str]
    words: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None

    @property
    def plain(self) -> bool:
        """Whether the canonical text never needs escaping: it is a number, or one of our own words."""
        return bool(self.words) or self.bounds is not None


def _same(text: str) -> str:
    return text


def choice(*words: str) -> Codec:
    """One of the given words; anything else is refused as libvirt's ``virXMLPropEnum`` does."""
    table = {word: word for word in words}

    def decode(text: str) -> str:
        try:
            return table[text]
        except KeyError:
            raise ValueError("") from None

    return Codec(decode, _same, words)


def _switch(yes: str, no: str) -> Codec:
    table = {yes: True, no: False}

    def decode(text: str) -> bool:
        try:
            return table[text]
        except KeyError:
            raise ValueError("") from None

    return Codec(decode, lambda value: yes if value else no, (yes, no))


def unsigned(bits: int) -> Codec:
    """A decimal number from 0 to 2**bits - 1."""
    limit = 1 << bits

    def decode(text: str) -> int:
        found = _DECIMAL.match(text)
        if found is None or (value := int(found.group(1))) >= limit:
            raise ValueError(" Expected non-negative integer value")
        return value

    return Codec(decode, str, bounds=(0, limit - 1))


def hexadecimal(digits: int) -> Codec:
    """A number in any base, written as ``0x`` and at least ``digits`` digits (PCI, ISA addresses)."""
    limit = 1 << 32

    def decode(text: str) -> int:
        found = _ANY_BASE.match(text)
        if found is None:
            raise ValueError(" Expected non-negative integer value")
        hexa, decimal = found.groups()
        value = int(hexa, 16) if hexa else int(decimal, 8 if decimal.startswith("0") else 10)
        if value >= limit:
            raise ValueError(" Expected non-negative integer value")
        return value

    return Codec(decode, lambda value: f"0x{value:0{digits}x}", bounds=(0, limit - 1))


def _decode_int(text: str) -> int:
    found = _SIGNED.match(text)
    if found is None or not -(1 << 31) <= (value := int(found.group(1))) < 1 << 31:
        raise ValueError(" Expected integer value")
    return value


def _decode_uuid(text: str) -> uuid.UUID:
    if _UUID.match(text) is None:
        raise ValueError(" Expected UUID")
    return uuid.UUID(text)


def scale_to_kib(value: str, unit: str | None) -> int:
    """A size as libvirt's ``virDomainParseMemory`` reads it, in KiB rounded up.

    Args:
        value: a decimal number.
        unit: ``b``, ``bytes``, ``KB``, ``KiB``, ``k`` ... ``EiB``; None means KiB.

    Raises:
        ValueError: not a number.
        LookupError: unknown unit; libvirt's text.
        OverflowError: more than 2**64 bytes; libvirt's text.
    """
    found = _DECIMAL.match(value.rstrip())
    if found is None:
        raise ValueError("")
    number = int(found.group(1))
    factor = _factor("KiB" if unit is None else unit)
    if number > _UNSIGNED_64 // factor:
        raise OverflowError(f"value too large: {number}{unit if unit is not None else 'KiB'}")
    return -(-number * factor // 1024)


def _factor(unit: str) -> int:
    low = unit.lower()
    if low in ("", "b", "byte", "bytes"):
        return 1
    power = _POWERS.get(low[0])
    if power is not None and low[1:] in ("", "ib"):
        return int(1024**power)
    if power is not None and low[1:] == "b":
        return int(1000**power)
    raise LookupError(f"unknown suffix '{unit}'")


TEXT = Codec(_same, _same)
UINT = unsigned(32)
UINT64 = unsigned(64)
#: A size in KiB, whose bytes fit into 64 bits.
KIB = unsigned(54)
INT = Codec(_decode_int, str, bounds=(-(1 << 31), (1 << 31) - 1))
HEX2 = hexadecimal(2)
HEX4 = hexadecimal(4)
YESNO = _switch("yes", "no")
ONOFF = _switch("on", "off")
UUID_TEXT = Codec(_decode_uuid, str)
