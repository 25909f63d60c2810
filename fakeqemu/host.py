"""What a machine may ask of the world around it, without waiting.

Knows the questions. Must not know any answer but that of an empty world: a driver hands in one that looks at
real files (`fakeqemu.driver.realhost`) or at those of a simulation. On the start-up path.
"""

from __future__ import annotations

__all__ = ["Host"]


class Host:
    """A world without files, in which every file that is asked for may be imagined.

    Errors are the system's words ("No such file or directory"), never exceptions; None means that all is well
    or that nothing is known.
    """

    __slots__ = ()

    def file_error(self, path: str) -> str | None:
        """Why a disk image cannot be opened, in the system's words; None when it can (or need not exist)."""
        del path
        return None

    def kind(self, path: str) -> str | None:
        """What a path leads to: ``file``, ``directory``, ``device`` or ``other``; None: it is imaginary."""
        del path
        return None

    def read(self, path: str, offset: int, length: int) -> bytes | None:
        """Bytes of a file, fewer at its end; None when it cannot be read or is imaginary."""
        del path, offset, length
        return None

    def write(self, path: str, data: bytes, *, offset: int = 0, truncate: bool = False) -> str | None:
        """Write into a file, which is created when it is absent; why it cannot be done, or None."""
        del path, data, offset, truncate
        return None

    def resize(self, path: str, size: int) -> str | None:
        """Give a file a size; it is sparse where nothing was written."""
        del path, size
        return None

    def length(self, path: str) -> int | None:
        """How long a file is; None when it is imaginary."""
        del path
        return None

    def allocated(self, path: str) -> int | None:
        """Bytes a file takes up on its disk; None when it is imaginary."""
        del path
        return None

    def next_data(self, path: str, offset: int) -> tuple[int, int] | None:
        """The next part of a file that is no hole, from an offset on: its begin and end, equal for none.

        None when it is imaginary, or when nobody knows its holes.
        """
        del path, offset
        return None

    def socket_path(self, fd: int) -> str | None:
        """Where an inherited listener is bound; None when that is not known."""
        del fd
        return None

    def thread_ids(self, number: int, pid: int) -> list[int]:
        """Ids of threads of the process, one for each CPU; they stay while the machine lives."""
        return [pid + 1 + index for index in range(number)]

    def kvm(self) -> bool:
        """Whether this host would let a QEMU use KVM."""
        return False
