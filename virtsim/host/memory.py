"""A file system that exists only in memory; the `Files` of a simulated run.

Knows directories, files and the names of sockets. Must not know what a socket is: its node is anybody's.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable

__all__ = ["MemoryFiles"]


class _Directory:
    """A directory: the names in it, in order of creation."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[str, None] = {}


class _Socket:
    """A socket file."""

    __slots__ = ("node",)

    def __init__(self, node: object) -> None:
        self.node = node


class MemoryFiles:
    """Implements `virtsim.host.abc.Files`; errors are those of Linux. Paths are absolute.

    Attributes:
        on_socket_unlinked: called with the path when a socket file has been removed.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, _Directory | _Socket | bytearray] = {"/": _Directory()}
        self._watchers: dict[str, list[Callable[[], None]]] = {}
        self.on_socket_unlinked: Callable[[str], None] | None = None

    # -- Files

    def read(self, path: str) -> bytes:
        """The whole file. Raises FileNotFoundError, IsADirectoryError."""
        return bytes(self._file(path))

    def read_tail(self, path: str, size: int) -> bytes:
        """The last ``size`` bytes of the file."""
        data = self._file(path)
        return bytes(data[max(0, len(data) - size) :])

    def write_atomic(self, path: str, data: bytes) -> None:
        """Replace the file by ``data``, or create it. A failure leaves the old one."""
        path = _clean(path)
        if isinstance(self._nodes.get(path), _Directory):
            raise _error(errno.EISDIR, path)
        self._put(path, bytearray(data))

    def append(self, path: str, data: bytes) -> None:
        """Add ``data`` to the end of the file, which is created when it is not there."""
        path = _clean(path)
        node = self._nodes.get(path)
        if node is None:
            self._put(path, bytearray(data))
        elif isinstance(node, bytearray):
            node += data
        else:
            raise _error(errno.EISDIR if isinstance(node, _Directory) else errno.ENXIO, path)

    def unlink(self, path: str) -> None:
        """Remove a file or socket file. Raises FileNotFoundError, IsADirectoryError."""
        path = _clean(path)
        node = self._nodes.get(path)
        if node is None:
            raise self._missing(path)
        if isinstance(node, _Directory):
            raise _error(errno.EISDIR, path)
        self._drop(path)
        if isinstance(node, _Socket) and self.on_socket_unlinked is not None:
            self.on_socket_unlinked(path)

    def discard(self, path: str) -> None:
        """As `unlink`, of something whose coming and going nobody is told of."""
        self._drop(_clean(path))

    def exists(self, path: str) -> bool:
        """Whether anything has that path."""
        return _clean(path) in self._nodes

    def make_dirs(self, path: str) -> None:
        """Create a directory and its parents. Raises FileExistsError, NotADirectoryError: a file is there."""
        path = _clean(path)
        node = self._nodes.get(path)
        if isinstance(node, _Directory):
            return
        if node is not None:
            raise _error(errno.EEXIST, path)
        parent = posixpath.dirname(path)
        if parent not in self._nodes:
            self.make_dirs(parent)
        self._put(path, _Directory())

    def remove_dir(self, path: str) -> None:
        """Remove an empty directory. Raises FileNotFoundError, NotADirectoryError, OSError (ENOTEMPTY)."""
        path = _clean(path)
        if self._directory(path).names:
            raise _error(errno.ENOTEMPTY, path)
        self._drop(path)

    def list_dir(self, path: str) -> list[str]:
        """The names in a directory, sorted. Raises FileNotFoundError, NotADirectoryError."""
        return sorted(self._directory(_clean(path)).names)

    # -- for the net and for checks

    def nodes(self) -> list[str]:
        """Every path but the root, sorted."""
        return sorted(path for path in self._nodes if path != "/")

    def files(self) -> list[str]:
        """The paths of all ordinary files, sorted."""
        return sorted(path for path, node in self._nodes.items() if isinstance(node, bytearray))

    def sockets(self) -> list[str]:
        """The paths of all socket files, sorted."""
        return sorted(path for path, node in self._nodes.items() if isinstance(node, _Socket))

    def add_socket(self, path: str, node: object) -> None:
        """Create a socket file. Raises FileExistsError, FileNotFoundError, NotADirectoryError."""
        path = _clean(path)
        if path in self._nodes:
            raise _error(errno.EEXIST, path)
        self._put(path, _Socket(node))

    def socket(self, path: str) -> object | None:
        """What `add_socket` was given, or None for anything else. Raises FileNotFoundError."""
        found = self._nodes.get(path)
        if found is None and (found := self._nodes.get(_clean(path))) is None:
            raise self._missing(path)
        return found.node if isinstance(found, _Socket) else None

    def absence(self, path: str) -> Callable[[], bool]:
        """A quick question to be asked many times: is nothing there, although the directory is?"""
        path = _clean(path)
        nodes, parent = self._nodes, path.rpartition("/")[0] or "/"

        def absent() -> bool:
            return path not in nodes and type(nodes.get(parent)) is _Directory

        return absent

    def watch(self, path: str, callback: Callable[[], None]) -> None:
        """Call ``callback`` each time that something is created under that path."""
        self._watchers.setdefault(_clean(path), []).append(callback)

    def unwatch(self, path: str, callback: Callable[[], None]) -> None:
        """Take back a `watch`."""
        path = _clean(path)
        callbacks = self._watchers[path]
        callbacks.remove(callback)
        if not callbacks:
            del self._watchers[path]

    # -- inside

    def _file(self, path: str) -> bytearray:
        node = self._nodes.get(_clean(path))
        if isinstance(node, bytearray):
            return node
        if node is None:
            raise self._missing(path)
        raise _error(errno.EISDIR if isinstance(node, _Directory) else errno.ENXIO, path)

    def _directory(self, path: str) -> _Directory:
        node = self._nodes.get(path)
        if isinstance(node, _Directory):
            return node
        raise self._missing(path) if node is None else _error(errno.ENOTDIR, path)

    def _missing(self, path: str) -> OSError:
        """Why there is nothing at that path: it is not there, or a file stands where a directory should."""
        parent = path.rpartition("/")[0]
        while parent:
            node = self._nodes.get(parent)
            if isinstance(node, _Directory):
                break
            if node is not None:
                return _error(errno.ENOTDIR, path)
            parent = parent.rpartition("/")[0]
        return FileNotFoundError(errno.ENOENT, "No such file or directory", path)

    def _put(self, path: str, node: _Directory | _Socket | bytearray) -> None:
        parent, name = posixpath.split(path)
        directory = self._nodes.get(parent)
        if not isinstance(directory, _Directory):
            raise self._missing(path)
        created = path not in self._nodes
        directory.names[name] = None
        self._nodes[path] = node
        if created and path in self._watchers:
            for callback in list(self._watchers[path]):
                callback()

    def _drop(self, path: str) -> None:
        parent, name = posixpath.split(path)
        if path == "/":
            raise _error(errno.EBUSY, path)
        directory = self._nodes[parent]
        if isinstance(directory, _Directory):
            del directory.names[name]
        del self._nodes[path]


def _clean(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"not an absolute path: {path!r}")
    if "//" in path or "/." in path or (path[-1] == "/" and path != "/"):
        return posixpath.normpath("/" + path.lstrip("/"))
    return path


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
