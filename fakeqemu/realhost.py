"""This host, as the process driver sees it: disk images, last words, the names of processes.

Knows the system calls. Must not know the machine. On the start-up path.
"""

from __future__ import annotations

import posix

from fakeqemu.host import Host

__all__ = ["RealHost", "command_of", "reason", "write_all"]


class RealHost(Host):
    """Looks at the files of this host."""

    __slots__ = ()

    def file_error(self, path: str) -> str | None:
        """Why a disk image cannot be opened, in the system's words."""
        try:
            posix.close(posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC))
        except OSError as error:
            return error.strerror
        return None

    def virtual_size(self, path: str, *, raw: bool) -> int | None:
        """Size of the disk in an image: from a qcow2 header, or the size of the file in sectors."""
        try:
            fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return None
        try:
            head = posix.read(fd, 32)
            if not raw and head[:4] == b"QFI\xfb":
                return int.from_bytes(head[24:32], "big")
            return posix.fstat(fd).st_size // 512 * 512
        except OSError:
            return None
        finally:
            posix.close(fd)


def reason(error: OSError) -> str:
    """The system's words for an error."""
    return error.strerror or str(error)


def write_all(fd: int, text: str) -> None:
    """Write text to a standard stream; a stream that is closed swallows it."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        while data:
            data = data[posix.write(fd, data) :]
    except OSError:
        return  # nobody listens to our words


def command_of(pid: int) -> str:
    """The name a process was started under."""
    try:
        fd = posix.open(f"/proc/{pid}/cmdline", posix.O_RDONLY)
    except OSError:
        return "<unknown process>"
    try:
        return posix.read(fd, 4096).split(b"\0")[0].decode("utf-8", "replace")
    finally:
        posix.close(fd)
