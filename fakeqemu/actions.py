"""What the fake machine asks its driver to do: the seam between the machine and its two drivers.

The machine never touches the world. Every input (`start`, `connected`, `received`, ...) returns a list of
``(delay_ns, action)``; the driver carries each action out after its delay, in order of (time, sequence).
Plain classes with ``__slots__`` only: this module stands on the start-up path of the process.
"""

from __future__ import annotations

__all__ = [
    "Accept", "Action", "Adopt", "Bind", "Close", "CloseFd", "CloseListener", "Connect", "Daemonize", "Drain",
    "Exit", "Kill", "Listen", "Note", "OpenFile", "OpenPty", "Pace", "Send", "Stderr", "Stdout", "Unlink",
    "Wake", "WritePidfile",
]  # fmt: skip


class Action:
    """Base of all actions."""

    __slots__ = ()

    def __repr__(self) -> str:
        names: tuple[str, ...] = self.__slots__
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        names: tuple[str, ...] = self.__slots__
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in names
        )

    __hash__ = None  # type: ignore[assignment]


class Bind(Action):
    """Create the socket file of a server chardev without listening: connecting gives ECONNREFUSED.

    ``mode`` is the file's permission bits, or None for the usual ones.
    """

    __slots__ = ("chardev", "mode", "path")

    def __init__(self, chardev: str, path: str, mode: int | None = None) -> None:
        self.chardev, self.path, self.mode = chardev, path, mode


class Listen(Action):
    """Listen under a name, mostly a chardev's: at a path, on the inherited ``fd``, or at (host, port).

    A path is unlinked and bound first when it is not bound yet, as QEMU does. QEMU listens with a backlog
    of 1. What cannot be bound is answered with `bind_failed`.
    """

    __slots__ = ("address", "backlog", "chardev", "fd", "path")

    def __init__(
        self,
        chardev: str,
        *,
        path: str | None = None,
        fd: int | None = None,
        address: tuple[str, int] | None = None,
        backlog: int = 1,
    ) -> None:
        self.chardev, self.path, self.fd, self.backlog = chardev, path, fd, backlog
        self.address = address


class Accept(Action):
    """Serve the next client of a listening chardev: one at a time; the driver answers with `connected`."""

    __slots__ = ("chardev",)

    def __init__(self, chardev: str) -> None:
        self.chardev = chardev


class CloseListener(Action):
    """Stop listening on a chardev, or close the listener that was handed in for it; the socket file stays."""

    __slots__ = ("chardev",)

    def __init__(self, chardev: str) -> None:
        self.chardev = chardev


class Unlink(Action):
    """Remove a file that may be absent (socket, pidfile)."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


class Send(Action):
    """Write bytes to a connection; a connection that is gone swallows them."""

    __slots__ = ("conn", "data")

    def __init__(self, conn: int, data: bytes) -> None:
        self.conn, self.data = conn, data


class OpenPty(Action):
    """Open a terminal for a character device; answered with `pty_opened`.

    The connection lives as long as the machine, whoever opens and closes the other side.
    """

    __slots__ = ("chardev",)

    def __init__(self, chardev: str) -> None:
        self.chardev = chardev


class OpenFile(Action):
    """Open what a character device writes to, and reads from unless it is a file; answered with `connected`.

    ``kind`` is ``file`` (written to ``path``, emptied first unless ``append``), ``pipe`` (``path.in`` and
    ``path.out``, or ``path`` for both) or ``stdio`` (standard input and output).
    """

    __slots__ = ("append", "chardev", "kind", "path")

    def __init__(self, chardev: str, kind: str, path: str = "", *, append: bool = False) -> None:
        self.chardev, self.kind, self.path, self.append = chardev, kind, path, append


class Connect(Action):
    """Connect a channel, to a path or to a TCP address; answered with `opened`."""

    __slots__ = ("address", "conn")

    def __init__(self, conn: int, address: str | tuple[str, int]) -> None:
        self.conn, self.address = conn, address


class Adopt(Action):
    """Make a descriptor (inherited, or received with a message) a channel; answered with `opened`.

    It may be a socket, a pipe or a file. It belongs to the channel then, and is closed with it. ``reading``
    says whether to read from it, else it is only written to.
    """

    __slots__ = ("conn", "fd", "reading")

    def __init__(self, conn: int, fd: int, *, reading: bool) -> None:
        self.conn, self.fd, self.reading = conn, fd, reading


class CloseFd(Action):
    """Close a descriptor that was received and is not wanted any more."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd


class Drain(Action):
    """Answer with `drained` once all that was sent on the connection before has left the process."""

    __slots__ = ("conn",)

    def __init__(self, conn: int) -> None:
        self.conn = conn


class Pace(Action):
    """How a connection is served from now on: whether it is read at all, and how fast bytes leave.

    ``rate`` is in bytes a second; None for as fast as the peer takes them.
    """

    __slots__ = ("conn", "rate", "reading")

    def __init__(self, conn: int, *, reading: bool = True, rate: int | None = None) -> None:
        self.conn, self.reading, self.rate = conn, reading, rate


class Close(Action):
    """Close a connection after what was sent before."""

    __slots__ = ("conn",)

    def __init__(self, conn: int) -> None:
        self.conn = conn


class Stderr(Action):
    """Write text to standard error (the domain's log)."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Stdout(Action):
    """Write text to standard output (the same log, for a launched domain)."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Wake(Action):
    """Call ``machine.woken(token)`` after the delay."""

    __slots__ = ("token",)

    def __init__(self, token: object) -> None:
        self.token = token


class WritePidfile(Action):
    """Write the process id and a newline to ``path``."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


class Daemonize(Action):
    """Let the starting process end with status 0; the machine goes on in the background."""

    __slots__ = ()


class Exit(Action):
    """Close everything and leave with an exit status. Nothing happens afterwards."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


class Kill(Action):
    """Die at once as if by this signal. Nothing happens afterwards."""

    __slots__ = ("signum",)

    def __init__(self, signum: int) -> None:
        self.signum = signum


class Note(Action):
    """Tell whoever watches that a rule of the script was applied (journal kind ``fault``)."""

    __slots__ = ("action", "rule")

    def __init__(self, rule: str, action: str) -> None:
        self.rule, self.action = rule, action
