"""Pictures of a screen, as PPM and as PNG.

Knows text modes and two file formats. Must not know whose screen it is. The picture is what ``screendump`` of
QEMU 7.2 writes: 8 bits each of red, green and blue.
"""

from __future__ import annotations

from fakeqemu.displays.font import glyph

__all__ = ["COLUMNS", "ROWS", "draw", "png", "ppm"]

#: The text mode of a VGA: 80 by 25 letters of 9 by 16 dots.
COLUMNS, ROWS = 80, 25
_CELL_WIDTH, _CELL_HEIGHT = 9, 16
_INK, _PAPER = b"\xaa\xaa\xaa", b"\x00\x00\x00"
#: A screen on which nothing was ever drawn.
BLANK = (640, 480)

_rows: dict[str, list[bytes]] = {}


def draw(lines: list[str] | None) -> tuple[int, int, list[bytes]]:
    """Width, height and the rows of pixels of a screen with text; of a blank one for None."""
    if lines is None:
        width, height = BLANK
        return width, height, [_PAPER * width] * height
    width, height = COLUMNS * _CELL_WIDTH, ROWS * _CELL_HEIGHT
    rows: list[bytes] = []
    for index in range(ROWS):
        text = lines[index][:COLUMNS] if index < len(lines) else ""
        cells = [_cell(letter) for letter in text]
        rest = _PAPER * (_CELL_WIDTH * (COLUMNS - len(text)))
        rows += [b"".join([cell[row] for cell in cells]) + rest for row in range(_CELL_HEIGHT)]
    return width, height, rows


def _cell(letter: str) -> list[bytes]:
    """The rows of pixels of one letter, whose dots are twice as high as wide."""
    found = _rows.get(letter)
    if found is None:
        blank = _PAPER * _CELL_WIDTH
        found = [blank]
        for bits in glyph(letter):
            row = b"".join(_INK if bits >> (4 - dot) & 1 else _PAPER for dot in range(5))
            found += [_PAPER * 2 + row + _PAPER * 2] * 2
        found.append(blank)
        if len(_rows) < 256:
            _rows[letter] = found
    return found


def ppm(lines: list[str] | None) -> bytes:
    """The picture as a portable pixmap."""
    width, height, rows = draw(lines)
    return f"P6\n{width} {height}\n255\n".encode() + b"".join(rows)


def png(lines: list[str] | None) -> bytes:
    """The picture as a PNG."""
    from struct import pack
    from zlib import compress, crc32

    width, height, rows = draw(lines)

    def chunk(name: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + name + data + pack(">I", crc32(name + data))

    header = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = compress(b"".join([b"\x00" + row for row in rows]), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
