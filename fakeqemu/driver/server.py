# ruff: noqa: SLF001  (posix._exit is what it is)
"""``fakeqemu server``: a process that has everything loaded, and forks a fake QEMU for each request.

Knows forks, descriptors and the requests. Must not know what a fake does.

The protocol is JSON, one message a line, over a Unix stream socket. A client asks::

    {"id": 1, "argv": ["/usr/bin/qemu-system-x86_64", ...], "env": {"FAKEQEMU_SCRIPT": "..."},
     "fds": [[1, 2], 22]}

on one line, and sends one descriptor beside the message (SCM_RIGHTS) for each entry of ``fds``: the numbers
that it has in the new process. What is not named there is closed, but standard streams, which are /dev/null.
``env`` is the whole environment; ``umask`` (an integer, 63) and ``cwd`` ("/") may be there. The answer is
``{"id": 1, "pid": 4711}`` or ``{"id": 1, "error": "text"}``; later, on the same connection,
``{"exit": 4711, "code": 0}`` or ``{"exit": 4711, "signal": 9}``, once the process has left the process table.
Processes outlive the connection and the server.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import fcntl
import json
import posix
import time
from _socket import (
    AF_UNIX,
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    SCM_RIGHTS,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
)
from _socket import socket as Socket  # noqa: N812 - a class, whatever its case
from contextlib import suppress
from select import EPOLLIN, EPOLLOUT, epoll

from fakeqemu.driver.wires import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from fakeqemu.scripts.script import Script

__all__ = ["Server"]

_READ_SIZE = 1 << 18
#: SCM_MAX_FD of Linux.
_ANCILLARY = CMSG_SPACE(253 * 4)
#: A request longer than this ends the connection; no command line of Linux is.
_MAX_REQUEST = 1 << 22
#: Answers that a client has not taken.
_MAX_UNREAD = 1 << 24
#: How many descriptors wait for their request.
_MAX_FDS = 1024
_UMASK = 0o077
#: New objects of a fake before its first garbage collection.
_COLLECT_AFTER = 20_000


class _Client:
    """One connection: what came of a message, and what is still to be sent."""

    __slots__ = ("fds", "held", "sock", "unread")

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.held = bytearray()
        self.unread = bytearray()
        self.fds: list[int] = []


class Server:
    """Serves requests until it is told to end.

    Args:
        listener: where clients connect; None when there is only the one client.
        client: a connection that is there already; the server ends with it when there is no listener.
    """

    def __init__(self, listener: Socket | None = None, client: Socket | None = None) -> None:
        self._epoll = epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._listener = listener
        self._clients: dict[int, _Client] = {}
        self._owners: dict[int, _Client] = {}
        self._scripts: dict[tuple[Any, ...], Script | None] = {}
        self._known: set[str] = set()
        self._ending = False
        self._wake, self._woken = posix.pipe2(posix.O_CLOEXEC | posix.O_NONBLOCK)
        self._watch(self._wake, self._signalled)
        if listener is not None:
            listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            self._watch(listener.fileno(), self._accept)
        if client is not None:
            self._serve(client)

    def prepare(self, program: str = "qemu-system-x86_64") -> None:
        """Load what a fake of that program needs until its first answers, by playing one."""
        name = program.rpartition("/")[2]
        if name in self._known:
            return
        self._known.add(name)
        from fakeqemu.driver.rehearsal import rehearse

        rehearse(name)
        import gc

        gc.collect()
        # What is there by now is shared with every fake, as long as no collector writes into it; and a start
        # is over before the first collection.
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER)

    def run(self) -> None:
        """Serve, until SIGTERM or SIGINT, or until the only client has gone."""
        _signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for signum in (_signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT):
            _signal.signal(signum, self._note)
        # As the processes do: a relative path means the same here and there.
        posix.chdir("/")
        self.prepare()
        while not self._ending and (self._listener is not None or self._clients):
            self.turn()

    def turn(self, timeout: float = -1) -> None:
        """Wait, for so many seconds or for ever, and do what is to be done."""
        for fd, events in self._epoll.poll(timeout):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)

    def close(self) -> None:
        """Hang up on everybody."""
        for client in list(self._clients.values()):
            self._lost(client)
        self._epoll.close()
        posix.close(self._wake)
        posix.close(self._woken)

    def _note(self, signum: int, _frame: object) -> None:
        if signum != _signal.SIGCHLD:
            self._ending = True

    def _watch(self, fd: int, handler: Callable[[int], None]) -> None:
        self._handlers[fd] = handler
        self._epoll.register(fd, EPOLLIN)

    # -- clients ---------------------------------------------------------------------------------------------

    def _accept(self, _events: int) -> None:
        if self._listener is None:
            return
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # as socket.socket.accept does
        except OSError:
            return  # the client has gone again
        self._serve(Socket(AF_UNIX, SOCK_STREAM, 0, fd))

    def _serve(self, sock: Socket) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        client = self._clients[sock.fileno()] = _Client(sock)
        self._watch(sock.fileno(), lambda events: self._ready(client, events))

    def _ready(self, client: _Client, events: int) -> None:
        if events & EPOLLOUT:
            self._flush(client)
        if not events & ~EPOLLOUT or client.sock.fileno() not in self._clients:
            return
        try:
            data, extra, _, _ = client.sock.recvmsg(_READ_SIZE, _ANCILLARY, MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, extra = b"", []
        for level, kind, payload in extra:
            if level == SOL_SOCKET and kind == SCM_RIGHTS:
                client.fds += numbers(payload)
        self._received(client, data)

    def _received(self, client: _Client, data: bytes) -> None:
        client.held += data
        if not data or len(client.fds) > _MAX_FDS:
            self._lost(client)
            return
        *lines, rest = client.held.split(b"\n")
        client.held = bytearray(rest)
        for line in lines:
            if line.strip():
                self._asked(client, bytes(line))
        if len(client.held) > _MAX_REQUEST:
            self._lost(client)

    def _lost(self, client: _Client) -> None:
        if self._clients.pop(client.sock.fileno(), None) is None:
            return
        self._handlers.pop(client.sock.fileno(), None)
        self._epoll.unregister(client.sock.fileno())
        client.sock.close()
        for fd in client.fds:
            posix.close(fd)
        client.fds.clear()

    def _say(self, client: _Client, message: dict[str, Any]) -> None:
        if client.sock.fileno() not in self._clients:
            return
        client.unread += json.dumps(message).encode() + b"\n"
        self._flush(client)
        if len(client.unread) > _MAX_UNREAD:
            self._lost(client)

    def _flush(self, client: _Client) -> None:
        try:
            sent = client.sock.send(client.unread)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lost(client)
            return
        del client.unread[:sent]
        self._epoll.modify(client.sock.fileno(), EPOLLIN | (EPOLLOUT if client.unread else 0))

    # -- requests --------------------------------------------------------------------------------------------

    def _asked(self, client: _Client, line: bytes) -> None:
        answer: dict[str, Any] = {}
        fds: list[int] = []
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise TypeError("not an object")
            if "id" in request:
                # What is just flat enough to be read may be too deep to be said, a few frames further down.
                json.dumps([[[[[[[[request["id"]]]]]]]]])
                answer["id"] = request["id"]
            places = _places(request.get("fds", []))
            fds, client.fds = client.fds[: len(places)], client.fds[len(places) :]
            answer["pid"] = self._start(client, _checked(request), list(zip(fds, places, strict=True)))
        except (ValueError, TypeError, RecursionError) as error:
            answer["error"] = f"bad request: {error}"
        except OSError as error:
            answer["error"] = error.strerror or str(error)
        for fd in fds:
            posix.close(fd)
        self._say(client, answer)

    def _start(self, client: _Client, request: dict[str, Any], handed: list[tuple[int, list[int]]]) -> int:
        argv: list[str] = request["argv"]
        self.prepare(argv[0])
        script = self._script(request["env"])
        pid = self._fork()
        if pid == 0:
            self._become(request, handed, script)
        self._owners[pid] = client
        return pid

    def _fork(self) -> int:
        return posix.fork()

    def _script(self, env: dict[str, str]) -> Script | None:
        """The script that an environment names, read once; a mistake is the new process's to tell."""
        words = tuple(env.get(f"FAKEQEMU_{name}") for name in ("SCRIPT", "PRESET", "CTL"))
        if not any(words):
            return None
        from fakeqemu.scripts.script import ScriptError, configured

        try:
            found = posix.stat(words[0]) if words[0] else None
            key = (*words, found and (found.st_mtime_ns, found.st_size, found.st_ino))
            if key not in self._scripts:
                if len(self._scripts) > 256:
                    self._scripts.clear()
                self._scripts[key] = configured(*words)
            return self._scripts[key]
        except (OSError, ScriptError):
            return None

    # -- the end of processes --------------------------------------------------------------------------------

    def _signalled(self, _events: int) -> None:
        try:
            posix.read(self._wake, 1 << 16)
        except BlockingIOError:
            return
        while True:
            try:
                pid, status = posix.waitpid(-1, posix.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            client = self._owners.pop(pid, None)
            if client is not None:
                ended = posix.waitstatus_to_exitcode(status)
                how = {"code": ended} if ended >= 0 else {"signal": -ended}
                self._say(client, {"exit": pid, **how})

    # -- the new process -------------------------------------------------------------------------------------

    def _become(
        self, request: dict[str, Any], handed: list[tuple[int, list[int]]], script: Script | None
    ) -> NoReturn:
        """Be a fake; never returns."""
        start_ns = time.monotonic_ns()
        try:
            _signal.set_wakeup_fd(-1)
            for signum in (_signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT):
                _signal.signal(signum, _signal.SIG_DFL)
            posix.setsid()
            posix.umask(request["umask"])
            posix.chdir(request["cwd"])
            self._take_descriptors(handed)
            posix.environ.clear()
            for name, value in request["env"].items():
                posix.environ[name.encode("utf-8", "surrogateescape")] = value.encode(
                    "utf-8", "surrogateescape"
                )
            argv: list[str] = request["argv"]
            _call_me(argv[0].rpartition("/")[2])
            from fakeqemu.driver.process import main

            main(argv, script=script, start_ns=start_ns)
        finally:
            posix._exit(1)

    def _take_descriptors(self, handed: list[tuple[int, list[int]]]) -> None:
        """Give the descriptors their numbers; close the server's."""
        above = max([2, *self._handlers, self._woken, self._epoll.fileno(), *(fd for fd, _ in handed)])
        above = max([above, *(place for _, places in handed for place in places)]) + 1
        # Nothing is open from there on but what is moved there now.
        moved = [(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above), places) for fd, places in handed]
        posix.closerange(0, above)
        null = posix.open("/dev/null", posix.O_RDWR)
        for fd in range(3):
            if fd != null:
                posix.dup2(null, fd)
        if null > 2:
            posix.close(null)
        for fd, places in moved:
            for place in places:
                posix.dup2(fd, place)
            posix.close(fd)


def _places(value: Any) -> list[list[int]]:
    """The numbers of each descriptor in the new process.

    Raises:
        TypeError: they are none.
    """
    if not isinstance(value, list):
        raise TypeError("fds is not a list")
    places = [entry if isinstance(entry, list) else [entry] for entry in value]
    if not all(type(number) is int and 0 <= number < 1 << 16 for entry in places for number in entry):
        raise TypeError("fds holds something else than numbers of descriptors")
    return places


def _checked(request: dict[str, Any]) -> dict[str, Any]:
    """The request with its defaults.

    Raises:
        TypeError: something in it is of the wrong type.
    """
    argv, env = request.get("argv"), request.get("env", {})
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
        raise TypeError("argv is not a list of strings")
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise TypeError("env is not an object of strings")
    umask, cwd = request.get("umask", _UMASK), request.get("cwd", "/")
    if type(umask) is not int or not 0 <= umask <= 0o777 or not isinstance(cwd, str):
        raise TypeError("umask is not a number from 0 to 511, or cwd not a string")
    return {"argv": argv, "env": env, "umask": umask, "cwd": cwd}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _call_me(name: str) -> None:
    """The name under which the process list shows us."""
    try:
        fd = posix.open("/proc/self/comm", posix.O_WRONLY | posix.O_CLOEXEC)
    except OSError:
        return
    try:
        posix.write(fd, _bytes(name)[:15])
    finally:
        posix.close(fd)


def listening(path: str) -> Socket:
    """A listener on a path, which nobody else may serve.

    Raises:
        OSError: the path cannot be bound, or somebody serves it.
    """
    sock = Socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
    try:
        if sock.connect_ex(path) == 0:
            raise OSError(98, posix.strerror(98), path)
        with suppress(FileNotFoundError):
            posix.unlink(path)
        sock.close()
        sock = Socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
        sock.bind(path)
        sock.listen(128)
    except BaseException:
        sock.close()
        raise
    return sock


def serve_fd(fd: int) -> None:
    """Serve the one client behind an inherited descriptor, and end with it."""
    posix.set_inheritable(fd, False)  # noqa: FBT003 - the system call's own signature
    Server(client=Socket(fileno=fd)).run()


def serve_path(path: str) -> None:
    """Serve whoever connects to a path, until SIGTERM or SIGINT.

    Raises:
        OSError: the path cannot be bound, or somebody serves it.
    """
    server = Server(listening(path))
    path = path if path.startswith("/") else f"{posix.getcwd()}/{path}"
    try:
        server.run()
    finally:
        with suppress(FileNotFoundError):
            posix.unlink(path)
