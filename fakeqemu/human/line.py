"""A line of the monitor for people, taken apart: words, expressions, sizes, flags.

Knows monitor/hmp.c and get_expr() of QEMU 7.2: what each letter of an argument type reads, and the texts for
what it cannot read. Must not know commands.

The argument types are QEMU's: ``name:s?`` is an optional word, ``F`` a file, ``B`` a block device, ``S`` the
rest of the line, ``O`` options, ``i`` and ``l`` an expression, ``M`` one in megabytes, ``o`` a size, ``T`` a
time, ``b`` on or off, ``/`` a format, ``-x`` a flag, ``-xs`` a flag with a word.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["BadLine", "Scanner", "arguments"]

_MASK = (1 << 64) - 1
_MIB = 1 << 20
#: What is missing, by type.
_EXPECTED = {"F": "filename expected", "B": "block device name expected"}
_ESCAPES = {"n": "\n", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_SIZES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50, "e": 1 << 60}


class BadLine(Exception):
    """What QEMU prints instead of carrying the line out: lines, without the hint at the help."""


class Scanner:
    """A position in a line."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def blank(self) -> None:
        """Skip white space."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    @property
    def rest(self) -> str:
        """What follows."""
        return self.text[self.at :]

    @property
    def next(self) -> str:
        """The next character; empty at the end."""
        return self.text[self.at : self.at + 1]

    def word(self) -> str | None:
        """A word, perhaps in quotes; None at the end (get_str).

        Raises:
            BadLine: the quotes do not end; the text is for the caller to give.
        """
        self.blank()
        if not self.next:
            return None
        if self.next != '"':
            start = self.at
            while self.next and not self.next.isspace():
                self.at += 1
            return self.text[start : self.at]
        self.at += 1
        found: list[str] = []
        while self.next and self.next != '"':
            char = self.next
            if char == "\\":
                self.at += 1
                char = _ESCAPES.get(self.next, "")
                if not char:
                    raise BadLine("unsupported escape code")
            found.append(char)
            self.at += 1
        if self.next != '"':
            raise BadLine("unterminated string")
        self.at += 1
        return "".join(found)

    # -- expressions: sums of products of logical terms of units ---------------------------------------------

    def expression(self) -> int:
        """A 64-bit number (get_expr).

        Raises:
            BadLine: it is no expression.
        """
        self.blank()
        return self._sum(0)

    def _sum(self, depth: int) -> int:
        value = self._logic(depth)
        while self.next in ("+", "-"):
            sign = self._char()
            other = self._logic(depth)
            value = (value + other if sign == "+" else value - other) & _MASK
        return value

    def _logic(self, depth: int) -> int:
        value = self._product(depth)
        while self.next and self.next in "&|^":
            sign = self._char()
            other = self._product(depth)
            value = value & other if sign == "&" else value | other if sign == "|" else value ^ other
        return value

    def _product(self, depth: int) -> int:
        value = self._unit(depth)
        while self.next and self.next in "*/%":
            sign = self._char()
            other = self._unit(depth)
            if sign == "*":
                value = value * other & _MASK
                continue
            if other == 0:
                raise BadLine("division by zero")
            value = value // other if sign == "/" else value % other
        return value

    def _char(self) -> str:
        char = self.next
        self.at += 1
        self.blank()
        return char

    def _unit(self, depth: int) -> int:
        char = self.next
        if depth > 100:
            raise BadLine("expression is too deep")
        if char in ("+", "-", "~"):
            self._char()
            value = self._unit(depth + 1)
            return value if char == "+" else (-value if char == "-" else ~value) & _MASK
        if char == "(":
            self._char()
            value = self._sum(depth + 1)
            if self.next != ")":
                raise BadLine("')' expected")
            self._char()
            return value
        if char == "'":
            value = ord(self.text[self.at + 1 : self.at + 2] or "\0")
            self.at += 2
            if self.next != "'":
                raise BadLine("missing terminating ' character")
            self._char()
            return value & 0xFF
        if char == "$":
            self.at += 1
            while self.next and (self.next.isalnum() or self.next in "_.:"):
                self.at += 1
            self.blank()
            raise BadLine("unknown register")
        if not char:
            raise BadLine("unexpected end of expression")
        return self._number()

    def _number(self) -> int:
        text = self.text[self.at : self.at + 24].lower()
        base, digits, skip = 10, "0123456789", 0
        if text[:2] == "0x":
            base, digits, skip = 16, "0123456789abcdef", 2
        elif text[:1] == "0":
            base, digits = 8, "01234567"
        length = skip
        while length < len(text) and text[length] in digits:
            length += 1
        if length == skip:
            if not skip:
                raise BadLine(f"invalid char '{self.next}' in expression")
            self.at += 1  # a 0, and an x that belongs to nothing
            return 0
        self.at += length
        self.blank()
        return int(text[skip:length], base) & _MASK


def arguments(
    name: str, types: str, text: str, *, label: str, layout: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Read the arguments of a command.

    Args:
        name: of the command, for messages.
        types: QEMU's argument types.
        text: what follows the command's name.
        label: its name with its short forms, as one message wants it.
        layout: format and size that the last command with a format had; changed by one that has one.

    Raises:
        BadLine: QEMU would print this instead.
    """
    scanner = Scanner(text)
    found: dict[str, Any] = {}
    fields = [field.split(":", 1) for field in types.split(",")] if types else []
    flags = "".join(kind[1] for _, kind in fields if kind.startswith("-"))
    for key, kind in fields:
        scanner.blank()
        if kind.startswith("-"):
            _flag(scanner, name, [key, kind], flags, found)
        else:
            _one(scanner, name, key, kind, found)
            if kind == "/":
                _settle(found, {} if layout is None else layout)
    scanner.blank()
    if scanner.next:
        raise BadLine(f"{label}: extraneous characters at the end of line")
    return found


def _one(  # noqa: C901 - one branch for each kind of argument
    scanner: Scanner, name: str, key: str, kind: str, found: dict[str, Any]
) -> None:
    """Read one argument."""
    optional = kind.endswith("?")
    letter = kind.rstrip("?.")
    if letter == "/":
        _format(scanner, found)
    elif letter in ("s", "F", "B"):
        expected = f"{name}: {_EXPECTED.get(letter, 'string expected')}"
        try:
            word = scanner.word()
        except BadLine:
            raise BadLine(expected) from None
        if word is not None:
            found[key] = word
        elif not optional:
            raise BadLine(expected)
    elif letter == "O":
        found[key] = scanner.word() or ""
    elif letter == "S":
        if scanner.rest:
            found[key] = scanner.rest
            scanner.at = len(scanner.text)
        elif not optional:
            raise BadLine(f"{name}: string expected")
    elif not (optional and not scanner.next):
        found[key] = _value(scanner, letter)


def _value(scanner: Scanner, letter: str) -> Any:
    if letter == "b":
        word = scanner.word()
        if word not in ("on", "off"):
            raise BadLine("Expected 'on' or 'off'")
        return word == "on"
    if letter == "o":
        return _size(scanner)
    value = scanner.expression()
    if letter == "i" and value >> 32 not in (0, 0xFFFFFFFF):
        raise BadLine("integer is for 32-bit values")
    signed = value - (1 << 64) if value >> 63 else value
    if letter == "M":
        if signed < 0:
            raise BadLine("enter a positive value")
        return signed * _MIB
    return signed


def _size(scanner: Scanner) -> int:
    word = scanner.word() or ""
    digits = word.rstrip("bkmgtpeBKMGTPE")
    if not digits.isdigit() or len(word) - len(digits) > 1:
        raise BadLine("invalid size")
    return int(digits) * (_SIZES[word[-1].lower()] if len(word) > len(digits) else _MIB)


def _flag(scanner: Scanner, name: str, field: list[str], flags: str, found: dict[str, Any]) -> None:
    key, letter = field
    if scanner.next != "-":
        return
    following = scanner.text[scanner.at + 1 : scanner.at + 2]
    if following != letter[1]:
        if following not in flags:
            raise BadLine(f"{name}: unsupported option -{following}")
        return
    scanner.at += 2
    if len(letter) == 2:
        found[key] = True
        return
    word = scanner.word()
    if word is None:
        raise BadLine(f"{name}: value expected for -{letter[1]}")
    found[key] = word


def _format(scanner: Scanner, found: dict[str, Any]) -> None:
    """``/COUNT FORMAT SIZE`` of the commands that show memory."""
    found.update({"count": 1, "format": None, "size": None, "given": scanner.next == "/"})
    if not found["given"]:
        return
    scanner.at += 1
    digits = ""
    while scanner.next.isdigit():
        digits += scanner.next
        scanner.at += 1
    if digits:
        found["count"] = int(digits)
    while scanner.next and not scanner.next.isspace():
        char = scanner.next
        if char in "oxduci":
            found["format"] = char
        elif char in "bhwgL":
            found["size"] = {"b": 1, "h": 2, "w": 4, "g": 8, "L": 8}[char]
        else:
            raise BadLine(f"invalid char in format: '{char}'")
        scanner.at += 1


def _settle(found: dict[str, Any], layout: dict[str, Any]) -> None:
    """What a format leaves open is as it was the last time (default_fmt_format, default_fmt_size)."""
    shape = found["format"] or layout.get("format", "x")
    size = found["size"] or (0 if shape == "i" else layout.get("size", 4))
    found["format"], found["size"] = shape, size
    if found.pop("given"):
        layout["format"] = shape
        if size:
            layout["size"] = size
