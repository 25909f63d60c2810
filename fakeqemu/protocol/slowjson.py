"""The long way of reading QEMU's JSON: its lexer, streamer and parser, state by state.

Knows what QEMU 7.2 does with any bytes at all. Imported for a message that the fast path of
`fakeqemu.protocol.qjson` cannot take: one that comes in pieces, has escapes or non-ASCII text, or is wrong.
"""

from __future__ import annotations

import re
from typing import Any

from fakeqemu.protocol.qjson import MAX_NESTING, MAX_TOKEN_BYTES, MAX_TOKENS, encode, in_order

__all__ = ["Lexer", "encode_deep", "upper_escapes"]

_SPACE = re.compile(rb"[ \t\r\n]*")
#: What is passed over after an error: up to a structural or control character, but for the tabulator.
_RECOVER = re.compile(rb"[^\x00-\x08\x0a-\x1f{}\[\]:,\xfe\xff]*")
_KEYWORD = re.compile(rb"[a-z]*")
_DIGITS = re.compile(rb"[0-9]*")
_PLAIN = {
    "dq": re.compile(rb"[\x20\x21\x23-\x5b\x5d-\xfd]*"),
    "sq": re.compile(rb"[\x20-\x26\x28-\x5b\x5d-\xfd]*"),
}
_QUOTES = {"dq": 0x22, "sq": 0x27}

#: json-lexer.c, numbers: state -> ({characters: next state}, token when anything else comes; None: an error).
_NUMBERS: dict[str, tuple[tuple[tuple[bytes, str], ...], str | None]] = {
    "sign": (((b"0", "zero"), (b"123456789", "digits")), None),
    "zero": (((b"0123456789", "error"), (b".", "point")), "integer"),
    "digits": (((b"0123456789", "digits"), (b"eE", "exponent"), (b".", "point")), "integer"),
    "point": (((b"0123456789", "fraction"),), None),
    "fraction": (((b"0123456789", "fraction"), (b"eE", "exponent")), "float"),
    "exponent": (((b"+-", "exponent sign"), (b"0123456789", "exponent digits")), None),
    "exponent sign": (((b"0123456789", "exponent digits"),), None),
    "exponent digits": (((b"0123456789", "exponent digits"),), "float"),
}
_RUNS = ("digits", "fraction", "exponent digits")

Token = tuple[str, bytes]
Message = tuple[Any, str | None]


class ParseError(Exception):
    """What json-parser.c calls it, without its prefix."""


class Lexer:
    """json-lexer.c and json-streamer.c: bytes in, messages or errors out."""

    def __init__(self) -> None:
        self._state = "start"
        self._token = bytearray()
        self._tokens: list[Token] = []
        self._bytes = 0
        self._braces = 0
        self._brackets = 0
        self._out: list[Message] = []

    @property
    def idle(self) -> bool:
        """Whether nothing of an unfinished message is held."""
        return self._state == "start" and not self._tokens

    def feed(self, data: bytes) -> list[Message]:  # noqa: C901 - one branch for each state
        """The messages that ``data`` completes."""
        position, end = 0, len(data)
        while position < end:
            state = self._state
            if state == "start":
                position = self._begin(data, position)
            elif state in _QUOTES:
                position = self._in_string(data, position)
            elif state in ("dq escape", "sq escape"):
                byte = data[position]
                position += 1
                self._token.append(byte)
                if 0x20 <= byte <= 0xFD:
                    self._state = state[:2]
                else:
                    self._stray()
            elif state == "keyword":
                position = self._run(_KEYWORD, data, position)
                if position < end:
                    self._emit("keyword")
            elif state == "recovery":
                match = _RECOVER.match(data, position)
                position = match.end() if match else position
                if position < end:
                    self._state = "start"
            else:
                position = self._in_number(data, position)
            if len(self._token) > MAX_TOKEN_BYTES:
                # The real lexer stays in its state after the error, and so does this one.
                self._fail("JSON token size limit exceeded")
                self._token.clear()
        found, self._out = self._out, []
        return found

    def _begin(self, data: bytes, position: int) -> int:
        match = _SPACE.match(data, position)
        position = match.end() if match else position
        if position == len(data):
            return position
        byte = data[position]
        self._token.append(byte)
        if byte in b"{}[]:,":
            self._emit(chr(byte))
        elif byte in b"\"'":
            self._state = "dq" if byte == 0x22 else "sq"
        elif byte in b"123456789":
            self._state = "digits"
        elif byte == 0x30:
            self._state = "zero"
        elif byte == 0x2D:
            self._state = "sign"
        elif 0x61 <= byte <= 0x7A:
            self._state = "keyword"
        else:
            self._stray()
        return position + 1

    def _run(self, pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
        match = pattern.match(data, position)
        stop = match.end() if match else position
        self._token += data[position:stop]
        return stop

    def _in_string(self, data: bytes, position: int) -> int:
        position = self._run(_PLAIN[self._state], data, position)
        if position == len(data):
            return position
        byte = data[position]
        self._token.append(byte)
        if byte == _QUOTES[self._state]:
            self._emit("string")
        elif byte == 0x5C:
            self._state += " escape"
        else:
            self._stray()
        return position + 1

    def _in_number(self, data: bytes, position: int) -> int:
        if self._state in _RUNS:
            position = self._run(_DIGITS, data, position)
            if position == len(data):
                return position
        moves, terminal = _NUMBERS[self._state]
        byte = data[position]
        for characters, state in moves:
            if byte in characters:
                self._token.append(byte)
                self._state = state
                if state == "error":
                    self._stray()
                return position + 1
        if terminal is not None:
            self._emit(terminal)
            return position
        self._token.append(byte)
        self._stray()
        return position + 1

    def _stray(self) -> None:
        text = _shown(bytes(self._token).split(b"\0")[0])
        self._fail(f"JSON parse error, stray '{text}'")
        self._token.clear()
        self._state = "recovery"

    def _fail(self, text: str) -> None:
        self._out.append((None, text))
        self._forget()

    def _forget(self) -> None:
        self._tokens = []
        self._bytes = self._braces = self._brackets = 0

    def _emit(self, kind: str) -> None:
        text = bytes(self._token)
        self._token.clear()
        self._state = "start"
        if kind in "{}":
            self._braces += 1 if kind == "{" else -1
        elif kind in "[]":
            self._brackets += 1 if kind == "[" else -1
        if self._bytes + len(text) + 1 > MAX_TOKEN_BYTES:
            return self._fail("JSON token size limit exceeded")
        if len(self._tokens) + 1 > MAX_TOKENS:
            return self._fail("JSON token count limit exceeded")
        if self._braces + self._brackets > MAX_NESTING:
            return self._fail("JSON nesting depth limit exceeded")
        self._bytes += len(text)
        self._tokens.append((kind, text))
        if (self._braces > 0 or self._brackets > 0) and self._braces >= 0 and self._brackets >= 0:
            return None
        try:
            self._out.append((_parse(self._tokens), None))
        except ParseError as error:
            self._out.append((None, f"JSON parse error, {error}"))
        return self._forget()


def _parse(tokens: list[Token]) -> Any:  # noqa: C901, PLR0912 - a parser in one loop, for depth's sake
    """json-parser.c without its recursion: 1,024 levels must not need as many frames."""
    stack: list[tuple[str, Any, str]] = []  # what the value is for, its container, the member's name
    position = 0

    def take() -> Token:
        nonlocal position
        if position == len(tokens):
            raise ParseError("premature EOI")
        position += 1
        return tokens[position - 1]

    while True:
        kind, text = take()
        opened = kind in "{["
        value: Any = {} if kind == "{" else [] if kind == "[" else _scalar(kind, text)
        if opened:
            closing = "}" if kind == "{" else "]"
            if take()[0] == closing:
                opened = False
            else:
                position -= 1
        if opened:
            stack.append(("key" if kind == "{" else "item", value, ""))
            continue
        while True:
            if not stack:
                return value
            what, container, name = stack.pop()
            if what == "key":
                if not isinstance(value, str):
                    raise ParseError("key is not a string in object")
                if take()[0] != ":":
                    raise ParseError("missing : in object pair")
                stack.append(("member", container, value))
                break
            if what == "member":
                if name in container:
                    raise ParseError("duplicate key")
                container[name] = value
            else:
                container.append(value)
            follows = take()[0]
            if follows == ("}" if what == "member" else "]"):
                value = container
                continue
            if follows != ",":
                raise ParseError(f"expected separator in {'dict' if what == 'member' else 'list'}")
            stack.append(("key" if what == "member" else "item", container, ""))
            break


def _scalar(kind: str, text: bytes) -> Any:
    if kind == "string":
        return _unquote(text)
    if kind == "integer":
        value = int(text) if len(text) < 40 else float(text)
        return value if -(1 << 63) <= value < (1 << 64) else float(text)
    if kind == "float":
        return float(text)
    if kind == "keyword":
        word = text.decode("ascii")
        if word in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[word]
        raise ParseError(f"invalid keyword '{word}'")
    raise ParseError("expecting value")


_ESCAPES = {
    0x22: '"', 0x27: "'", 0x5C: "\\", 0x2F: "/", 0x62: "\b", 0x66: "\f", 0x6E: "\n", 0x72: "\r", 0x74: "\t",
}  # fmt: skip
_HEX = b"0123456789abcdefABCDEF"


def _unquote(token: bytes) -> str:
    """The value of a string token, in QEMU's modified UTF-8 (an overlong zero is a zero)."""
    body, parts, position = token[1:-1], [], 0
    while True:
        stop = body.find(b"\\", position)
        parts.append(_text(body[position : stop if stop >= 0 else len(body)]))
        if stop < 0:
            return "".join(parts)
        letter = body[stop + 1]
        position = stop + 2
        if letter in _ESCAPES:
            parts.append(_ESCAPES[letter])
        elif letter == 0x75:
            # The text of an error runs on to the closing quote, as the real one's does.
            code, position = _unicode(token, stop + 1)
            position -= 1
            parts.append(chr(code))
        else:
            raise ParseError("invalid escape sequence in string")


def _four(token: bytes, position: int) -> int:
    digits = token[position : position + 4]
    return int(digits, 16) if len(digits) == 4 and all(digit in _HEX for digit in digits) else -1


def _unicode(token: bytes, start: int) -> tuple[int, int]:
    r"""The code point of the ``\uXXXX`` at ``start``, and where the text goes on."""
    code = _four(token, start + 2)
    stop = start + 6
    if 0xD800 <= code <= 0xDBFF and token[stop : stop + 2] == b"\\u":
        trailing = _four(token, stop + 2)
        if 0xDC00 <= trailing <= 0xDFFF:
            code = 0x10000 + ((code & 0x3FF) << 10 | trailing & 0x3FF)
            stop += 6
        else:
            code = -1
    if not _character(code):
        raise ParseError(f"{_shown(token[start:stop])} is not a valid Unicode character")
    return code, stop


def _character(code: int) -> bool:
    """util/unicode.c: neither a surrogate nor one of Unicode's non-characters."""
    if code < 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return False
    return not (0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE)


def _text(raw: bytes) -> str:
    try:
        text = raw.replace(b"\xc0\x80", b"\0").decode("utf-8")
    except UnicodeDecodeError:
        raise ParseError("invalid UTF-8 sequence in string") from None
    if not text.isascii() and not all(_character(ord(sign)) for sign in text):
        raise ParseError("invalid UTF-8 sequence in string")
    return text


def _shown(raw: bytes) -> str:
    """Bytes as QEMU shows them in an error (util/unicode.c): each broken sequence is one U+FFFD."""
    if raw.isascii():
        return raw.decode("ascii")
    parts, position = [], 0
    while position < len(raw):
        lead = raw[position]
        position += 1
        if lead < 0x80:
            parts.append(chr(lead))
            continue
        length = 8 - (lead ^ 0xFF).bit_length()
        code = -1 if length in (1, 7, 8) else lead & (0x7F >> length)
        if code >= 0:
            stop = position
            while stop < min(len(raw), position + length - 1) and raw[stop] & 0xC0 == 0x80:
                code = code << 6 | raw[stop] & 0x3F
                stop += 1
            whole, position = stop - position == length - 1, stop
            overlong = code < _LEAST[length] and not (code == 0 and length == 2)
            if not whole or overlong or not _character(code):
                code = -1
        parts.append("\ufffd" if code < 0 else chr(code))
    return "".join(parts)


#: The smallest code point that needs so many bytes.
_LEAST = {2: 0x80, 3: 0x800, 4: 0x10000, 5: 0x200000, 6: 0x4000000}

_ESCAPE = re.compile(r"\\\\|\\u[0-9a-f]{4}")


def upper_escapes(quoted: str) -> str:
    r"""Python's ``\u00e9`` as QEMU's ``\u00E9``; DEL is escaped too."""
    found = _ESCAPE.sub(lambda match: match[0][:2] + match[0][2:].upper(), quoted)
    return found.replace("\x7f", "\\u007F")


def encode_deep(value: Any) -> str:
    """`fakeqemu.protocol.qjson.encode` without recursion: an ``id`` may be nested as deep as a message."""
    out: list[str] = []
    work: list[Any] = [(value,)]  # a tuple holds a value to encode, a string is text to put out
    while work:
        item = work.pop()
        if isinstance(item, str):
            out.append(item)
            continue
        inner = item[0]
        if isinstance(inner, dict) and inner:
            parts: list[Any] = ["{"]
            for index, key in enumerate(in_order(tuple(inner))):
                parts += [(", " if index else "") + encode(key) + ": ", (inner[key],)]
            work += [*parts, "}"][::-1]
        elif isinstance(inner, list) and inner:
            parts = ["["]
            for index, element in enumerate(inner):
                parts += [", ", (element,)] if index else [(element,)]
            work += [*parts, "]"][::-1]
        else:
            out.append(encode(inner))
    return "".join(out)
