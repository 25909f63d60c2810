"""The files behind nodes: the host's, or imagined ones where the host knows none.

Knows which of the two a path is, and remembers what was written into imagined ones. Must not know formats or
nodes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.host import Host
    from fakeqemu.machine import FakeQemu

__all__ = ["Files"]

#: How long the file of a fresh qcow2 image is, and what it takes up.
EMPTY_LENGTH, EMPTY_ALLOCATED = 197120, 200704
#: Imagined bytes are kept up to this offset: the headers and tables of an image.
MAX_IMAGINED = 1 << 20
#: How many files may be imagined with contents.
MAX_FILES = 256


class Files:
    """The files one machine may open."""

    __slots__ = ("_imagined", "_strict", "host")

    def __init__(self, machine: FakeQemu) -> None:
        self.host: Host = machine.host
        self._strict = machine.script is None or machine.word("images") == "real"
        self._imagined: dict[str, bytearray] = {}

    def missing(self, path: str) -> str | None:
        """Why a file cannot be opened, in the system's words; an imaginary one always can."""
        if path in self._imagined:
            return None
        reason = self.host.file_error(path)
        return reason if self._strict else None

    def kind(self, path: str) -> str:
        """What it is: ``file``, ``directory``, ``device``, ``other``; an imaginary one is a file."""
        return (None if path in self._imagined else self.host.kind(path)) or "file"

    def known(self, path: str) -> bool:
        """Whether anybody knows what is inside."""
        return path in self._imagined or self.host.length(path) is not None

    def real(self, path: str) -> bool:
        """Whether it is a file of the host's, with bytes that last."""
        return path not in self._imagined and self.host.length(path) is not None

    def length(self, path: str) -> int | None:
        """How long it is; None when nobody knows."""
        made = self._imagined.get(path)
        if made is not None:
            return max(len(made), EMPTY_LENGTH)
        return self.host.length(path)

    def allocated(self, path: str) -> int:
        """What it takes up on the disk."""
        found = None if path in self._imagined else self.host.allocated(path)
        return EMPTY_ALLOCATED if found is None else found

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of it, fewer at its end."""
        made = self._imagined.get(path)
        if made is not None:
            return bytes(made[offset : offset + length])
        return self.host.read(path, offset, length) or b""

    def write(self, path: str, data: bytes, *, offset: int = 0, truncate: bool = False) -> str | None:
        """Write into it, which creates it; why it cannot be done, or None."""
        if path not in self._imagined:
            reason = self.host.write(path, data, offset=offset, truncate=truncate)
            if reason is not None and self._strict:
                return reason
            if reason is None and self.host.length(path) is not None:
                return None
        if len(self._imagined) < MAX_FILES or path in self._imagined:
            made = self._imagined.setdefault(path, bytearray())
            if truncate:
                del made[:]
            end = offset + len(data)
            if end <= MAX_IMAGINED:
                made += bytes(max(0, end - len(made)))
                made[offset:end] = data
        return None

    def resize(self, path: str, size: int) -> str | None:
        """Give it a length; why it cannot be done, or None."""
        return None if path in self._imagined else self.host.resize(path, size)
