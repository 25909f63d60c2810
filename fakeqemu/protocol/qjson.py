"""QEMU's JSON: what its lexer and parser accept, what they say about the rest, and how QEMU writes.

Knows bytes and JSON values. Must not know QMP. Modelled on QEMU 7.2 ``qobject/json-lexer.c``,
``json-parser.c``, ``json-streamer.c``, ``json-writer.c`` and ``qdict.c``; compared with the real one in
``tests/conformance``. The differences from ordinary JSON: single-quoted strings, no newline needed between
messages, recovery after an error at the next structural or control character, and members written in the
order of QEMU's hash table.

The usual message is read by the interpreter's C scanner; only what that cannot take goes the long way.
"""

from __future__ import annotations

from _json import encode_basestring_ascii
from _json import make_scanner as _make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "MAX_NESTING",
    "MAX_TOKENS",
    "MAX_TOKEN_BYTES",
    "JSONReader",
    "Raw",
    "encode",
    "in_order",
    "parse",
    "remembered",
]

#: Bounds of one message: json-streamer.c MAX_TOKEN_SIZE, MAX_TOKEN_COUNT, MAX_NESTING.
MAX_TOKEN_BYTES = 64 << 20
MAX_TOKENS = 2 << 20
MAX_NESTING = 1 << 10


class Raw:
    """A value that is already encoded, such as a recorded reply."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def remembered(key: tuple[Any, ...], make: Callable[[], Any]) -> Raw:
    """The encoded value that belongs to a key, made when it is first asked for; shared by all machines."""
    found = _remembered.get(key)
    if found is None:
        if len(_remembered) >= 1024:
            _remembered.clear()
        found = _remembered[key] = Raw(encode(make()))
    return found


_remembered: dict[tuple[Any, ...], Raw] = {}


class _Unusual(Exception):
    """The fast path does not do this one."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Unusual
    return made


def _number(text: str) -> Any:
    if len(text) < 19:
        return int(text)
    value = int(text) if len(text) < 40 else float(text)
    return value if -(1 << 63) <= value < (1 << 64) else float(text)


def _real(text: str) -> float:
    if text.lstrip("-")[:2] in ("0e", "0E"):
        raise _Unusual
    return float(text)


def _constant(_text: str) -> None:
    raise _Unusual


class _Settings:
    """What the C scanner reads its options from."""

    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(_pairs)
    parse_float = staticmethod(_real)
    parse_int = staticmethod(_number)
    parse_constant = staticmethod(_constant)
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner clears it after every use


_scan = _make_scanner(_Settings())  # type: ignore[arg-type]  # typeshed wants a JSONDecoder


def parse(text: str, position: int = 0) -> Any:
    """The value that begins there in a text that is known to be good: a profile's."""
    return _scan(text, position)[0]


class JSONReader:
    """Reads a stream of QEMU's JSON, in pieces of any size."""

    __slots__ = ("_slow",)

    def __init__(self) -> None:
        self._slow: Any = None

    def feed(self, data: bytes) -> list[tuple[Any, str | None]]:
        """The messages that ``data`` completes: ``(value, None)`` each, or ``(None, what is wrong)``."""
        if self._slow is not None:
            found: list[tuple[Any, str | None]] = self._slow.feed(data)
            if self._slow.idle:
                self._slow = None
            return found
        found = []
        if data.isascii() and b"\\" not in data:
            text = data.decode("ascii")
            position, end = 0, len(text)
            try:
                while True:
                    while position < end and text[position] in " \t\r\n":
                        position += 1
                    if position == end:
                        return found
                    if text[position] != "{":
                        break
                    value, position = _scan(text, position)
                    found.append((value, None))
            except (_Unusual, StopIteration, ValueError, RecursionError, SystemError):
                # SystemError: CPython 3.11's scanner looks for json.decoder's exception class, which is not
                # imported here, and finds nothing to raise. Whatever it was, the long way says it properly.
                pass
            data = data[position:]
        from fakeqemu.protocol.slowjson import Lexer

        self._slow = Lexer()
        return found + self.feed(data)


_shapes: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = {}
#: The same for keys alone.
_orders: dict[tuple[str, ...], tuple[str, ...]] = {}


def _bucket(key: str) -> int:
    """Where QEMU's QDict keeps a key: ``tdb_hash() % QDICT_BUCKET_MAX`` of qobject/qdict.c."""
    raw = key.encode()
    value = 0x238F13AF * len(raw)
    for index, byte in enumerate(raw):
        value += byte << (index * 5 % 24)
    return (1103515243 * value + 12345 & 0xFFFFFFFF) % 512


def in_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Keys, given in order of insertion, in the order in which QEMU walks a dictionary that has them."""
    found = _orders.get(keys)
    if found is None:
        found = tuple([key for key, _ in _shape(keys)])
        if len(_orders) < 1024:
            _orders[keys] = found
    return found


def _shape(keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each key in QEMU's order, with the text that is written before its value."""
    shape = _shapes.get(keys)
    if shape is None:
        ranked = [(_bucket(key), -index, key) for index, key in enumerate(keys)]
        shape = tuple([(key, f"{_string(key)}: ") for _, _, key in sorted(ranked)])
        if len(_shapes) < 4096:  # the keys may come from outside: an ``id`` may be any object
            _shapes[keys] = shape
    return shape


def _string(text: str) -> str:
    quoted = encode_basestring_ascii(text)
    if "\\u" in quoted or "\x7f" in quoted:
        from fakeqemu.protocol.slowjson import upper_escapes

        return upper_escapes(quoted)
    return quoted


def encode(value: Any) -> str:
    """The text QEMU sends for a value: ASCII, ``": "`` and ``", "``, members in QEMU's order."""
    try:
        return _encode(value)
    except RecursionError:
        from fakeqemu.protocol.slowjson import encode_deep

        return encode_deep(value)


def _encode(value: Any) -> str:  # noqa: PLR0911 - one for each kind of value
    kind = type(value)
    if kind is str:
        return _string(value)
    if kind is dict:
        if not value:
            return "{}"
        return "{" + ", ".join([text + _encode(value[key]) for key, text in _shape(tuple(value))]) + "}"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if value is None:
        return "null"
    if kind is list or kind is tuple:
        return "[" + ", ".join(map(_encode, value)) + "]"
    if kind is float:
        return f"{value:.17g}"
    if kind is Raw:
        return str(value.text)
    raise TypeError(f"not a JSON value: {kind.__name__}")
