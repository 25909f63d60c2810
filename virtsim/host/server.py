"""Starts fake QEMUs through a server that has them loaded already.

Knows the server's protocol (docstring of ``fakeqemu.driver.server``: JSON lines and descriptors) and logs.
Must not know what a QEMU does.

A fork of a process that has everything loaded takes a millisecond, where an interpreter needs ten to start;
and what was loaded before the fork is shared. The price: the programs are children of the server, not ours,
so it is the server that says how each ended.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from virtsim.host.abc import ExitStatus, Files
from virtsim.host.files import LocalFiles
from virtsim.host.launcher import default_environment
from virtsim.host.waiters import Waiters

__all__ = ["ServerLauncher", "ServerProcess"]

_SERVE = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from fakeqemu.driver.server import serve_fd; serve_fd(int(sys.argv[2]))"
)
_READ_SIZE = 1 << 16


class ServerLauncher:
    """`virtsim.host.abc.Launcher` whose programs are all fake QEMUs, whatever they are called.

    The server starts with the first program and ends with the launcher; the programs live on.

    Args:
        files: makes the directory of a log that has none; the host's own files by default.
        env: added to the default environment of every program started without an environment of its own.
        path: where a server listens that runs already; None to start one.
    """

    def __init__(
        self, files: Files | None = None, env: Mapping[str, str] | None = None, path: str | None = None
    ) -> None:
        self._files = files if files is not None else LocalFiles()
        self._extra_env = dict(env or {})
        self._path = path
        self._sock: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held = b""
        self._asked: dict[int, asyncio.Future[ServerProcess]] = {}
        self._next = 0
        self._processes: dict[int, ServerProcess] = {}
        self._closed = False

    async def spawn(
        self, argv: Sequence[str], *, fds: Sequence[int] = (), log: str, env: Mapping[str, str] | None = None
    ) -> ServerProcess:
        """Start a fake QEMU with that command line.

        When it fails, no process, descriptor or new log file is left behind.

        Args:
            argv: program and arguments; the program is an absolute path and exists, though it does not run.
            fds: descriptors that the program inherits under the same numbers, each above 2; ours stay open.
            log: file to which its standard output and error are appended; made with mode 0600 when missing.
            env: its whole environment, or None for libvirt's default and the launcher's additions.

        Raises:
            OSError: there is no such program, the log cannot be written, or the server could not fork.
            ValueError: no program, or a descriptor that is a standard one.
            RuntimeError: the launcher is closed.
            ConnectionError: the server is gone.
        """
        if self._closed:
            raise RuntimeError("the launcher is closed")
        if not argv or any(fd <= 2 for fd in fds):
            raise ValueError("a program is needed, and descriptors above 2")
        _check_program(argv[0])
        environment = dict(env) if env is not None else {**default_environment(), **self._extra_env}
        self._files.make_dirs(os.path.dirname(log))
        log_fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            request = {"argv": list(argv), "env": environment, "fds": [[1, 2], *fds]}
            return await self._ask(request, [log_fd, *fds])
        finally:
            os.close(log_fd)

    async def aclose(self) -> None:
        """Hang up; ends no program. A later ``wait()`` of one that has not ended raises RuntimeError."""
        self._closed = True
        self._hang_up()
        if self._server is not None:
            server, self._server = self._server, None
            # It ends by itself when its only client has gone.
            server.wait()

    # -- the server ------------------------------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        if self._sock is not None:
            return self._sock
        if self._path is not None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(self._path)
            except BaseException:
                sock.close()
                raise
        else:
            sock = self._start()
        sock.settimeout(0)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)
        self._sock = sock
        return sock

    def _start(self) -> socket.socket:
        found = find_spec("fakeqemu")
        if found is None or not found.submodule_search_locations:
            raise FileNotFoundError(errno.ENOENT, "fakeqemu is not installed")
        parent = os.path.dirname(found.submodule_search_locations[0])
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            fd = theirs.fileno()
            self._server = subprocess.Popen(  # noqa: S603 - our own server
                [sys.executable, "-I", "-S", "-c", _SERVE, parent, str(fd)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(fd,),
                cwd="/",
                start_new_session=True,
            )
        return ours

    async def _ask(self, request: dict[str, Any], fds: list[int]) -> ServerProcess:
        sock = self._connect()
        self._next += 1
        number = request["id"] = self._next
        data = json.dumps(request).encode() + b"\n"
        answer: asyncio.Future[ServerProcess] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            # Nothing awaits between the first byte, which the descriptors go with, and the last.
            sock.settimeout(None)
            sent = socket.send_fds(sock, [data], fds)
            sock.sendall(data[sent:])
        finally:
            sock.settimeout(0)
        try:
            return await answer
        finally:
            self._asked.pop(number, None)

    def _readable(self) -> None:
        if self._sock is None:
            return
        try:
            data = self._sock.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            self._told(json.loads(line))

    def _told(self, message: dict[str, Any]) -> None:
        if "exit" in message:
            process = self._processes.pop(message["exit"], None)
            if process is not None:
                process._ended(ExitStatus(code=message.get("code"), signal=message.get("signal")))  # noqa: SLF001
            return
        answer = self._asked.get(message.get("id", 0))
        process = None
        if "pid" in message:
            pid = message["pid"]
            process = self._processes[pid] = ServerProcess(pid)
        if answer is None or answer.done():
            return
        if process is not None:
            # The process itself: its end may have been read already when whoever asked comes round to it.
            answer.set_result(process)
        else:
            answer.set_exception(OSError(errno.EAGAIN, message.get("error", "no answer")))

    def _hang_up(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(sock.fileno())
            sock.close()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError(errno.ECONNRESET, "the server is gone"))
        for process in self._processes.values():
            process._abandon()  # noqa: SLF001 - the two classes are one mechanism
        self._processes.clear()


def _check_program(path: str) -> None:
    if not os.path.isabs(path) or not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if not os.access(path, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


class ServerProcess:
    """`virtsim.host.abc.Process` of a `ServerLauncher`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._status: ExitStatus | None = None
        self._abandoned = False
        self._waiters = Waiters()

    def __repr__(self) -> str:
        return f"<ServerProcess {self._pid} {self._status or 'running'}>"

    @property
    def pid(self) -> int:
        """The process id; stays readable after the end."""
        return self._pid

    def alive(self) -> bool:
        """Whether it is in the process table; the server takes it out at once when it is dead."""
        try:
            self.signal(0)
        except ProcessLookupError:
            return False
        return True

    def signal(self, signum: int) -> None:
        """Send a signal; 0 only asks.

        Raises:
            ProcessLookupError: the process is gone.
        """
        if self._status is not None:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        os.kill(self._pid, signal.Signals(signum) if signum else 0)

    async def wait(self) -> ExitStatus:
        """Return the exit status once the process is gone; any number of waiters.

        Raises:
            RuntimeError: the launcher was closed before the end, or its server has gone.
        """
        if self._status is not None:
            return self._status
        if self._abandoned:
            raise RuntimeError("the launcher was closed while the process was running")
        return await self._waiters.wait()

    def _ended(self, status: ExitStatus) -> None:
        self._status = status
        self._waiters.ended(status)

    def _abandon(self) -> None:
        self._abandoned = True
        self._waiters.abandoned()
