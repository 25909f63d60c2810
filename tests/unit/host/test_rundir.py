"""A run's directory, and what a later run does about one that was killed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from virtsim.host import rundir as module
from virtsim.host.procfs import boot_id, pid_namespace, start_ticks, writes_below
from virtsim.host.rundir import RunDirectory, clean_up_dead_runs, default_bases

ROOT = Path(__file__).resolve().parents[3]
SLEEP = shutil.which("sleep") or "/bin/sleep"
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def base(tmp_path: Path) -> str:
    return str(tmp_path / "base")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process; it is killed and reaped after the test."""
    with ExitStack() as stack:

        def launch(*argv: str, log: Path | None = None) -> subprocess.Popen[bytes]:
            with Path(log or os.devnull).open("ab") as output:
                child = subprocess.Popen(argv or (SLEEP, "1000"), stdout=output, stderr=output)
            stack.callback(child.wait)
            stack.callback(child.kill)
            # During exec, for some microseconds, the kernel shows a process's files to root only.
            while log is not None and not writes_below(child.pid, str(log.parent)):
                pass
            return child

        yield launch


def reads(pid: int, path: str) -> bool:
    """Whether a process has a file open; its descriptors come and go while it starts."""
    with suppress(OSError):
        return any(str(each.readlink()) == path for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


@pytest.fixture(autouse=True)
def no_descriptor_stays(start: Start) -> Iterator[None]:
    before = sorted(each.name for each in Path("/proc/self/fd").iterdir())
    yield
    assert sorted(each.name for each in Path("/proc/self/fd").iterdir()) == before


def dead_run(base: str, *lines: str) -> Path:
    """The directory of a run that was killed; its ledger has these lines."""
    run = RunDirectory.create(base)
    assert run._lock is not None
    os.close(run._lock)  # what the kernel does
    Path(run.path, ".processes").write_text("".join(f"{line}\n" for line in lines))
    return Path(run.path)


def entry(pid: int, *, ticks: int = 0, boot: str | None = None, namespace: str | None = None) -> str:
    started = (start_ticks(pid) or 0) + ticks
    return f"+ {pid} {started} {boot or boot_id()} {namespace or pid_namespace()}"


def test_a_run_has_a_private_directory_until_it_closes(base: str) -> None:
    with RunDirectory.create(base) as run:
        assert Path(run.path).parent == Path(base)
        for path in (run.path, base):
            assert stat.S_IMODE(Path(path).stat().st_mode) == 0o700
        Path(run.path, "below").mkdir()
        Path(run.path, "below", "sock").touch()

    assert list(Path(base).iterdir()) == []
    assert run.close() == []


def test_a_living_run_is_left_alone_and_a_dead_one_removed(base: str) -> None:
    with RunDirectory.create(base) as living, RunDirectory.create(base) as other:
        dead = dead_run(base)
        assert clean_up_dead_runs(base) == [f"removed {dead}"]
        assert {str(each) for each in Path(base).iterdir()} == {living.path, other.path}
        assert clean_up_dead_runs(base) == []


def test_nothing_but_runs_is_touched(base: str) -> None:
    Path(base, "precious").mkdir(parents=True, mode=0o700)
    Path(base, "run-file").touch()
    Path(base, "run-link").symlink_to(Path(base, "precious"))
    Path(base).chmod(0o700)

    assert clean_up_dead_runs(base) == []
    assert sorted(each.name for each in Path(base).iterdir()) == ["precious", "run-file", "run-link"]
    assert clean_up_dead_runs(base + "/nowhere") == []


def test_processes_of_a_dead_run_are_ended(base: str, start: Start) -> None:
    recorded, forgotten = start(), start()
    dead = dead_run(base, entry(recorded.pid), entry(forgotten.pid), f"- {forgotten.pid}")
    unrecorded = start(log=dead / "vm.log")

    assert sorted(clean_up_dead_runs(base)) == sorted(
        [
            *(f"ended process {each.pid} of {dead} with SIGTERM" for each in (recorded, unrecorded)),
            f"removed {dead}",
        ]
    )
    assert (recorded.wait(), unrecorded.wait()) == (-signal.SIGTERM, -signal.SIGTERM)
    assert forgotten.poll() is None


def test_a_stubborn_process_gets_sigkill(base: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", ((signal.SIGTERM, 0.02), (signal.SIGKILL, 5.0)))
    ready, write = os.pipe()
    os.set_inheritable(write, True)
    stubborn = subprocess.Popen(
        ["/bin/sh", "-c", f"trap '' TERM; echo > /proc/$$/fd/{write}; exec {SLEEP} 1000"], close_fds=False
    )
    os.read(ready, 1)
    os.close(ready)
    os.close(write)
    dead = dead_run(base, entry(stubborn.pid))

    assert clean_up_dead_runs(base) == [
        f"ended process {stubborn.pid} of {dead} with SIGKILL",
        f"removed {dead}",
    ]
    assert stubborn.wait() == -signal.SIGKILL


@pytest.mark.parametrize("other", [{"ticks": 1}, {"boot": "00000000-another-boot"}])
def test_another_process_with_the_number_is_not_touched(
    base: str, start: Start, other: dict[str, object]
) -> None:
    innocent = start()
    dead = dead_run(base, entry(innocent.pid, **other))

    assert clean_up_dead_runs(base) == [f"removed {dead}"]
    assert innocent.poll() is None


def test_a_run_in_another_pid_namespace_is_left_alone(base: str, start: Start) -> None:
    innocent = start()
    dead = dead_run(base, entry(innocent.pid, namespace="pid:[1]"))

    assert clean_up_dead_runs(base) == [f"left {dead} alone: its processes belong to another PID namespace"]
    assert dead.exists()
    assert innocent.poll() is None


def test_a_reader_of_the_log_is_not_taken_for_its_writer(base: str, start: Start) -> None:
    dead = dead_run(base)
    (dead / "vm.log").touch()
    reader = start("tail", "-f", str(dead / "vm.log"))
    while not reads(reader.pid, str(dead / "vm.log")):
        assert reader.poll() is None

    assert clean_up_dead_runs(base) == [f"removed {dead}"]
    assert reader.poll() is None


def test_damaged_lines_of_a_ledger_are_skipped(base: str, start: Start) -> None:
    child = start()
    rubbish = ["", "+", "+ 1", "+ x y z w", "- x", "\0\0", "+ 1 2 3 4 5", "?"]
    dead = dead_run(base, *rubbish, entry(child.pid), *rubbish)
    (dead / ".processes").write_bytes((dead / ".processes").read_bytes() + b"\xff+ 12")

    assert clean_up_dead_runs(base)[0] == f"ended process {child.pid} of {dead} with SIGTERM"


def test_what_cannot_be_ended_is_said_and_tried_again(
    base: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start()
    dead = dead_run(base, entry(child.pid))

    def refused(pidfd: int, signum: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patch:
        patch.setattr(module.signal, "pidfd_send_signal", refused)
        assert clean_up_dead_runs(base) == [
            f"could not end process {child.pid} of {dead}: Operation not permitted"
        ]
    with monkeypatch.context() as patch:
        patch.setattr(module.signal, "pidfd_send_signal", lambda *_: None)
        patch.setattr(module, "_PATIENCE_S", ((signal.SIGTERM, 0.001), (signal.SIGKILL, 0.001)))
        assert clean_up_dead_runs(base) == [
            f"could not end process {child.pid} of {dead}: it survives SIGKILL"
        ]
    assert dead.exists()
    assert clean_up_dead_runs(base)[-1] == f"removed {dead}"


def test_what_cannot_be_removed_is_said(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    dead = dead_run(base)
    monkeypatch.setattr(module.shutil, "rmtree", refused)

    assert clean_up_dead_runs(base) == [f"could not remove {dead}: Permission denied"]


def test_close_ends_what_the_run_forgot(base: str, start: Start) -> None:
    run = RunDirectory.create(base)
    child, gone = start(), start()
    gone.kill()
    gone.wait()
    run.record_process(child.pid)
    run.record_process(gone.pid)  # nothing to write down

    assert run.close() == [f"ended process {child.pid} of {run.path} with SIGTERM"]
    assert not Path(run.path).exists()


def test_close_that_fails_leaves_the_rest_to_a_later_run(
    base: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, child = RunDirectory.create(base), start()
    run.record_process(child.pid)
    with monkeypatch.context() as patch:
        patch.setattr(module.signal, "pidfd_send_signal", lambda *_: None)
        patch.setattr(module, "_PATIENCE_S", ((signal.SIGKILL, 0.001),))
        with pytest.raises(OSError, match="survives SIGKILL") as caught:
            run.close()
    assert caught.value.errno == errno.EBUSY
    assert run.close() == []

    assert clean_up_dead_runs(base)[-1] == f"removed {run.path}"


def test_a_base_that_others_can_write_to_is_refused(base: str) -> None:
    Path(base).mkdir()
    Path(base).chmod(0o777)
    for call in (RunDirectory.create, clean_up_dead_runs):
        with pytest.raises(PermissionError, match="yours, and writable by nobody else"):
            call(base)
    Path(base).rmdir()
    Path(base).symlink_to("/tmp")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        RunDirectory.create(base)


def test_a_failed_create_leaves_no_directory(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise OSError("no boot id")

    monkeypatch.setattr(module, "boot_id", broken)
    with pytest.raises(OSError, match="no boot id"):
        RunDirectory.create(base)
    assert list(Path(base).iterdir()) == []


def test_the_default_base_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = f"/tmp/virtsim-{os.geteuid()}"
    for runtime, bases in (
        (str(tmp_path), [f"{tmp_path}/virtsim", own]),
        ("", [own]),
        ("relative", [own]),
        (f"{tmp_path}/missing", [own]),
    ):
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        assert default_bases() == bases
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert default_bases() == [own]
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(module.os, "geteuid", lambda: 12345)
    assert default_bases() == ["/tmp/virtsim-12345"]


def test_a_default_base_leaves_room_for_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    short, deep = tmp_path / "short", tmp_path / ("d" * 50)
    monkeypatch.setattr(module, "default_bases", lambda: [str(deep), "/tmp/virtsim-0"])
    assert module._short_base() == "/tmp/virtsim-0"
    monkeypatch.setattr(module, "default_bases", lambda: ["/run/user/1000/virtsim"])
    assert module._short_base() == "/run/user/1000/virtsim"
    monkeypatch.setattr(module, "_short_base", lambda: str(short))
    with RunDirectory.create() as run:
        assert Path(run.path).parent == short


def test_a_foreign_default_base_does_not_hide_the_others(
    base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    foreign.chmod(0o777)
    dead = dead_run(base)
    monkeypatch.setattr(module, "default_bases", lambda: [str(foreign), base])

    assert clean_up_dead_runs() == [
        f"left {foreign} alone: the directory must be yours, and writable by nobody else",
        f"removed {dead}",
    ]


@pytest.mark.slow
def test_runs_and_clean_ups_at_once_do_not_disturb_each_other(base: str) -> None:
    """Threads stand for processes: flock belongs to the open directory, and each opens it for itself."""
    failures: list[BaseException] = []

    def live() -> None:
        try:
            for _ in range(30):
                with RunDirectory.create(base) as run:
                    Path(run.path, "state").write_text("mine")
                    clean_up_dead_runs(base)
                    assert Path(run.path, "state").read_text() == "mine"
        except BaseException as error:  # noqa: BLE001 - carried over to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=live) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert list(Path(base).iterdir()) == []


@pytest.mark.slow
def test_a_crash_at_any_line_leaves_nothing_for_good(base: str) -> None:
    script = Path(__file__).with_name("crash_everywhere.py")
    done = subprocess.run(
        [sys.executable, str(script), str(ROOT), base], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    runs, cleanings = map(int, done.stdout.split())
    assert runs > 80
    assert cleanings > 50
