"""Where one run keeps its sockets, logs and state, and how what a killed run left is cleaned up.

Knows flock, /proc, signals, and the length of a socket's path. Must not know what the files and processes
are.

A run may be killed at any instruction, so nothing here relies on a clean-up that was meant to happen:

* **Who is alive.** A run holds an exclusive ``flock`` on its own directory. The kernel gives it back when the
  run is gone, however it went, and not before; there is no file with a PID to be believed. (systemd-tmpfiles
  leaves a locked directory alone too.) A child does not inherit it, as Python's descriptors are closed on
  exec.
* **Two runs at once.** Making a directory with its lock, and looking for directories without one, both happen
  under a lock on the base directory. So a directory without a lock is always a dead run's: no new one is ever
  seen half made, and two cleaners never take the same one.
* **Which processes were its.** Each is written down by PID, start time, boot and PID namespace, so a number
  that was used again is never mistaken. A run that was killed between starting a process and writing it down
  is covered as well: a process whose standard output and error both go to files in a dead run's directory is
  its. (One gap of microseconds remains: during exec the kernel shows a process's files to root only.)
* **What is ended.** Only processes verified in one of these two ways, through a pidfd that was opened before
  the check, so that the number cannot change hands in between. First SIGTERM, then SIGKILL.
* **What is left alone.** A directory with processes of another PID namespace (another container with the same
  file system), or that could not be ended. It is tried again next time.

It works the same for root and for others: each user has a base directory of their own with mode 0700, under
``$XDG_RUNTIME_DIR`` if that is theirs, else under /tmp.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter

from virtsim.host.procfs import (
    Identity,
    boot_id,
    pid_namespace,
    start_ticks,
    writers_below,
    writes_below,
)
from virtsim.host.sockets import MAX_SOCKET_PATH

__all__ = ["ROOM_FOR_NAMES", "RunDirectory", "clean_up_dead_runs", "default_bases"]

#: Bytes of a socket's path that a default run directory leaves for the names below it; libvirt's longest are
#: such as "/domain-12345-twenty-characters-/monitor.sock" (libvirt 8.5.0 virDomainDefGetShortName cuts names
#: at 20).
ROOM_FOR_NAMES = 48

#: How the name of a run directory starts; nothing else in a base directory is ever touched.
_PREFIX = "run-"

#: File in a run directory with one line for each process started or ended.
_LEDGER = ".processes"

#: How long processes may take to end after SIGTERM and after SIGKILL, seconds, all of them together. Nobody
#: waits for a guest of a dead run to shut down in good order; SIGTERM only lets QEMU remove its PID file.
_PATIENCE_S = ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0))


class RunDirectory:
    """The directory of one run; made by `create`, removed by `close`.

    Use as a context manager, or call `close`. When neither happens, `clean_up_dead_runs` of a later run
    does it.

    Attributes:
        path: absolute path, mode 0700. Names that start with a dot are ours.
    """

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock
        self._boot = boot_id()
        self._namespace = pid_namespace()

    @classmethod
    def create(cls, base: str | None = None) -> RunDirectory:
        """Make a fresh directory and lock it.

        When it fails nothing is left behind but the base directory.

        Args:
            base: directory in which runs live; by default the first of `default_bases` that is short enough
                for sockets below it. One that is given is taken, however long.

        Raises:
            OSError: the base cannot be made, or is not ours alone (EPERM).
        """
        base = _short_base() if base is None else os.path.abspath(base)
        with _locked_base(base, make=True) as found:
            if not found:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), base)
            path = tempfile.mkdtemp(prefix=_PREFIX, dir=base)
            lock = None
            try:
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return cls(path, lock)
            except BaseException:
                os.rmdir(path)
                if lock is not None:
                    os.close(lock)
                raise

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record_process(self, pid: int) -> None:
        """Write down that a process belongs to this run; nothing if it is gone already.

        Raises:
            OSError: the ledger cannot be written.
        """
        started = start_ticks(pid)
        if started is not None:
            self._append(f"+ {pid} {started} {self._boot} {self._namespace}\n")

    def forget_process(self, pid: int) -> None:
        """Write down that a process no longer belongs to this run, usually because it has ended.

        Raises:
            OSError: the ledger cannot be written.
        """
        self._append(f"- {pid}\n")

    def close(self) -> list[str]:
        """End what still runs of the recorded processes, remove the directory; a second call does nothing.

        May block for some seconds when a process does not end.

        Returns:
            One line for each process ended: a run that cleans up by itself has none.

        Raises:
            OSError: a process could not be ended (EBUSY), or the directory not be removed; a later
                `clean_up_dead_runs` tries again.
        """
        if self._lock is None:
            return []
        lock, self._lock = self._lock, None
        try:
            ended, stubborn = _end_processes(self.path, self._namespace)
            if stubborn:
                raise OSError(errno.EBUSY, "; ".join(stubborn), self.path)
            shutil.rmtree(self.path)
            return ended
        finally:
            os.close(lock)

    def _append(self, line: str) -> None:
        # One write of a short line at the end of the file: another process, or the end of this one, cannot
        # split it. No fsync: what survives a crash of the machine is of another boot.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(os.path.join(self.path, _LEDGER), flags, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def default_bases() -> list[str]:
    """Where runs of this user live, best first.

    $XDG_RUNTIME_DIR/virtsim if that directory is theirs, and /tmp/virtsim-UID.
    """
    bases = [f"/tmp/virtsim-{os.geteuid()}"]  # noqa: S108 - its owner and mode are verified before use
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        with contextlib.suppress(OSError):
            # Under sudo or su it is often still the other user's.
            if os.stat(runtime).st_uid == os.geteuid() and os.access(runtime, os.W_OK | os.X_OK):
                bases.insert(0, os.path.join(runtime, "virtsim"))
    return bases


def clean_up_dead_runs(base: str | None = None) -> list[str]:
    """End the processes of runs that are dead and remove their directories.

    Safe at any time, beside living runs and beside another clean-up; a run that is alive is never touched.
    May block
    for some seconds when a process does not end.

    Args:
        base: directory in which runs live; by default every one of `default_bases`.

    Returns:
        One line for each thing cleaned, or found and left alone.

    Raises:
        OSError: the given base directory is not ours alone (EPERM), or cannot be read.
    """
    if base is not None:
        return _clean_up_base(os.path.abspath(base))
    lines: list[str] = []
    for directory in default_bases():
        try:
            lines += _clean_up_base(directory)
        except OSError as error:
            # Somebody else may sit on our name in /tmp; that is no reason to give up the other place.
            lines.append(f"left {directory} alone: {error.strerror}")
    return lines


def _clean_up_base(base: str) -> list[str]:
    lines: list[str] = []
    dead = _take_dead_runs(base)
    try:
        for path in dead:
            lines += _clean_up(path)
    finally:
        for lock in dead.values():
            os.close(lock)
    return lines


def _clean_up(path: str) -> list[str]:
    """Clean one dead run, whose lock we hold."""
    namespace = pid_namespace()
    foreign = {entry.namespace for entry in _ledger(path).values() if entry.boot == boot_id()} - {namespace}
    if foreign:
        return [f"left {path} alone: its processes belong to another PID namespace"]
    lines, stubborn = _end_processes(path, namespace)
    if stubborn:
        return [*lines, *stubborn]
    try:
        shutil.rmtree(path)
    except OSError as error:
        return [*lines, f"could not remove {path}: {error.strerror}"]
    return [*lines, f"removed {path}"]


def _short_base() -> str:
    """The first default base whose path leaves room for names; the one in /tmp always does."""
    longest = MAX_SOCKET_PATH - ROOM_FOR_NAMES - len("/run-12345678")
    return next(base for base in default_bases() if len(os.fsencode(base)) <= longest)


@contextlib.contextmanager
def _locked_base(base: str, *, make: bool) -> Iterator[bool]:
    """Hold the lock of the base directory, for a moment; False when there is no such directory."""
    if make:
        with contextlib.suppress(FileExistsError):
            os.makedirs(os.path.dirname(base), exist_ok=True)
            os.mkdir(base, 0o700)
    try:
        descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        # /tmp is everybody's: somebody else may have made a directory of our name there first.
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            raise PermissionError(
                errno.EPERM, "the directory must be yours, and writable by nobody else", base
            )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield True
    finally:
        os.close(descriptor)


def _take_dead_runs(base: str) -> dict[str, int]:
    """Lock every directory whose run is dead; path -> descriptor that holds the lock."""
    taken: dict[str, int] = {}
    with _locked_base(base, make=False) as found:
        for entry in sorted(os.listdir(base)) if found else []:
            if not entry.startswith(_PREFIX):
                continue
            path = os.path.join(base, entry)
            try:
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                continue  # not a directory, so not a run; or its run has just removed it
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            # Its own run may have removed it between the look and the lock.
            if os.path.isdir(path):
                taken[path] = lock
            else:
                os.close(lock)
    return taken


def _ledger(path: str) -> dict[int, Identity]:
    """What the ledger of a run says is still running; lines that are no entries are skipped."""
    running: dict[int, Identity] = {}
    try:
        with open(os.path.join(path, _LEDGER), encoding="ascii", errors="replace") as file:
            lines = file.readlines()
    except FileNotFoundError:
        return running
    for line in lines:
        match line.split():
            case ["+", pid, ticks, boot, namespace] if pid.isdecimal() and ticks.isdecimal():
                running[int(pid)] = Identity(int(pid), int(ticks), boot, namespace)
            case ["-", pid] if pid.isdecimal():
                running.pop(int(pid), None)
            case _:
                pass
    return running


def _end_processes(path: str, namespace: str) -> tuple[list[str], list[str]]:
    """End the verified processes of the run in ``path``.

    Returns:
        A line for each process ended, and one for each that would not end.
    """
    here = (boot_id(), namespace)
    checks: dict[int, Callable[[], bool]] = {
        pid: partial(_is_still, entry)
        for pid, entry in _ledger(path).items()
        if (entry.boot, entry.namespace) == here
    }
    checks |= {pid: partial(writes_below, pid, path) for pid in writers_below(path)}
    pidfds: dict[int, int] = {}
    try:
        for pid, is_ours in sorted(checks.items(), key=itemgetter(0)):
            # Opened first, verified second: should the number change hands in between, the pidfd still means
            # the old process, and a signal to it finds nobody.
            with contextlib.suppress(ProcessLookupError):
                pidfds[pid] = os.pidfd_open(pid)
                if not is_ours():
                    os.close(pidfds.pop(pid))
        return _signal_until_gone(pidfds, path)
    finally:
        for pidfd in pidfds.values():
            os.close(pidfd)


def _is_still(entry: Identity) -> bool:
    return start_ticks(entry.pid) == entry.start_ticks


def _signal_until_gone(pidfds: dict[int, int], path: str) -> tuple[list[str], list[str]]:
    remaining = dict(pidfds)
    ended: list[str] = []
    refused: list[str] = []
    for signum, patience_s in _PATIENCE_S:
        for pid, pidfd in list(remaining.items()):
            try:
                signal.pidfd_send_signal(pidfd, signum)
            except ProcessLookupError:
                pass
            except OSError as error:
                refused.append(f"could not end process {pid} of {path}: {error.strerror}")
                del remaining[pid]
        for pid in _wait_for_ends(remaining, patience_s):
            ended.append(f"ended process {pid} of {path} with {signum.name}")
            del remaining[pid]
    refused += [f"could not end process {pid} of {path}: it survives SIGKILL" for pid in remaining]
    return ended, refused


def _wait_for_ends(pidfds: dict[int, int], patience_s: float) -> list[int]:
    """Wait until all are dead, or patience is at its end; the PIDs of the dead. A zombie is dead."""
    deadline = time.monotonic() + patience_s
    alive = dict(pidfds)
    while alive:
        poller = select.poll()
        for pidfd in alive.values():
            poller.register(pidfd, select.POLLIN)
        left_ms = max(0, round((deadline - time.monotonic()) * 1000))
        readable = {descriptor for descriptor, _ in poller.poll(left_ms)}
        if not readable:
            break
        alive = {pid: pidfd for pid, pidfd in alive.items() if pidfd not in readable}
    return [pid for pid in pidfds if pid not in alive]
