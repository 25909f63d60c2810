"""Files on the host and files in memory behave alike, errors included."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from virtsim.host.abc import Files
from virtsim.host.files import LocalFiles
from virtsim.host.memory import MemoryFiles


@pytest.fixture(params=[LocalFiles, MemoryFiles])
def files(request: pytest.FixtureRequest) -> Files:
    return request.param()


@pytest.fixture
def home(files: Files, tmp_path: Path) -> str:
    """A directory with the file ``file`` and the directory ``dir`` with ``inner`` in it."""
    files.make_dirs(f"{tmp_path}/dir")
    files.write_atomic(f"{tmp_path}/file", b"0123456789")
    files.write_atomic(f"{tmp_path}/dir/inner", b"")
    return str(tmp_path)


def test_content_is_kept_and_replaced(files: Files, home: str) -> None:
    assert files.read(f"{home}/file") == b"0123456789"
    files.write_atomic(f"{home}/file", b"new")
    assert files.read(f"{home}/file") == b"new"
    assert files.read(f"{home}/dir/inner") == b""


@pytest.mark.parametrize(("size", "tail"), [(0, b""), (1, b"9"), (10, b"0123456789"), (11, b"0123456789")])
def test_a_tail_is_at_most_the_file(files: Files, home: str, size: int, tail: bytes) -> None:
    assert files.read_tail(f"{home}/file", size) == tail


def test_names_come_and_go(files: Files, home: str) -> None:
    assert files.list_dir(home) == ["dir", "file"]
    assert files.exists(f"{home}/file")
    assert files.exists(f"{home}/dir")
    files.unlink(f"{home}/file")
    files.unlink(f"{home}/dir/inner")
    files.remove_dir(f"{home}/dir")
    assert files.list_dir(home) == []
    assert not files.exists(f"{home}/file")
    assert not files.exists(f"{home}/file/below")


def test_directories_are_made_with_those_above_and_once(files: Files, home: str) -> None:
    files.make_dirs(f"{home}/a/b/c")
    files.make_dirs(f"{home}/a/b/c")
    files.make_dirs(f"{home}/a")

    assert files.list_dir(f"{home}/a/b") == ["c"]


FAILURES: dict[str, tuple[Callable[[Files, str], object], int]] = {
    "read missing": (lambda files, home: files.read(f"{home}/none"), errno.ENOENT),
    "read directory": (lambda files, home: files.read(f"{home}/dir"), errno.EISDIR),
    "tail missing": (lambda files, home: files.read_tail(f"{home}/none", 1), errno.ENOENT),
    "tail directory": (lambda files, home: files.read_tail(f"{home}/dir", 1), errno.EISDIR),
    "write over directory": (lambda files, home: files.write_atomic(f"{home}/dir", b""), errno.EISDIR),
    "write into missing": (lambda files, home: files.write_atomic(f"{home}/none/x", b""), errno.ENOENT),
    "write into file": (lambda files, home: files.write_atomic(f"{home}/file/x", b""), errno.ENOTDIR),
    "unlink missing": (lambda files, home: files.unlink(f"{home}/none"), errno.ENOENT),
    "unlink directory": (lambda files, home: files.unlink(f"{home}/dir"), errno.EISDIR),
    "list missing": (lambda files, home: files.list_dir(f"{home}/none"), errno.ENOENT),
    "list file": (lambda files, home: files.list_dir(f"{home}/file"), errno.ENOTDIR),
    "remove missing": (lambda files, home: files.remove_dir(f"{home}/none"), errno.ENOENT),
    "remove file": (lambda files, home: files.remove_dir(f"{home}/file"), errno.ENOTDIR),
    "remove full": (lambda files, home: files.remove_dir(f"{home}/dir"), errno.ENOTEMPTY),
    "directory over file": (lambda files, home: files.make_dirs(f"{home}/file"), errno.EEXIST),
    "directory in file": (lambda files, home: files.make_dirs(f"{home}/file/x"), errno.ENOTDIR),
}


@pytest.mark.parametrize("what", FAILURES)
def test_failures_are_those_of_linux_and_change_nothing(files: Files, home: str, what: str) -> None:
    call, number = FAILURES[what]
    with pytest.raises(OSError, match=r".") as caught:
        call(files, home)

    assert caught.value.errno == number
    assert str(caught.value.filename).startswith(home)
    assert files.list_dir(home) == ["dir", "file"]
    assert files.list_dir(f"{home}/dir") == ["inner"]
