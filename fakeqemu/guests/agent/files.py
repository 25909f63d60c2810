"""The files that clients of the agent have open.

Knows qga/commands-posix.c of QEMU 7.2: modes, handles and what stdio says. Must not know where contents are
kept.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.guests.system import System

__all__ = ["Handles"]

MAX_HANDLES = 1024
#: The largest piece that may be read at once (GUEST_FILE_READ_COUNT_MAX), and the usual one.
MAX_READ = 48 << 20
USUAL_READ = 4096
_MODES = (
    "r", "rb", "w", "wb", "a", "ab", "r+", "rb+", "r+b", "w+", "wb+", "w+b", "a+", "ab+", "a+b",
)  # fmt: skip


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


class _File:
    """One open file."""

    __slots__ = ("appends", "eof", "path", "position", "reads", "writes")

    def __init__(self, path: str, mode: str) -> None:
        self.path, self.position, self.eof = path, 0, False
        self.reads = mode[0] == "r" or "+" in mode
        self.writes = mode[0] in "wa" or "+" in mode
        self.appends = mode[0] == "a"


class Handles:
    """The open files by their handles."""

    __slots__ = ("_files", "_next", "_system")

    def __init__(self, system: System) -> None:
        self._system = system
        self._files: dict[int, _File] = {}
        self._next = 1000

    def open(self, path: str, mode: str = "r") -> int:
        """A handle for a file.

        Raises:
            CommandError: it cannot be opened.
        """
        if mode not in _MODES:
            raise _error(f"invalid file open mode '{mode}'")
        system, writes = self._system, mode[0] != "r"
        reason = system.reason(path, create=writes or "+" in mode)
        if reason is None and mode[0] == "r" and path not in system.files and not system.is_directory(path):
            reason = "No such file or directory"
        if reason is None and len(self._files) >= MAX_HANDLES:
            reason = "Too many open files"
        if reason is not None:
            raise _error(f"failed to open file '{path}' (mode: '{mode}'): {reason}")
        if mode[0] == "w" or (writes and path not in system.files):
            system.store(path, b"")
        handle, self._next = self._next, self._next + 1
        self._files[handle] = _File(path, mode)
        return handle

    def saved(self) -> dict[str, Any]:
        """What moves with the guest."""
        files = [
            [handle, file.path, file.position, file.reads, file.writes, file.appends]
            for handle, file in self._files.items()
        ]
        return {"next": self._next, "files": files}

    def restored(self, value: dict[str, Any]) -> None:
        """Take over what came with the guest."""
        self._next = int(value["next"])
        for handle, path, position, *allowed in value["files"][:MAX_HANDLES]:
            file = self._files[int(handle)] = _File(str(path), "r")
            file.position = int(position)
            file.reads, file.writes, file.appends = (one is True for one in allowed)

    def _file(self, handle: int) -> _File:
        found = self._files.get(handle)
        if found is None:
            raise _error(f"handle '{handle}' has not been found")
        return found

    def close(self, handle: int) -> None:
        """Give a handle back."""
        self._file(handle)
        del self._files[handle]

    def flush(self, handle: int) -> None:
        """Nothing waits to be written."""
        self._file(handle)

    def read(self, handle: int, count: int | None) -> tuple[bytes, bool]:
        """Bytes, and whether the file has ended."""
        file = self._file(handle)
        wanted = USUAL_READ if count is None else count
        if not 0 <= wanted <= MAX_READ:
            raise _error(f"value '{wanted}' is invalid for argument count")
        if not file.reads:
            raise _error("failed to read file: Bad file descriptor")
        if self._system.is_directory(file.path):
            raise _error("failed to read file: Is a directory")
        data = self._system.files.get(file.path, b"")[file.position : file.position + wanted]
        file.position += len(data)
        file.eof = len(data) < wanted
        return data, file.eof

    def write(self, handle: int, data: bytes, count: int | None) -> int:
        """How many bytes were written."""
        file = self._file(handle)
        wanted = len(data) if count is None else count
        if not 0 <= wanted <= len(data):
            raise _error(f"value '{wanted}' is invalid for argument count")
        if not file.writes:
            raise _error("failed to write to file: Bad file descriptor")
        old = self._system.files.get(file.path, b"")
        at = len(old) if file.appends else file.position
        new = old[:at].ljust(at, b"\0") + data[:wanted] + old[at + wanted :]
        reason = self._system.store(file.path, new)
        if reason is not None:
            raise _error(f"failed to write to file: {reason}")
        file.position = at + wanted
        return wanted

    def seek(self, handle: int, offset: int, whence: Any) -> tuple[int, bool]:
        """The new place, and whether the file's end was seen there: never."""
        file = self._file(handle)
        code = {"set": 0, "cur": 1, "end": 2}.get(whence, whence)
        if code not in (0, 1, 2):
            raise _error(f"invalid whence code {code}")
        length = len(self._system.files.get(file.path, b""))
        position = offset + (0, file.position, length)[code]
        if not 0 <= position < 1 << 63:
            raise _error("failed to seek file: Invalid argument")
        file.position, file.eof = position, False
        return position, False
