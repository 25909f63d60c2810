"""LocalLauncher beyond the contract: environment, session, adoption, failure half-way, after closing."""

# ruff: noqa: ASYNC110, ASYNC221, ASYNC222, ASYNC240  (a test may block: nothing else runs on its loop)

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from virtsim.host import launcher as module
from virtsim.host.abc import ExitStatus
from virtsim.host.launcher import LocalLauncher, default_environment
from virtsim.host.procfs import identify, start_ticks

SLEEP = [shutil.which("sleep") or "/bin/sleep", "1000"]
KILLED = ExitStatus(signal=signal.SIGKILL)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """No descriptor and no child, living or zombie, survives a test."""
    before, children_before = descriptors(), children()
    yield
    gc.collect()
    assert children() == children_before
    assert descriptors() == before


def children() -> set[int]:
    """Our children by process id, zombies too; other tests of this process may have some of their own."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.add(int(entry.name))
    return found


def descriptors() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


async def output_of(launcher: LocalLauncher, script: str, log: Path, **options: object) -> list[str]:
    process = await launcher.spawn(shell(script), log=str(log), **options)
    await process.wait()
    return log.read_text().splitlines()


def test_a_program_gets_libvirts_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of ours")
    monkeypatch.setenv("HOME", "/home-of-ours")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")

    async def main() -> None:
        launcher = LocalLauncher(env={"EXTRA": "1"})
        lines = await output_of(launcher, "exec /usr/bin/env", tmp_path / "default.log")
        assert {"LC_ALL=C", "HOME=/home-of-ours", "EXTRA=1"} <= set(lines)
        assert not any(line.startswith("SECRET") for line in lines)
        lines = await output_of(launcher, "exec /usr/bin/env", tmp_path / "own.log", env={"ONLY": "this"})
        assert "ONLY=this" in lines
        assert not any(line.startswith(("EXTRA", "HOME")) for line in lines)
        await launcher.aclose()

    asyncio.run(main())
    assert default_environment()["LC_ALL"] == "C"


def test_a_program_is_cut_off_from_us(tmp_path: Path) -> None:
    script = """
        read -r stat < /proc/$$/stat; set -- ${stat##*) }; echo session $4 $$
        echo cwd $(pwd) umask $(umask) stdin $(readlink /proc/$$/fd/0)
        ls -l /proc/$$/fd | grep pipe
    """

    async def main() -> None:
        launcher = LocalLauncher()
        ours, theirs = os.pipe()
        os.set_inheritable(theirs, True)
        session, place, *pipes = await output_of(launcher, script, tmp_path / "cut.log")
        assert len(set(session.split()[1:])) == 1
        assert place == "cwd / umask 0077 stdin /dev/null"
        # A shell may have pipes of its own, but not even an inheritable one of ours.
        assert not any(f"pipe:[{os.fstat(ours).st_ino}]" in line for line in pipes)
        os.close(ours)
        os.close(theirs)
        await launcher.aclose()

    asyncio.run(main())
    assert (tmp_path / "cut.log").stat().st_mode & 0o777 == 0o600


def test_a_descriptor_keeps_its_number_and_stays_open_here(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        ours, theirs = os.pipe()
        log = tmp_path / "fd.log"
        assert await output_of(launcher, f"echo over >/proc/$$/fd/{theirs}", log, fds=[theirs]) == []
        os.write(theirs, b"mine too\n")
        assert os.read(ours, 100) == b"over\nmine too\n"
        assert not os.get_inheritable(theirs)
        os.close(ours)
        os.close(theirs)
        await launcher.aclose()

    asyncio.run(main())


def test_the_directory_of_a_log_is_made(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        assert await output_of(launcher, "echo hello", tmp_path / "log" / "qemu" / "vm.log") == ["hello"]
        await launcher.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("argv", "fds", "error", "number"),
    [
        (["/"], [], PermissionError, errno.EACCES),
        (["sh"], [], FileNotFoundError, errno.ENOENT),
        (["{tmp}/text"], [], OSError, errno.ENOEXEC),
        (["/bin/sh", "x" * 200_000], [], OSError, errno.E2BIG),
        (["/bin/sh", "nul\0"], [], ValueError, None),
        (["/bin/sh"], [1], ValueError, None),
        ([], [], ValueError, None),
    ],
    ids=["directory", "relative", "not a program", "too long", "NUL", "standard descriptor", "nothing"],
)
def test_what_cannot_be_started_leaves_nothing(
    tmp_path: Path, argv: list[str], fds: list[int], error: type[Exception], number: int | None
) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o700)
    (tmp_path / "old.log").write_text("old")

    async def main() -> None:
        launcher = LocalLauncher()
        command = [word.format(tmp=tmp_path) for word in argv]
        for log in ("new.log", "old.log"):
            with pytest.raises(error) as caught:
                await launcher.spawn(command, fds=fds, log=str(tmp_path / log))
            assert getattr(caught.value, "errno", None) == number
        await launcher.aclose()

    asyncio.run(main())
    assert not (tmp_path / "new.log").exists()
    assert (tmp_path / "old.log").read_text() == "old"


def test_a_log_that_cannot_be_written_starts_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        with pytest.raises(IsADirectoryError):
            await launcher.spawn(SLEEP, log=str(tmp_path))
        await launcher.aclose()

    asyncio.run(main())


def test_running_out_of_descriptors_after_fork_leaves_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(pid: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(module.os, "pidfd_open", exhausted)

    async def main() -> None:
        with pytest.raises(OSError, match="Too many open files"):
            await LocalLauncher().spawn(SLEEP, log=str(tmp_path / "log"))

    asyncio.run(main())


def test_a_process_that_cannot_be_watched_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # /proc/sys/fs/epoll/max_user_watches

        monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", full)
        with pytest.raises(OSError, match="No space left"):
            await LocalLauncher().spawn(SLEEP, log=str(tmp_path / "log"))

    asyncio.run(main())


def test_a_dead_process_that_a_debugger_holds_is_not_gone_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        process = await launcher.spawn(["/bin/true"], log=str(tmp_path / "log"))
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with monkeypatch.context() as patch:
            patch.setattr(module.os, "waitid", lambda *_: None)
            assert process.alive()
        assert not process.alive()
        await launcher.aclose()

    asyncio.run(main())


def test_death_is_seen_before_the_loop_has_run(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        process = await launcher.spawn(SLEEP, log=str(tmp_path / "log"))
        process.signal(signal.SIGKILL)
        while Path(f"/proc/{process.pid}").exists():  # without a single turn of the loop
            if not process.alive():
                break
        assert not Path(f"/proc/{process.pid}").exists()
        assert await process.wait() == KILLED
        assert "signal=" in repr(process)
        await launcher.aclose()

    asyncio.run(main())


def test_a_zombie_counts_as_gone_and_is_reaped(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        process = await launcher.spawn(["/bin/true"], log=str(tmp_path / "log"))
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{process.pid}").exists()
        with pytest.raises(ProcessLookupError):
            process.signal(0)
        assert not Path(f"/proc/{process.pid}").exists()
        assert await process.wait() == ExitStatus(code=0)
        await launcher.aclose()

    asyncio.run(main())


def test_a_child_that_somebody_else_reaped_has_an_unknown_status(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        process = await launcher.spawn(["/bin/true"], log=str(tmp_path / "log"))
        os.waitpid(process.pid, 0)
        assert await process.wait() == ExitStatus()
        await launcher.aclose()

    asyncio.run(main())


def test_a_process_of_somebody_else_is_adopted(tmp_path: Path) -> None:
    # A grandchild: the shell between us is gone before we adopt it, as a manager is that was restarted.
    started = subprocess.run(
        shell(f"{' '.join(SLEEP)} >/dev/null 2>&1 & echo $!"), capture_output=True, check=True
    )
    pid = int(started.stdout)
    identity = identify(pid)
    assert identity is not None

    async def main() -> None:
        launcher = LocalLauncher()
        with pytest.raises(ProcessLookupError):
            launcher.adopt(pid, identity.start_ticks + 1)
        process = launcher.adopt(pid, identity.start_ticks)
        assert (process.pid, process.alive()) == (pid, True)
        waiter = asyncio.ensure_future(process.wait())
        await asyncio.sleep(0)
        process.signal(signal.SIGKILL)
        assert await waiter == ExitStatus()
        with pytest.raises(ProcessLookupError):
            process.signal(0)
        with pytest.raises(ProcessLookupError):
            launcher.adopt(pid, identity.start_ticks)
        await launcher.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            launcher.adopt(pid, identity.start_ticks)

    asyncio.run(main())


def test_an_adopted_process_can_be_signalled_after_closing() -> None:
    child = subprocess.Popen(SLEEP)
    ticks = start_ticks(child.pid)
    assert ticks is not None

    async def main() -> None:
        launcher = LocalLauncher()
        process = launcher.adopt(child.pid, ticks)
        await launcher.aclose()
        assert process.alive()
        process.signal(0)
        process.signal(signal.SIGKILL)
        child.wait()
        assert not process.alive()
        with pytest.raises(ProcessLookupError):
            process.signal(0)

    asyncio.run(main())


def test_after_closing_a_program_can_be_asked_and_ended_but_not_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        process = await launcher.spawn(SLEEP, log=str(tmp_path / "log"))
        waiter = asyncio.ensure_future(process.wait())
        await asyncio.sleep(0)
        await launcher.aclose()
        with pytest.raises(RuntimeError, match="closed while"):
            await waiter
        with pytest.raises(RuntimeError, match="closed while"):
            await process.wait()
        with pytest.raises(RuntimeError, match="closed"):
            await launcher.spawn(SLEEP, log=str(tmp_path / "log"))
        assert process.alive()
        process.signal(0)
        process.signal(signal.SIGKILL)
        while process.alive():
            await asyncio.sleep(0.001)
        with pytest.raises(ProcessLookupError):
            process.signal(0)

    asyncio.run(main())


def test_a_child_left_running_is_reaped_by_the_next_launcher(tmp_path: Path) -> None:
    async def main() -> int:
        launcher = LocalLauncher()
        process = await launcher.spawn(SLEEP, log=str(tmp_path / "log"))
        await launcher.aclose()
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        await LocalLauncher().aclose()
        return process.pid

    pid = asyncio.run(main())
    assert not Path(f"/proc/{pid}").exists()


def test_a_loop_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    launcher = LocalLauncher()

    async def main() -> module.LocalProcess:
        return await launcher.spawn(SLEEP, log=str(tmp_path / "log"))

    process = asyncio.run(main())
    process.signal(signal.SIGKILL)
    while process.alive():
        pass
    asyncio.run(launcher.aclose())


def test_subprocess_does_not_take_our_child_for_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        process = await launcher.spawn(shell("exit 7"), log=str(tmp_path / "log"))
        gc.collect()
        # Making a Popen polls every child that subprocess believes it still has to reap.
        for _ in range(3):
            subprocess.run(["/bin/true"], check=True)
        assert await process.wait() == ExitStatus(code=7)
        await launcher.aclose()

    asyncio.run(main())


def test_starting_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = LocalLauncher()
        began = time.perf_counter()
        processes = [await launcher.spawn(["/bin/true"], log=str(tmp_path / "log")) for _ in range(10)]
        each_s = (time.perf_counter() - began) / 10
        assert each_s < 0.25  # 0.6 to 2 ms; wide, as the machine may be loaded
        for process in processes:
            await process.wait()
        await launcher.aclose()

    asyncio.run(main())
