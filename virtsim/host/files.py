"""The host's file system.

Knows how to write so that a crash leaves the old or the new content, and how to read without being trapped by
a huge file, a FIFO or a device. Must not know what the files mean.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator

__all__ = ["MAX_FILE_SIZE", "LocalFiles"]

#: Largest file that `LocalFiles.read` returns, bytes. Nothing that the library keeps comes near it; a file
#: that does is not ours.
MAX_FILE_SIZE = 64 * 1024 * 1024

#: Names of files that `LocalFiles.write_atomic` has not finished; only a crash leaves one behind.
_UNFINISHED = ".virtsim-unfinished-"


class LocalFiles:
    """`virtsim.host.abc.Files` on the real file system; every OSError names its path."""

    def read(self, path: str) -> bytes:
        """The whole content of a regular file.

        Raises:
            OSError: as the system says; EFBIG beyond `MAX_FILE_SIZE`, EINVAL for a FIFO, socket or device.
        """
        with _opened(path) as descriptor:
            return _read(descriptor, MAX_FILE_SIZE, path)

    def read_tail(self, path: str, size: int) -> bytes:
        """The last ``size`` bytes of a regular file, or all of it when it is shorter.

        Raises:
            OSError: as for `read`, but a file of any length will do.
        """
        with _opened(path) as descriptor:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            start = max(0, end - size)
            # pread up to the end as it was seen: a log that grows meanwhile must not make this loop endless.
            chunks: list[bytes] = []
            while start < end:
                chunk = os.pread(descriptor, end - start, start)
                if not chunk:
                    break
                chunks.append(chunk)
                start += len(chunk)
            return b"".join(chunks)

    def write_atomic(self, path: str, data: bytes) -> None:
        """Replace the content of ``path``; a crash at any instruction leaves the old or the new content.

        The file gets mode 0600. On failure the old content stands and nothing else is left behind.

        Raises:
            OSError: the directory is missing, not writable, or the disk is full.
        """
        directory = os.path.dirname(path)
        try:
            descriptor, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=directory)
        except OSError as error:
            raise _named(error, path) from None
        try:
            try:
                _write(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(unfinished, path)
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            if isinstance(error, OSError):
                raise _named(error, path) from None
            raise
        # The rename itself is on disk only once its directory is.
        _sync_directory(directory)

    def unlink(self, path: str) -> None:
        """Remove a file or socket. Raises FileNotFoundError when there is none."""
        os.unlink(path)

    def exists(self, path: str) -> bool:
        """Whether there is anything of that name; a symbolic link counts by itself."""
        return os.path.lexists(path)

    def make_dirs(self, path: str) -> None:
        """Make a directory and what is missing above it, each with mode 0700; fine if it is there already.

        Raises:
            OSError: FileExistsError when it is a file, NotADirectoryError below one, EACCES and so on.
        """
        missing: list[str] = []
        upper = path
        while not os.path.lexists(upper):
            missing.append(upper)
            upper = os.path.dirname(upper)
        for directory in reversed(missing):
            with contextlib.suppress(FileExistsError):  # somebody else was faster
                os.mkdir(directory, 0o700)
        if not os.path.isdir(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)

    def remove_dir(self, path: str) -> None:
        """Remove an empty directory; what a crash left of `write_atomic` in it does not count.

        Raises:
            OSError: FileNotFoundError, or ENOTEMPTY.
        """
        for entry in os.listdir(path):
            if entry.startswith(_UNFINISHED):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(path, entry))
        os.rmdir(path)

    def list_dir(self, path: str) -> list[str]:
        """Names in a directory, sorted, without what a crash left of `write_atomic`.

        Raises:
            OSError: FileNotFoundError, NotADirectoryError.
        """
        return sorted(entry for entry in os.listdir(path) if not entry.startswith(_UNFINISHED))


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    # O_NONBLOCK: opening a FIFO must not wait for somebody to write to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "not a regular file", path)
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, limit: int, path: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := os.read(descriptor, 1024 * 1024):
        size += len(chunk)
        if size > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        chunks.append(chunk)
    return b"".join(chunks)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(error: OSError, path: str) -> OSError:
    """The same error, about the file that the caller knows and not about the temporary one."""
    number = error.errno or errno.EIO
    return OSError(number, os.strerror(number), path)
