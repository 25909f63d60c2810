"""Starts programs on this host and sees them end.

Knows fork, exec, sessions, descriptors, pidfd and /proc. Must not know which programs it starts.

How an end is noticed: a pidfd (Linux 5.4 or newer) becomes readable at the moment at which its process is
dead, so the event loop sees it without a signal handler, without a thread and without polling; and it never
means another process that got the number later. The process is reaped in the same step, so no zombie stays,
and from then on ``kill(pid, 0)`` gives ESRCH, as libvirt's checks for a living QEMU expect.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence

from virtsim.host.abc import ExitStatus, Files
from virtsim.host.files import LocalFiles
from virtsim.host.procfs import start_ticks
from virtsim.host.waiters import Waiters

__all__ = ["LocalLauncher", "LocalProcess", "default_environment"]

#: What libvirt hands on to QEMU from its own environment (libvirt 8.5.0 virCommandAddEnvPassCommon).
_PASSED_ON = ("LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "HOME", "USER", "LOGNAME", "TMPDIR")

#: File mode mask of launched programs: their sockets and files are for their owner only. libvirt 8.5.0 says
#: 0002 and separates guests by user, group and label instead, none of which we have.
_UMASK = 0o077

#: Children that outlived their launcher. They are still ours to reap; a number stays taken until then, so a
#: plain number is safe here.
_left_running: set[int] = set()


def default_environment() -> dict[str, str]:
    """The environment that libvirt gives to QEMU: LC_ALL=C, and a few variables of our own."""
    return {"LC_ALL": "C", **{name: os.environ[name] for name in _PASSED_ON if name in os.environ}}


class LocalLauncher:
    """`virtsim.host.abc.Launcher` that forks and execs.

    A program gets: a session of its own (no terminal, no Ctrl-C meant for us), the root directory as working
    directory, /dev/null as standard input, the log as standard output and error, umask 077, and of our
    descriptors only those asked for. It lives on when we end.

    Starting one takes a millisecond or two, during which the event loop stands still; a thread would cost
    more and could be cancelled between fork and knowing the PID.

    Args:
        files: makes the directory of a log that has none; the host's own files by default.
        env: added to the default environment of every program started without an environment of its own.
    """

    def __init__(self, files: Files | None = None, env: Mapping[str, str] | None = None) -> None:
        self._files = files if files is not None else LocalFiles()
        self._extra_env = dict(env or {})
        self._watched: dict[LocalProcess, None] = {}
        self._closed = False

    async def spawn(
        self, argv: Sequence[str], *, fds: Sequence[int] = (), log: str, env: Mapping[str, str] | None = None
    ) -> LocalProcess:
        """Start ``argv``; returns after a successful ``exec``.

        When it fails, no process, descriptor or new log file is left behind.

        Args:
            argv: program and arguments; the program is an absolute path, no search happens.
            fds: descriptors that the program inherits under the same numbers, each above 2; ours stay open.
            log: file to which its standard output and error are appended; made with mode 0600 when missing.
            env: its whole environment, or None for libvirt's default and the launcher's additions.

        Raises:
            OSError: exec failed (ENOENT, EACCES, E2BIG, ENOEXEC ...), fork failed (EAGAIN), the log cannot be
                written, or descriptors ran out (EMFILE).
            ValueError: no program, a descriptor that is a standard one, or a NUL in an argument.
            RuntimeError: the launcher is closed.
        """
        if self._closed:
            raise RuntimeError("the launcher is closed")
        if not argv or any(fd <= 2 for fd in fds):
            raise ValueError("a program is needed, and descriptors above 2")
        if not os.path.isabs(argv[0]):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
        _reap_left_running()
        environment = dict(env) if env is not None else {**default_environment(), **self._extra_env}
        self._files.make_dirs(os.path.dirname(log))
        log_fd, is_new = _open_log(log)
        try:
            pid = _fork_exec(argv, fds, log_fd, environment)
        except BaseException:
            if is_new:
                with contextlib.suppress(OSError):
                    os.unlink(log)
            raise
        finally:
            os.close(log_fd)
        return self._watch_child(pid)

    def adopt(self, pid: int, start_ticks: int) -> LocalProcess:
        """Watch a process that somebody else started, for instance this program before it was restarted.

        How it ends cannot be known of another's child: ``wait()`` then gives ``ExitStatus(None, None)``. A
        dead process counts as gone even while its own parent has not reaped it.

        Args:
            pid: its number.
            start_ticks: when it started (`virtsim.host.procfs.start_ticks`); tells it from a later one of
                that number.

        Raises:
            ProcessLookupError: it is gone, or another process has its number now.
            RuntimeError: the launcher is closed.
        """
        if self._closed:
            raise RuntimeError("the launcher is closed")
        return self._watch(pid, _open_verified(pid, start_ticks), adopted_ticks=start_ticks)

    async def aclose(self) -> None:
        """Stop watching; ends no program, closes every descriptor of the launcher.

        Processes can still be asked ``alive()`` and signalled. A pending or later ``wait()`` of one that has
        not ended raises RuntimeError, since nobody would ever answer it.
        """
        self._closed = True
        for process in list(self._watched):
            process._abandon()  # noqa: SLF001 - the two classes are one mechanism
        self._watched.clear()
        _reap_left_running()

    def _watch_child(self, pid: int) -> LocalProcess:
        """Watch a child that was just started, or leave nothing of it."""
        try:
            return self._watch(pid, os.pidfd_open(pid))
        except BaseException:
            # Descriptors ran out between fork and here. Nobody knows of the child yet: it must not stay.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def _watch(self, pid: int, pidfd: int, adopted_ticks: int | None = None) -> LocalProcess:
        """Take the descriptor over and watch it; closes it when that fails."""
        try:
            process = LocalProcess(pid, pidfd, adopted_ticks, self._watched)
        except BaseException:
            os.close(pidfd)
            raise
        self._watched[process] = None
        return process


class LocalProcess:
    """`virtsim.host.abc.Process` of a `LocalLauncher`; belongs to the event loop on which it was started."""

    def __init__(
        self, pid: int, pidfd: int, adopted_ticks: int | None, watched: dict[LocalProcess, None]
    ) -> None:
        self._pid = pid
        self._adopted_ticks = adopted_ticks
        self._watched = watched
        self._status: ExitStatus | None = None
        self._waiters = Waiters()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pidfd, self._end)
        #: None once the process has ended or the launcher is closed.
        self._pidfd: int | None = pidfd

    def __repr__(self) -> str:
        return f"<LocalProcess {self._pid} {self._status or 'running'}>"

    @property
    def pid(self) -> int:
        """The process id; stays readable after the end."""
        return self._pid

    def alive(self) -> bool:
        """Whether the process still runs; False at once when it is dead, even before the loop has noticed."""
        if self._status is not None:
            return False
        if self._pidfd is None:
            return self._alive_unwatched()
        if _readable(self._pidfd):
            self._end()
        return self._status is None

    def signal(self, signum: int) -> None:
        """Send a signal; 0 only asks.

        Raises:
            ProcessLookupError: the process is gone.
            PermissionError: it is not ours to signal.
        """
        if not self.alive():
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        if self._pidfd is not None:
            signal.pidfd_send_signal(self._pidfd, signum)
        elif self._adopted_ticks is None:
            os.kill(self._pid, signum)  # our own unreaped child: nobody else can have its number
        else:
            pidfd = _open_verified(self._pid, self._adopted_ticks)
            try:
                signal.pidfd_send_signal(pidfd, signum)
            finally:
                os.close(pidfd)

    async def wait(self) -> ExitStatus:
        """Return the exit status once the process is gone; any number of waiters, each may be cancelled.

        Raises:
            RuntimeError: the launcher was closed before the end.
        """
        self.alive()  # notices an end that the loop has not seen yet
        if self._status is not None:
            return self._status
        if self._pidfd is None:
            raise RuntimeError("the launcher was closed while the process was running")
        return await self._waiters.wait()

    def _end(self) -> None:
        """Reap the process, which is dead; give everybody its status."""
        if self._pidfd is None:
            return
        try:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            # Another's child; or ours, and somebody else in this program reaped it or ignores SIGCHLD.
            self._status = ExitStatus()
        else:
            if result is None:
                return  # a debugger holds it: dead, but not yet ours to reap; the loop will call again
            self._status = _status(result)
        self._release()
        self._waiters.ended(self._status)

    def _abandon(self) -> None:
        """Stop watching: the launcher is closed."""
        if not self.alive() or self._pidfd is None:
            return
        self._release()
        if self._adopted_ticks is None:
            _left_running.add(self._pid)
        self._waiters.abandoned()

    def _release(self) -> None:
        """Give the descriptor back."""
        if self._pidfd is not None:
            # A closed loop has already forgotten its readers.
            if not self._loop.is_closed():
                self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        self._watched.pop(self, None)

    def _alive_unwatched(self) -> bool:
        if self._adopted_ticks is not None:
            return start_ticks(self._pid) == self._adopted_ticks
        if self._pid not in _left_running:
            return False
        _reap_left_running()
        return self._pid in _left_running


def _open_log(path: str) -> tuple[int, bool]:
    """A descriptor that appends to the log, and whether the file is new."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600), True
    except FileExistsError:
        return os.open(path, flags), False


def _fork_exec(argv: Sequence[str], fds: Sequence[int], log_fd: int, env: Mapping[str, str]) -> int:
    """Start the program; returns its PID once exec has succeeded."""
    child = subprocess.Popen(  # noqa: S603 - no shell, and starting what we are told is the purpose
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=log_fd,
        stderr=log_fd,
        pass_fds=tuple(fds),
        cwd="/",
        env=env,
        start_new_session=True,
        umask=_UMASK,
    )
    # We reap by pidfd. With a return code Popen believes that all is done: it neither warns about a running
    # child when it is collected, nor puts it on subprocess's own list of children to reap, where it would
    # race with us.
    child.returncode = 0
    return child.pid


def _open_verified(pid: int, ticks: int) -> int:
    """A pidfd of the process of that number and start time, or ProcessLookupError.

    The order matters: once the pidfd is open it means one process for ever, and only then is it asked who it
    is.
    """
    pidfd = os.pidfd_open(pid)
    if start_ticks(pid) != ticks or _readable(pidfd):
        os.close(pidfd)
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return pidfd


def _readable(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def _status(result: os.waitid_result) -> ExitStatus:
    if result.si_code == os.CLD_EXITED:
        return ExitStatus(code=result.si_status)
    return ExitStatus(signal=result.si_status)


def _reap_left_running() -> None:
    for pid in sorted(_left_running):
        try:
            gone = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
        except ChildProcessError:
            gone = True
        if gone:
            _left_running.discard(pid)
