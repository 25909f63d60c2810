"""JSON objects one after another in a stream of bytes: where each begins and ends.

Knows JSON's brackets and strings, and the bounds. Must not know what the objects say.

QEMU ends each object with CR LF and, when asked for pretty output, has line ends inside of them too; clients
send with LF, with CR LF, or with nothing in between. So an object ends where its brackets close, and a line
end counts only for what does not begin with a bracket, since that is garbage and has no other end.

The result does not depend on how the bytes were split into reads. Two ways lead to it. The usual one: a read
begins where an object begins, and the decoder of the standard library, which is written in C, takes object
after object from it. What it does not like (an object cut off by the end of the read, or a fault) goes the
other way, byte by byte as it were: a scanner keeps its place between reads, so that every byte is looked at
once, and it alone decides what is a fault.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from virtsim.wire.errors import (
    FramingError,
    InvalidJSON,
    InvalidUTF8,
    MessageTooLarge,
    NotAnObject,
    TooDeep,
    Truncated,
)

__all__ = ["MAX_DEPTH", "MAX_MESSAGE_BYTES", "NEED_DATA", "JsonStream", "NeedData", "quote"]

#: libvirt's QEMU_MONITOR_MAX_RESPONSE (9.0.0 qemu_monitor.c).
MAX_MESSAGE_BYTES: Final = 10 * 1024 * 1024

#: Deepest nesting. QEMU's own parser has 1024 (MAX_NESTING of 7.2 json-streamer.c); ours is recursive, and
#: Python's recursion ends at 1000 calls together with those of our callers.
MAX_DEPTH: Final = 500

#: So much of a faulty message is shown in an error's text, characters.
_SHOWN = 256


class NeedData:
    """The type of `NEED_DATA`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NEED_DATA"


#: What an engine answers when it has no more until more bytes arrive.
NEED_DATA: Final = NeedData()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode_at = json.JSONDecoder(parse_constant=_refuse).raw_decode
_blank_text = re.compile(r"[ \t\r\n]*").match
_blank = re.compile(rb"[ \t\r\n]*").match
_strings_text = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_brackets_text = re.compile(r"[{}\[\]]")
_surrogate = re.compile(r"\\u[dD][89a-fA-F]").search
#: A whole string, or a quote that begins one which does not end here, or a bracket.
_tokens = re.compile(rb'"[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+"|["{}\[\]]').finditer
#: The rest of a string up to its closing quote, the end of the bytes or what must not stand in a string.
_string_rest = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+').match

_QUOTE, _BACKSLASH = b'"\\'
_CLOSER = {ord("{"): ord("}"), ord("["): ord("]")}


def quote(value: object) -> str:
    """``value`` as JSON for an error's text, cut after some characters."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


class JsonStream:
    """Takes bytes, gives the objects in them.

    After it has raised an error it must not be used any more.

    Args:
        max_bytes: longest message, without the white space around it.
    """

    __slots__ = ("_at", "_buffer", "_fresh", "_in_string", "_later", "_max_bytes", "_pos", "_stack", "_text")

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_bytes = max_bytes
        # The usual way: decoded text of one read, and how far it is used up.
        self._text = ""
        self._at = 0
        self._later = bytearray()  # reads that came while the text was not used up
        # The other way: bytes from the beginning of a message, and where the scanner stands.
        self._buffer = bytearray()
        self._fresh = False  # the buffer grew since the usual way was last tried
        self._pos = 0
        self._stack = bytearray()  # closing brackets that are due
        self._in_string = False

    def receive_data(self, data: bytes) -> None:
        """Take bytes as they came from the peer."""
        if self._text:
            self._later += data
        elif self._buffer:
            self._buffer += data
            self._fresh = True
        else:
            self._begin(data)

    def next_value(self) -> dict[str, Any] | NeedData:
        """The next object, or `NEED_DATA`.

        Raises:
            FramingError: the class says what is wrong.
        """
        while True:
            text = self._text
            if not text:
                if self._buffer:
                    return self._scan()
                return NEED_DATA
            at = self._at
            if len(text) >= _LARGE and at == 0 and (again := _again(text)) is not None:
                self._advance(text, len(text))
                return again
            try:
                value, end = _decode_at(text, at)
            except (ValueError, RecursionError):
                self._fall_back(at)
                continue
            if type(value) is not dict or (end - at > 2 * MAX_DEPTH and _too_deep(text, at, end)):
                self._fall_back(at)
                continue
            if "\\u" in text:
                _check_surrogates(text[at:end], value)
            if at == 0 and _LARGE <= len(text) <= _LARGE_MAX:
                _remember(text, end, value)
            self._advance(text, end)
            return value

    def end(self) -> None:
        """The peer has hung up, and `next_value` has answered `NEED_DATA`.

        Raises:
            Truncated: in the middle of a message.
        """
        if self._buffer or self._text:
            rest = bytes(self._buffer).decode(errors="replace")
            raise Truncated(f"end of file in the middle of json {quote(rest)}")

    def _begin(self, data: bytes | bytearray) -> None:
        """Go the usual way with bytes that begin where a message begins."""
        if len(data) > self._max_bytes:  # characters would have to be counted as bytes: let the scanner do it
            self._buffer += data
            self._fresh = False
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._buffer += data
            self._fresh = False
            return
        self._at = 0
        if text[:1] != "{":
            blank = _blank_text(text)
            self._at = at = blank.end() if blank else 0
            text = text if at < len(text) else ""
        self._text = text

    def _advance(self, text: str, end: int) -> None:
        """The usual way has used up ``text`` to ``end``."""
        if len(text) - end != 2 or text[end:] != "\r\n":  # QEMU's way to end the only message of a read
            blank = _blank_text(text, end)
            at = blank.end() if blank else end
            if at < len(text):
                self._at = at
                return
        self._text = ""
        if self._later:
            later, self._later = self._later, bytearray()
            self._begin(later)

    def _fall_back(self, at: int) -> None:
        """Go the other way with the rest of the text."""
        self._buffer += self._text[at:].encode()
        self._buffer += self._later
        self._text = ""
        self._fresh = bool(self._later)
        self._later.clear()

    def _scan(self) -> dict[str, Any] | NeedData:
        """The next object from the buffer, or `NEED_DATA`."""
        buffer = self._buffer
        if self._pos == 0:
            blank = _blank(buffer)
            size = blank.end() if blank else 0
            del blank  # it would keep the buffer from shrinking
            del buffer[:size]
            if not buffer:
                return NEED_DATA
        end = self._find_close() if buffer[0] in _CLOSER else self._find_line_end()
        if end < 0:
            if len(buffer) > self._max_bytes:
                raise self._too_large()
            return NEED_DATA
        if end > self._max_bytes:
            raise self._too_large()
        raw = bytes(buffer[:end])
        del buffer[:end]
        self._pos = 0
        value = _parse(raw)
        if self._fresh:  # once for each read, or a long tail would be decoded again and again
            rest, self._buffer, self._fresh = buffer, bytearray(), False
            self._begin(rest)
        return value

    def _find_line_end(self) -> int:
        """Where the line of garbage at the head of the buffer ends, or -1."""
        end = self._buffer.find(b"\n", self._pos)
        self._pos = len(self._buffer)
        return end

    def _find_close(self) -> int:
        """Where the brackets that the buffer begins with close, or -1."""
        buffer = self._buffer
        while self._pos < len(buffer):
            if self._in_string and not self._leave_string():
                return -1
            end = self._find_close_outside_strings()
            if end >= 0:
                return end
            if not self._in_string:
                self._pos = len(buffer)
        return -1

    def _find_close_outside_strings(self) -> int:
        """Go on until the brackets close, a string begins that does not end here, or the bytes end."""
        buffer, stack = self._buffer, self._stack
        for token in _tokens(buffer, self._pos):
            start = token.start()
            byte = buffer[start]
            if byte == _QUOTE:
                if token.end() == start + 1:
                    self._in_string = True
                    self._pos = start + 1
                    return -1
            elif byte in _CLOSER:
                self._check_before_opening(start)
                stack.append(_CLOSER[byte])
                if len(stack) > MAX_DEPTH:
                    raise self._fault(start, TooDeep(f"json nested more than {MAX_DEPTH} levels deep"))
            elif stack.pop() != byte:
                raise self._invalid(start, "brackets do not match")
            elif not stack:
                return start + 1
        return -1

    def _leave_string(self) -> bool:
        """Go on to the end of the string that the scanner is in; False: it does not end here."""
        buffer = self._buffer
        rest = _string_rest(buffer, self._pos)
        self._pos = pos = rest.end() if rest else self._pos
        del rest
        if pos == len(buffer):
            return False
        if buffer[pos] == _QUOTE:
            self._in_string = False
            self._pos = pos + 1
            return True
        if buffer[pos] == _BACKSLASH:
            pos += 1
            if pos == len(buffer):
                return False
        raise self._invalid(pos, "control character in a string")

    def _check_before_opening(self, start: int) -> None:
        """Tell a message that was cut off from the next one: an object never follows a value directly."""
        if self._stack:
            buffer = self._buffer
            before = start - 1
            while buffer[before] in b" \t\r\n":
                before -= 1
            if buffer[before] not in b":,[":
                raise self._invalid(start, "a bracket where none may stand")

    def _invalid(self, pos: int, why: str) -> FramingError:
        shown = bytes(self._buffer[: min(pos + 1, 4 * _SHOWN)]).decode(errors="replace")
        return self._fault(pos, InvalidJSON(f"cannot parse json {quote(shown)}: {why} at byte {pos}"))

    def _fault(self, pos: int, fault: FramingError) -> FramingError:
        """The fault at ``pos``, unless the bound comes before it."""
        return self._too_large() if pos >= self._max_bytes else fault

    def _too_large(self) -> MessageTooLarge:
        return MessageTooLarge(f"QEMU monitor reply exceeds buffer size ({self._max_bytes} bytes)")


#: Reads of so many characters are remembered: the list of a processor's hundreds of properties says the
#: same at every start.
_LARGE: Final = 8192
_LARGE_MAX: Final = 65536
_REMEMBERED_MAX: Final = 8
_remembered: dict[str, dict[str, Any]] = {}
_SCALARS: Final = frozenset((str, int, float, bool, type(None)))


def _again(text: str) -> dict[str, Any] | None:
    """The object of a read that came before just so, made anew: whoever gets it may change it."""
    known = _remembered.get(text)
    if known is None:
        return None
    return {**known, "return": [entry.copy() for entry in known["return"]]}


def _remember(text: str, end: int, value: dict[str, Any]) -> None:
    """Keep a read that is one reply with a flat list of flat objects; it can be copied quickly."""
    entries = value.get("return")
    if type(entries) is not list or not text[end:].isspace():
        return
    if not all(type(entry) is dict and _SCALARS.issuperset(map(type, entry.values())) for entry in entries):
        return
    if not all(type(member) in _SCALARS for name, member in value.items() if name != "return"):
        return
    while len(_remembered) >= _REMEMBERED_MAX:
        del _remembered[next(iter(_remembered))]
    _remembered[text] = {**value, "return": [entry.copy() for entry in entries]}


def _parse(raw: bytes) -> dict[str, Any]:
    """One message that the scanner has cut out."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        shown = quote(raw.decode(errors="replace"))
        raise InvalidUTF8(f"cannot parse json {shown}: invalid UTF-8 at byte {error.start}") from error
    text = text.rstrip(" \t\r\n")
    try:
        value, end = _decode_at(text, 0)
    except ValueError as error:
        raise InvalidJSON(f"cannot parse json {quote(text)}: {error}") from error
    except RecursionError as error:
        raise TooDeep("json nested more deeply than the stack allows") from error
    if end != len(text):
        raise InvalidJSON(f"cannot parse json {quote(text)}: trailing characters from {end}")
    if not isinstance(value, dict):
        raise NotAnObject(f"Parsed JSON reply '{quote(text)}' isn't an object")
    _check_surrogates(text, value)
    return value


def _check_surrogates(text: str, value: dict[str, Any]) -> None:
    """Refuse half a surrogate pair: Python would keep it as a string that cannot be written anywhere."""
    if _surrogate(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InvalidJSON(f"cannot parse json {quote(text)}: half a surrogate pair") from error


def _too_deep(text: str, at: int, end: int) -> bool:
    """Whether a message that was parsed is nested too deeply all the same."""
    if text.count("{", at, end) + text.count("[", at, end) <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _brackets_text.findall(_strings_text.sub("", text[at:end])):
        if bracket in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        else:
            depth -= 1
    return False
