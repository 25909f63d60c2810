"""A file system in memory that answers as Linux does: the same calls on a real directory must agree."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from virtsim.host.files import LocalFiles
from virtsim.host.memory import MemoryFiles


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


NAMES = st.sampled_from(["a", "b", "a/x", "a/y", "b/x", "a/x/deep"])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["read", "unlink", "exists", "make_dirs", "remove_dir", "list_dir"]), NAMES
        ),
        st.tuples(st.just("write_atomic"), NAMES, st.binary(max_size=3)),
        st.tuples(st.just("read_tail"), NAMES, st.integers(0, 4)),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_it_agrees_with_a_real_directory(steps: list[tuple[Any, ...]], tmp_path_factory: Any) -> None:
    root = tmp_path_factory.mktemp("files")
    memory = MemoryFiles()
    memory.make_dirs("/r")
    for name, path, *rest in steps:
        there = outcome(lambda: getattr(LocalFiles(), name)(f"{root}/{path}", *rest))  # noqa: B023
        here = outcome(lambda: getattr(memory, name)(f"/r/{path}", *rest))  # noqa: B023
        assert here == there, (name, path, rest)


def test_what_a_log_needs() -> None:
    files = MemoryFiles()
    files.append("/log", b"one ")
    files.append("/log", b"two")
    assert files.read("/log") == b"one two"
    assert files.read_tail("/log", 3) == b"two"
    assert files.read_tail("/log", 100) == b"one two"
    assert files.read_tail("/log", 0) == b""
    with pytest.raises(FileNotFoundError):
        files.append("/no/log", b"")
    with pytest.raises(IsADirectoryError):
        files.append("/", b"")


def test_what_is_read_does_not_change_afterwards() -> None:
    files = MemoryFiles()
    files.append("/log", b"one")
    before = files.read("/log")
    files.append("/log", b"two")
    assert before == b"one"


def test_socket_nodes() -> None:
    files = MemoryFiles()
    removed: list[str] = []
    files.on_socket_unlinked = removed.append
    node = object()
    files.add_socket("/s", node)
    files.write_atomic("/f", b"")
    assert files.socket("/s") is node
    assert files.socket("//s") is node
    assert files.socket("/f") is None
    assert files.sockets() == ["/s"]
    assert files.nodes() == ["/f", "/s"]
    with pytest.raises(FileExistsError):
        files.add_socket("/f", node)
    with pytest.raises(OSError) as caught:
        files.read("/s")
    assert caught.value.errno == errno.ENXIO
    files.unlink("/f")
    files.unlink("/s")
    assert removed == ["/s"]
    with pytest.raises(FileNotFoundError):
        files.socket("/s")


def test_watchers_hear_of_creation_only() -> None:
    files = MemoryFiles()
    heard: list[int] = []

    def callback() -> None:
        heard.append(1)

    files.watch("/d/f", callback)
    files.make_dirs("/d")
    assert heard == []
    files.write_atomic("/d/f", b"1")
    files.write_atomic("/d/f", b"2")
    assert heard == [1]
    files.unlink("/d/f")
    files.append("/d/f", b"")
    assert heard == [1, 1]
    files.unwatch("/d/f", callback)
    files.unlink("/d/f")
    files.append("/d/f", b"")
    assert heard == [1, 1]


@pytest.mark.parametrize("path", ["/d/./f", "/d//f", "/d/../d/f", "//d/f", "/d/f/"])
def test_paths_are_cleaned(path: str, tmp_path: Path) -> None:
    files = MemoryFiles()
    files.make_dirs("/d/")
    files.write_atomic("/d/f", b"x")
    assert files.exists(path)


def test_paths_are_absolute() -> None:
    with pytest.raises(ValueError, match="absolute"):
        MemoryFiles().read("f")


def test_the_root_stays() -> None:
    files = MemoryFiles()
    with pytest.raises(OSError):
        files.remove_dir("/")
    files.make_dirs("/")
    assert files.list_dir("/") == []


def test_absence_is_asked_of_the_tree_as_it_is_then() -> None:
    files = MemoryFiles()
    files.make_dirs("/run")
    absent = files.absence("/run/monitor")

    assert absent()
    files.write_atomic("/run/monitor", b"")
    assert not absent()
    files.unlink("/run/monitor")
    assert absent()


def test_absence_is_not_claimed_where_the_directory_is_missing_or_no_directory() -> None:
    files = MemoryFiles()
    files.make_dirs("/run")
    files.write_atomic("/run/file", b"")

    assert not files.absence("/gone/monitor")()
    assert not files.absence("/run/file/monitor")()
