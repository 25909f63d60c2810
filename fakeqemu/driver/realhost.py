"""This host, as the process driver sees it: files, threads, last words, the names of processes.

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

    def kind(self, path: str) -> str | None:
        """What a path leads to; None when it leads nowhere."""
        try:
            mode = posix.stat(path).st_mode >> 12
        except OSError:
            return None
        return {8: "file", 4: "directory", 2: "device", 6: "device"}.get(mode, "other")

    def read(self, path: str, offset: int, length: int) -> bytes | None:
        """Bytes of a file."""
        try:
            fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return None
        try:
            return posix.pread(fd, length, offset)
        except OSError:
            return None
        finally:
            posix.close(fd)

    def write(self, path: str, data: bytes, *, offset: int = 0, truncate: bool = False) -> str | None:
        """Write into a file, which is created when it is absent."""
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC | (posix.O_TRUNC if truncate else 0)
        try:
            fd = posix.open(path, flags, 0o644)
        except OSError as error:
            return reason(error)
        try:
            view = memoryview(data)
            while view:
                written = posix.pwrite(fd, view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            return reason(error)
        finally:
            posix.close(fd)
        return None

    def resize(self, path: str, size: int) -> str | None:
        """Give a file a size."""
        try:
            posix.truncate(path, size)
        except OSError as error:
            return reason(error)
        return None

    def length(self, path: str) -> int | None:
        """How long a file is; a block device as long as its end is far."""
        try:
            fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return None
        try:
            return posix.lseek(fd, 0, 2)
        except OSError:
            return None
        finally:
            posix.close(fd)

    def allocated(self, path: str) -> int | None:
        """Bytes a file takes up on its disk."""
        try:
            return posix.stat(path).st_blocks * 512
        except OSError:
            return None

    def next_data(self, path: str, offset: int) -> tuple[int, int] | None:
        """The next part of a file that is no hole; None where the file system does not say."""
        from errno import ENXIO

        try:
            fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return None
        try:
            start = posix.lseek(fd, offset, posix.SEEK_DATA)
            return start, posix.lseek(fd, start, posix.SEEK_HOLE)
        except OSError as error:
            return (offset, offset) if error.errno == ENXIO else None
        finally:
            posix.close(fd)

    def socket_path(self, fd: int) -> str | None:
        """Where an inherited listener is bound."""
        from _socket import socket

        try:
            listener = socket(fileno=posix.dup(fd))
        except OSError:
            return None
        try:
            name = listener.getsockname()
        finally:
            listener.close()
        return name if isinstance(name, str) and name else None

    def thread_ids(self, number: int, pid: int) -> list[int]:
        """Ids of threads that are there for no other reason than to have them; they wait for ever."""
        del pid
        if len(_threads) < number:
            from fakeqemu.driver.threads import start

            _threads.extend(start(number - len(_threads)))
        return _threads[:number]

    def kvm(self) -> bool:
        """Whether KVM's device can be used."""
        try:
            posix.close(posix.open("/dev/kvm", posix.O_RDWR | posix.O_CLOEXEC))
        except OSError:
            return False
        return True


#: Ids of the threads of this process that stand for CPUs.
_threads: list[int] = []


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
