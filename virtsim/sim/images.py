"""The files that fake QEMUs in one loop share: disk images, saved states, screenshots.

Knows sparse files. Must not know what is in them.

A file that no fake has written is whatever its readers imagine, unless it lies in the launcher's own files.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from fakeqemu.host import Host
from virtsim.host.abc import Files
from virtsim.host.memory import MemoryFiles

__all__ = ["SimHost"]

_PAGE = 1 << 16
#: What all files together may take up; then the disk is full.
_FULL = 1 << 28
#: Files up to this length are seen by whoever looks into the launcher's files, too.
_SHOWN = 1 << 20


class _File:
    """A sparse file: pages by number, zeroes elsewhere."""

    __slots__ = ("length", "pages")

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.length = 0

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + max(0, length), self.length)
        parts = []
        while offset < end:
            number, start = divmod(offset, _PAGE)
            size = min(_PAGE - start, end - offset)
            page = self.pages.get(number)
            parts.append(bytes(size) if page is None else bytes(page[start : start + size]))
            offset += size
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        self.length = max(self.length, offset + len(data))
        at = 0
        while at < len(data):
            number, start = divmod(offset + at, _PAGE)
            size = min(_PAGE - start, len(data) - at)
            page = self.pages.get(number)
            if page is None:
                page = self.pages[number] = bytearray(_PAGE)
            page[start : start + size] = data[at : at + size]
            at += size

    def next_data(self, offset: int) -> tuple[int, int]:
        later = sorted(number for number in self.pages if (number + 1) * _PAGE > offset)
        if not later:
            return offset, offset
        start = stop = later[0]
        for number in later[1:]:
            if number != stop + 1:
                break
            stop = number
        return max(offset, start * _PAGE), min((stop + 1) * _PAGE, self.length)

    def resize(self, size: int) -> None:
        for number in [number for number in self.pages if number * _PAGE >= size]:
            del self.pages[number]
        last, rest = divmod(size, _PAGE)
        if last in self.pages:
            self.pages[last][rest:] = bytes(_PAGE - rest)
        self.length = size


class SimHost(Host):
    """The host of a launcher's machines; all of them share it.

    Args:
        files: the launcher's files, in which the machines look as well.
    """

    __slots__ = ("_files", "_images", "_shown")

    def __init__(self, files: Files) -> None:
        self._files = files
        self._images: dict[str, _File] = {}
        self._shown: dict[str, None] = {}

    def read(self, path: str, offset: int, length: int) -> bytes | None:
        """Bytes of a file that is there."""
        file = self._find(path)
        if file is not None:
            return file.read(offset, length)
        data = self._given(path)
        return None if data is None else data[offset : offset + max(0, length)]

    def write(self, path: str, data: bytes, *, offset: int = 0, truncate: bool = False) -> str | None:
        """Write into a file, which is created when it is absent."""
        file = self._open(path)
        if self._taken() + len(data) > _FULL:
            return os.strerror(errno.ENOSPC)
        if truncate:
            file.resize(0)
        file.write(offset, data)
        self._show(path, file)
        return None

    def resize(self, path: str, size: int) -> str | None:
        """Give a file a size."""
        file = self._open(path)
        file.resize(size)
        self._show(path, file)
        return None

    def length(self, path: str) -> int | None:
        """How long a file is that is there."""
        file = self._find(path)
        if file is not None:
            return file.length
        data = self._given(path)
        return None if data is None else len(data)

    def allocated(self, path: str) -> int | None:
        """Bytes a file takes up."""
        file = self._find(path)
        return self.length(path) if file is None else len(file.pages) * _PAGE

    def next_data(self, path: str, offset: int) -> tuple[int, int] | None:
        """The next part of a file that is no hole."""
        file = self._find(path)
        if file is None:
            length = self.length(path)
            return None if length is None else (min(offset, length), length)
        return file.next_data(offset)

    def _find(self, path: str) -> _File | None:
        """A file that was written; not if somebody has removed it since."""
        if path in self._shown and not self._files.exists(path):
            del self._shown[path], self._images[path]
        return self._images.get(path)

    def _open(self, path: str) -> _File:
        file = self._find(path)
        if file is None:
            file = self._images[path] = _File()
            data = self._given(path)
            if data:
                file.write(0, data)
        return file

    def _given(self, path: str) -> bytes | None:
        if not isinstance(self._files, MemoryFiles) or not path.startswith("/"):
            return None
        try:
            return self._files.read(path)
        except OSError:
            return None

    def _show(self, path: str, file: _File) -> None:
        if isinstance(self._files, MemoryFiles) and file.length <= _SHOWN and path.startswith("/"):
            with suppress(OSError):
                self._files.write_atomic(path, file.read(0, file.length))
                self._shown[path] = None

    def _taken(self) -> int:
        return sum(len(file.pages) for file in self._images.values()) * _PAGE
