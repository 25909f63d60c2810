"""wait_for_path on a real directory and an ordinary loop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from virtsim.host import watch as module
from virtsim.host.watch import wait_for_path


def descriptors() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


@pytest.fixture(autouse=True)
def no_descriptor_stays() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before
    assert len(module._WATCHERS) == 0


def run(case: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await case()

    asyncio.run(main())


async def armed(path: Path | str) -> asyncio.Task[None]:
    """A task that waits for the path, with its watch in place."""
    task = asyncio.ensure_future(wait_for_path(str(path)))
    await asyncio.sleep(0)
    assert not task.done()
    return task


def test_a_path_that_exists_is_not_waited_for(tmp_path: Path) -> None:
    run(lambda: wait_for_path(str(tmp_path)))


def test_a_socket_is_seen_when_it_is_bound(tmp_path: Path) -> None:
    async def case() -> None:
        task = await armed(tmp_path / "monitor.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "monitor.sock"))
            await task

    run(case)


def test_a_file_that_is_renamed_into_place_is_seen(tmp_path: Path) -> None:
    async def case() -> None:
        (tmp_path / "new").touch()
        task = await armed(tmp_path / "state")
        (tmp_path / "new").rename(tmp_path / "state")
        await task

    run(case)


def test_other_names_wake_nobody(tmp_path: Path) -> None:
    async def case() -> None:
        task = await armed(tmp_path / "mine")
        (tmp_path / "other").touch()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        (tmp_path / "mine").touch()
        await task

    run(case)


def test_missing_directories_are_waited_for_too(tmp_path: Path) -> None:
    async def case() -> None:
        path = tmp_path / "a" / "b" / "c"
        task = await armed(path)
        (tmp_path / "a").mkdir()
        await asyncio.sleep(0.001)
        (tmp_path / "a" / "b").mkdir()
        path.touch()
        await task

    run(case)


@pytest.mark.parametrize("change", ["remove", "rename"])
def test_a_directory_may_be_replaced_meanwhile(tmp_path: Path, change: str) -> None:
    async def case() -> None:
        directory = tmp_path / "run"
        directory.mkdir()
        task = await armed(directory / "sock")
        directory.rmdir() if change == "remove" else directory.rename(tmp_path / "old")
        await asyncio.sleep(0.001)
        assert not task.done()
        directory.mkdir()
        (directory / "sock").touch()
        await task

    run(case)


def test_what_comes_between_the_look_and_the_watch_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_watch = module.INotify.add_watch

    def late(self: module.INotify, path: str, mask: int) -> int:
        (tmp_path / "sock").touch()
        return add_watch(self, path, mask)

    monkeypatch.setattr(module.INotify, "add_watch", late)
    run(lambda: wait_for_path(str(tmp_path / "sock")))


def test_a_directory_that_vanishes_before_the_watch_is_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_watch = module.INotify.add_watch
    directory = tmp_path / "run"
    directory.mkdir()

    def late(self: module.INotify, path: str, mask: int) -> int:
        if directory.exists():
            directory.rmdir()
        return add_watch(self, path, mask)

    monkeypatch.setattr(module.INotify, "add_watch", late)

    async def case() -> None:
        task = await armed(directory / "sock")
        directory.mkdir()
        monkeypatch.undo()
        (directory / "sock").touch()
        await task

    run(case)


def test_a_thousand_waiters_share_one_inotify_instance(tmp_path: Path) -> None:
    async def case() -> None:
        before = len(descriptors())
        tasks = [await armed(tmp_path / f"sock{number}") for number in range(1000)]
        assert len(descriptors()) == before + 1
        tasks.pop().cancel()
        for number in range(999):
            (tmp_path / f"sock{number}").touch()
        await asyncio.gather(*tasks)

    run(case)


def test_cancelling_one_waiter_leaves_the_other(tmp_path: Path) -> None:
    async def case() -> None:
        one, two = await armed(tmp_path / "sock"), await armed(tmp_path / "sock")
        one.cancel()
        await asyncio.wait([one])
        (tmp_path / "sock").touch()
        await two

    run(case)


def test_lost_events_make_everybody_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def case() -> None:
        task = await armed(tmp_path / "sock")
        overflow = [(-1, module.flags.Q_OVERFLOW, 0, "")]
        (watcher,) = module._WATCHERS.values()
        monkeypatch.setattr(watcher._inotify, "read", lambda timeout: overflow, raising=False)
        (tmp_path / "sock").touch()
        await task

    run(case)


def test_without_inotify_it_looks_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(module, "INotify", exhausted)
    monkeypatch.setattr(module, "_FALLBACK_NAP_S", 0.001)

    async def case() -> None:
        task = await armed(tmp_path / "sock")
        (tmp_path / "sock").touch()
        await task

    run(case)


def test_a_loop_that_has_a_net_of_its_own_is_asked() -> None:
    asked: list[str] = []

    class Loop(asyncio.SelectorEventLoop):
        async def wait_for_path(self, path: str) -> None:
            asked.append(path)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(wait_for_path("/nowhere/at/all"))
    assert asked == ["/nowhere/at/all"]
