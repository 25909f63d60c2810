"""What images hold, byte by byte: raw files, and chains of images above one another.

Knows which parts of a disk an image holds, and which it leaves to the image below. Must not know nodes, jobs,
nor the qcow2 format (`fakeqemu.block.images.mapping`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from fakeqemu.host import Host

    Fill: TypeAlias = Callable[[int, int], bytes]

__all__ = ["DATA", "NONE", "ZERO", "Chain", "Disk", "Place", "RawDisk", "Trouble"]

#: What an image says of a part of the disk: ask the image below; zeroes; it holds it.
NONE, ZERO, DATA = 0, 1, 2
#: Zeroes that are written at once.
PIECE = 1 << 20


class Trouble(Exception):
    """Bytes cannot be had or put.

    Attributes:
        text: the system's words, or ours about what is not modelled.
        operation: ``read`` or ``write``; None for something that trying again does not change.
    """

    def __init__(self, text: str, operation: str | None = None) -> None:
        super().__init__(text)
        self.text, self.operation = text, operation


class Place:
    """A file that is there."""

    __slots__ = ("host", "path")

    def __init__(self, host: Host, path: str) -> None:
        self.host, self.path = host, path

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of it, with zeroes behind its end.

        Raises:
            Trouble: it cannot be read.
        """
        data = self.host.read(self.path, offset, length)
        if data is None:
            raise Trouble("Input/output error", "read")
        return data if len(data) == length else data + bytes(length - len(data))

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Put bytes into it.

        Raises:
            Trouble: it cannot be written, in the system's words.
        """
        reason = self.host.write(self.path, bytes(data), offset=offset)
        if reason is not None:
            raise Trouble(reason, "write")

    def length(self) -> int:
        """How long it is."""
        return self.host.length(self.path) or 0


class Disk:
    """A disk that nobody knows: it leaves all to the image below, and takes nothing.

    Attributes:
        size: in bytes.
        bare: nothing is below it that would show through.
    """

    __slots__ = ("bare", "size")

    #: Whether somebody really keeps what is written.
    real = False

    def __init__(self, size: int) -> None:
        self.size, self.bare = size, True

    def status(self, offset: int, end: int) -> tuple[int, int]:
        """What is at an offset, and up to where (at most ``end``) it is the same."""
        del offset
        return NONE, end

    def read(self, offset: int, length: int) -> bytes:
        """Bytes that the image itself holds."""
        del offset
        return bytes(length)

    def write(self, offset: int, data: bytes, fill: Fill) -> None:
        """Put bytes into it; ``fill`` tells what a unit it has to begin shows besides."""

    def zero(self, offset: int, length: int, fill: Fill) -> None:
        """Make it show zeroes."""


class RawDisk(Disk):
    """A disk that is a file, or a part of one."""

    __slots__ = ("at", "place")

    real = True

    def __init__(self, place: Place, at: int, size: int) -> None:
        super().__init__(size)
        self.place, self.at = place, at

    def status(self, offset: int, end: int) -> tuple[int, int]:
        """Holes are zeroes."""
        start, stop = self._extent(offset)
        if start > offset:
            return ZERO, min(end, start)
        return DATA, min(end, stop)

    def _extent(self, offset: int) -> tuple[int, int]:
        """The next part that is no hole, from ``offset`` on."""
        found = self.place.host.next_data(self.place.path, self.at + offset)
        if found is None:
            return offset, self.size
        start, stop = found
        if stop <= start:  # only holes from here on
            return self.size, self.size
        return start - self.at, stop - self.at

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file."""
        return self.place.read(self.at + offset, length)

    def write(self, offset: int, data: bytes, fill: Fill) -> None:
        """Bytes into the file."""
        del fill
        self.place.write(self.at + offset, data)

    def zero(self, offset: int, length: int, fill: Fill) -> None:
        """Holes stay holes."""
        end = offset + length
        while offset < end:
            kind, stop = self.status(offset, end)
            while kind == DATA and offset < stop:
                piece = min(stop - offset, PIECE)
                self.write(offset, bytes(piece), fill)
                offset += piece
            offset = stop


class Chain:
    """Images above one another, the uppermost first."""

    __slots__ = ("disks",)

    def __init__(self, disks: list[Disk]) -> None:
        self.disks = disks

    @property
    def size(self) -> int:
        """Of the disk that is seen."""
        return self.disks[0].size

    def status(self, offset: int, end: int) -> tuple[int, int, int]:
        """What is at an offset: its kind, the number of the image that says so, and up to where.

        Behind the end of an image that is shorter than the one above it are zeroes, as if it held them.
        """
        for number, disk in enumerate(self.disks):
            if offset >= disk.size:
                return ZERO, number, end
            kind, stop = disk.status(offset, min(end, disk.size))
            end = min(end, stop)
            if kind != NONE:
                return kind, number, end
        return NONE, len(self.disks), end

    def read(self, offset: int, length: int) -> bytes:
        """What is seen from above; zeroes behind the end."""
        parts, end = [], min(offset + length, self.size)
        missing = length - max(end - offset, 0)
        while offset < end:
            kind, number, stop = self.status(offset, end)
            size = stop - offset
            parts.append(self.disks[number].read(offset, size) if kind == DATA else bytes(size))
            offset = stop
        return b"".join(parts) + bytes(missing)
