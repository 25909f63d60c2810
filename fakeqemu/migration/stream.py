"""The stream between two machines: a magic, a version, and sections with a length and a checksum.

Knows bytes. Must not know what a section is good for, nor the other end. The format is the fake's own: a QEMU
that reads it says "Not a migration stream", and so does the fake when it reads a QEMU's.

    magic b"FAKEQEMU", version (4 bytes), then section after section:
    kind (1 byte), length (4 bytes), payload (JSON), CRC-32 of kind, length and payload (4 bytes)

Numbers are big-endian. A page of the guest is never sent: pages are described in runs.
"""

from __future__ import annotations

from fakeqemu.protocol.qjson import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CONFIG", "END", "HEADER", "MEMORY", "PART", "RECOVER", "RUN", "STATUS", "Reader", "StreamError",
    "section",
]  # fmt: skip

MAGIC, VERSION = b"FAKEQEMU", 1
HEADER = MAGIC + VERSION.to_bytes(4, "big")
#: Kinds of sections.
CONFIG, MEMORY, PART, RUN, END, RECOVER, STATUS = 1, 2, 3, 4, 5, 6, 7
#: No section is longer, and no more sections are taken.
LONGEST, MOST = 1 << 26, 1 << 20
_FRAME = 5


class StreamError(Exception):
    """The stream is not good: what QEMU prints about it, line by line, and the reason of the last line."""

    def __init__(self, reason: str, *lines: str) -> None:
        super().__init__(reason)
        self.reason, self.lines = reason, lines


def section(kind: int, value: Any) -> bytes:
    """The bytes of a section."""
    from zlib import crc32

    payload = encode(value).encode()
    framed = bytes((kind,)) + len(payload).to_bytes(4, "big") + payload
    return framed + crc32(framed).to_bytes(4, "big")


class Reader:
    """Takes bytes in as they come, gives sections out."""

    __slots__ = ("_buffer", "_header", "count")

    def __init__(self, *, header: bool = True) -> None:
        self._buffer = bytearray()
        self._header = header
        self.count = 0

    @property
    def begun(self) -> bool:
        """Whether the header has been read."""
        return not self._header

    def feed(self, data: bytes) -> list[tuple[int, Any]]:
        """Sections that are complete now: kind and value each.

        Raises:
            StreamError: these are not the bytes of such a stream.
        """
        self._buffer += data
        if self._header:
            self._check_header()
            if self._header:
                return []
        found: list[tuple[int, Any]] = []
        while True:
            one = self._next()
            if one is None:
                return found
            found.append(one)

    def _check_header(self) -> None:
        head = bytes(self._buffer[: len(HEADER)])
        magic = head[: len(MAGIC)]
        if magic != MAGIC[: len(magic)]:
            raise StreamError("Invalid argument", "Not a migration stream")
        if len(head) < len(HEADER):
            return
        if head != HEADER:
            raise StreamError("Operation not supported", "Unsupported migration stream version")
        self._header = False
        del self._buffer[: len(HEADER)]

    def _next(self) -> tuple[int, Any] | None:
        from json import loads
        from zlib import crc32

        buffer = self._buffer
        if len(buffer) < _FRAME:
            return None
        kind, length = buffer[0], int.from_bytes(buffer[1:_FRAME], "big")
        if not CONFIG <= kind <= STATUS or length > LONGEST or self.count >= MOST:
            raise StreamError("Invalid argument", f"Unknown savevm section type {kind}")
        end = _FRAME + length
        if len(buffer) < end + 4:
            return None
        framed = bytes(buffer[:end])
        if crc32(framed) != int.from_bytes(buffer[end : end + 4], "big"):
            raise StreamError("Invalid argument", "Missing section footer for ram")
        del buffer[: end + 4]
        self.count += 1
        try:
            return kind, loads(framed[_FRAME:])
        except (ValueError, RecursionError):
            raise StreamError("Invalid argument", f"Unknown savevm section type {kind}") from None
