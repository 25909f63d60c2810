"""A process is more than its number."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from virtsim.host import procfs

SLEEP = shutil.which("sleep") or "/bin/sleep"


def wait_until_visible(pid: int) -> None:
    """During exec, for some microseconds, the kernel shows a process's files to root only."""
    while True:
        with contextlib.suppress(PermissionError):
            Path(f"/proc/{pid}/fd/1").readlink()
            return


def test_a_name_with_blanks_and_brackets_does_not_shift_the_fields(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 2 3 ("
    odd.symlink_to(SLEEP)
    with subprocess.Popen([odd, "1000"]) as child:
        before = procfs.start_ticks(os.getpid())
        started = procfs.start_ticks(child.pid)
        child.kill()

    assert before is not None
    assert started is not None
    assert 0 <= started - before < 3600 * os.sysconf("SC_CLK_TCK")


def test_the_dead_have_no_identity_not_even_as_zombies() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert procfs.identify(child.pid) is None
    assert procfs.identify(child.pid) is None


def test_an_identity_names_one_process_of_one_boot() -> None:
    identity = procfs.identify(os.getpid())

    assert identity is not None
    assert identity == procfs.identify(os.getpid())
    assert identity != procfs.identify(os.getppid())
    assert len(identity.boot) == 36
    assert identity.namespace.startswith("pid:[")


def test_only_processes_that_log_below_a_directory_are_its(tmp_path: Path) -> None:
    log = tmp_path / "run" / "vm.log"
    log.parent.mkdir()
    (tmp_path / "run2").mkdir()
    with (
        log.open("ab") as ours,
        (tmp_path / "run2" / "vm.log").open("ab") as other,
        subprocess.Popen([SLEEP, "1000"], stdout=ours, stderr=ours) as guest,
        subprocess.Popen([SLEEP, "1000"], stdout=ours) as copier,
        subprocess.Popen(["tail", "-f", log], stdout=subprocess.DEVNULL) as reader,
        subprocess.Popen([SLEEP, "1000"], stdout=other, stderr=other) as neighbour,
    ):
        log.unlink()
        for child in (guest, copier, reader, neighbour):
            wait_until_visible(child.pid)
        found = list(procfs.writers_below(str(log.parent)))
        for child in (guest, copier, reader, neighbour):
            child.kill()

    assert found == [guest.pid]
