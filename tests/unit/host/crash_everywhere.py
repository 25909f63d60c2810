"""Kill a run, and then a clean-up, at every line of rundir.py; a later clean-up must leave nothing.

A program of its own, because it forks: ``crash_everywhere.py ROOT BASE``. Prints how many places it tried.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT, BASE = sys.argv[1:]
sys.path.insert(0, ROOT)

from virtsim.host import rundir  # noqa: E402  (the path is set above)
from virtsim.host.procfs import writes_below  # noqa: E402
from virtsim.host.rundir import RunDirectory, clean_up_dead_runs  # noqa: E402

#: linux/prctl.h: orphans below us become our children, so that we see whether any is left.
PR_SET_CHILD_SUBREAPER = 36


def start(run: RunDirectory) -> subprocess.Popen[bytes]:
    with Path(run.path, "vm.log").open("ab") as log:
        child = subprocess.Popen(["/bin/sleep", "1000"], stdout=log, stderr=log, start_new_session=True)
    # During exec, for some microseconds, the kernel shows a process's files to root only.
    while not writes_below(child.pid, run.path):
        pass
    return child


def run_to_the_end() -> None:
    with RunDirectory.create(BASE) as run:
        process = start(run)
        run.record_process(process.pid)
        process.kill()
        process.wait()
        run.forget_process(process.pid)
        run.record_process(start(run).pid)


def run_and_die() -> None:
    run = RunDirectory.create(BASE)
    run.record_process(start(run).pid)
    os.kill(os.getpid(), signal.SIGKILL)


def killed(work: Callable[[], object], *, after: int) -> bool:
    """Do the work in a process that dies after so many lines of rundir.py; False when it was done before."""
    child = os.fork()
    if child == 0:
        left = after

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename != rundir.__file__:
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        work()
        sys.settrace(None)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in {0, -signal.SIGKILL}:
        raise SystemExit(f"the work failed after {after} lines")
    return code != 0


def assert_nothing_is_left(place: str) -> None:
    said = clean_up_dead_runs(BASE)
    left = list(Path(BASE).iterdir()) if Path(BASE).exists() else []
    if left:
        raise SystemExit(f"{place}: {left} left after {said}")
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
        raise SystemExit(f"{place}: a process is left after {said}")
    except ChildProcessError:
        pass  # every child was dead: good


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for runs in itertools.count(1):
        again = killed(run_to_the_end, after=runs)
        assert_nothing_is_left(f"run killed after {runs} lines")
        if not again:
            break
    for cleanings in itertools.count(1):
        killed(run_and_die, after=-1)
        again = killed(lambda: clean_up_dead_runs(BASE), after=cleanings)
        assert_nothing_is_left(f"clean-up killed after {cleanings} lines")
        if not again:
            break
    sys.stdout.write(f"{runs} {cleanings}\n")


main()
