"""LocalFiles: old or new content after a crash, and no trap in what is read."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from virtsim.host import files as module
from virtsim.host.files import LocalFiles

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def files() -> LocalFiles:
    return LocalFiles()


def test_what_was_written_is_read(files: LocalFiles, tmp_path: Path) -> None:
    path = str(tmp_path / "state.xml")
    files.write_atomic(path, b"old")
    files.write_atomic(path, b"new" * 1000)

    assert files.read(path) == b"new" * 1000
    assert files.list_dir(str(tmp_path)) == ["state.xml"]
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_content_and_nothing_else(
    files: LocalFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = str(tmp_path / "state.xml")
    files.write_atomic(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "temporary name says nothing", "/elsewhere")

    monkeypatch.setattr(module.os, call, full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        files.write_atomic(path, b"new")
    monkeypatch.undo()

    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, path)
    assert [each.name for each in tmp_path.iterdir()] == ["state.xml"]
    assert files.read(path) == b"old"


@pytest.mark.parametrize("call", ["write", "fsync", "close", "replace"])
def test_a_crash_shows_the_old_or_the_new_content_never_less(tmp_path: Path, call: str) -> None:
    path = tmp_path / "state.xml"
    path.write_bytes(b"old")
    # A process that dies in the system call: no handler of Python's runs.
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from virtsim.host.files import LocalFiles\n"
        f"os.{call} = lambda *_: os._exit(9)\n"
        "LocalFiles().write_atomic(sys.argv[2], b'new')"
    )
    child = subprocess.run([sys.executable, "-I", "-S", "-c", script, str(ROOT), str(path)], check=False)
    assert child.returncode == 9

    files = LocalFiles()
    assert files.read(str(path)) == b"old"
    assert files.list_dir(str(tmp_path)) == ["state.xml"]
    files.unlink(str(path))
    files.remove_dir(str(tmp_path))


def test_the_directory_is_synced_after_the_rename(
    files: LocalFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        calls.append(
            "fsync " + str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(str(tmp_path))[:9]
        )
        fsync(descriptor)

    def noted_replace(old: str, new: str) -> None:
        calls.append("rename")
        replace(old, new)

    monkeypatch.setattr(module.os, "fsync", noted_fsync)
    monkeypatch.setattr(module.os, "replace", noted_replace)
    files.write_atomic(str(tmp_path / "state.xml"), b"new")

    assert calls == ["fsync /.virtsim", "rename", "fsync "]


def test_a_missing_directory_is_named_by_the_path_asked_for(files: LocalFiles, tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere" / "state.xml")
    with pytest.raises(FileNotFoundError) as caught:
        files.write_atomic(path, b"")

    assert caught.value.filename == path


@pytest.mark.parametrize(("size", "tail"), [(0, b""), (3, b"789"), (9, b"123456789"), (100, b"123456789")])
def test_a_tail_is_the_end_of_the_file(files: LocalFiles, tmp_path: Path, size: int, tail: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"123456789")

    assert files.read_tail(str(path), size) == tail


def test_a_fifo_does_not_stop_the_program(files: LocalFiles, tmp_path: Path) -> None:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    for read in (files.read, lambda path: files.read_tail(path, 10)):
        with pytest.raises(OSError, match="not a regular file") as caught:
            read(path)
        assert caught.value.errno == errno.EINVAL


def test_a_huge_file_is_refused_but_its_tail_is_read(
    files: LocalFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge"
    path.write_bytes(b"x" * 101)
    monkeypatch.setattr(module, "MAX_FILE_SIZE", 100)
    with pytest.raises(OSError, match="File too large") as caught:
        files.read(str(path))

    assert caught.value.errno == errno.EFBIG
    assert files.read_tail(str(path), 2) == b"xx"


def test_errors_are_those_of_the_system(files: LocalFiles, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    for call in (files.read, files.unlink, files.list_dir, files.remove_dir):
        with pytest.raises(FileNotFoundError):
            call(missing)
    with pytest.raises(IsADirectoryError):
        files.read(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="not empty") as caught:
        files.remove_dir(str(tmp_path))
    assert caught.value.errno == errno.ENOTEMPTY


def test_directories_are_made_private_and_sorted_names_listed(files: LocalFiles, tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b")
    files.make_dirs(path)
    files.make_dirs(path)
    for name in ("z", "y", "x"):
        files.write_atomic(f"{path}/{name}", b"")

    assert [stat.S_IMODE(each.stat().st_mode) for each in (Path(path), tmp_path / "a")] == [0o700] * 2
    assert files.list_dir(path) == ["x", "y", "z"]


def test_a_dangling_link_exists(files: LocalFiles, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")

    assert files.exists(str(link))
    assert not files.exists(str(tmp_path / "nowhere"))
