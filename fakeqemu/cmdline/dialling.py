"""Sockets of the command line that are not a path to listen on: TCP, and those that QEMU itself connects.

Knows chardev/char-socket.c of QEMU 7.2 at start. Must not know who speaks on them. Imported when a command
line has one.
"""

from __future__ import annotations

from fakeqemu.actions import Accept, Connect, Listen, Stderr
from fakeqemu.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.cmdline.parts import Chardev
    from fakeqemu.machine import FakeQemu

__all__ = ["hung_up", "is_client", "open_socket", "port_words"]

_SECOND_NS = 1_000_000_000
_BIND = "Failed to bind socket to "
#: What a resolver says (EAI_* of getaddrinfo); everything else is bind()'s.
_RESOLVER = (
    "Name or service",
    "Temporary failure",
    "Non-recoverable",
    "No address",
    "Servname",
    "System error",
)


def is_client(chardev: Chardev) -> bool:
    """Whether QEMU connects it, and does not listen."""
    return chardev.backend == "socket" and not chardev.server and chardev.fd is None


def open_socket(machine: FakeQemu, chardev: Chardev) -> None:
    """Listen on a TCP port, or connect."""
    if "host" in chardev.options and not chardev.options.get("port"):
        text = f"{chardev.text}: chardev: socket: no port given"
        machine.finish(1, f"{machine.line.program}: {text}", linger=False)
    elif is_client(chardev):
        _dial(machine, chardev, first=True)
    elif "port" in chardev.options:
        machine.do(0, Listen(chardev.id, address=_tcp(chardev)))
        machine.listeners.append(chardev)
        machine.do(0, Accept(chardev.id))


def hung_up(machine: FakeQemu, chardev: Chardev) -> None:
    """The peer has gone: try again after a while, when that was asked for."""
    seconds = _seconds(chardev)
    if seconds:
        machine.later(seconds * _SECOND_NS, lambda: _dial(machine, chardev, first=False))


def port_words(reason: str) -> str:
    """QEMU's words for a TCP address that could not be bound (util/qemu-sockets.c)."""
    address, colon, words = reason.removeprefix(_BIND).rpartition(": ")
    if not colon or address.startswith("/") or not address.rpartition(":")[2].isdigit():
        return reason
    if words.startswith(_RESOLVER):
        return f"address resolution failed for {address}: {words}"
    return f"Failed to find an available port: {words}"


class _Dial(Channel):
    """A connection that is being made; whoever speaks on it comes when it is there."""

    __slots__ = ("chardev", "first")

    def __init__(self, chardev: Chardev, *, first: bool) -> None:
        super().__init__()
        self.chardev, self.first = chardev, first

    def opened(self, machine: FakeQemu, reason: str | None) -> None:
        """The connection is there, or is not."""
        chardev = self.chardev
        if reason is None:
            from fakeqemu.protocol.session import open_session

            del machine.channels[self.conn]
            machine.conns[self.conn] = chardev.id
            open_session(machine, chardev.id, self.conn)
            return
        text = _refusal(chardev, reason)
        if _seconds(chardev):
            if self.first:
                words = f"Unable to connect character device {chardev.id}: {text}"
                machine.do(0, Stderr(f"{machine.line.program}: {words}\n"))
            hung_up(machine, chardev)
        else:
            machine.finish(1, f"{machine.line.program}: {chardev.text}: {text}", linger=False)


def _dial(machine: FakeQemu, chardev: Chardev, *, first: bool) -> None:
    conn = machine.open_channel(_Dial(chardev, first=first))
    machine.do(0, Connect(conn, chardev.path if chardev.path is not None else _tcp(chardev)))


def _refusal(chardev: Chardev, reason: str) -> str:
    where = chardev.path if chardev.path is not None else "{}:{}".format(*_tcp(chardev))
    if reason.startswith(_RESOLVER):
        return f"address resolution failed for {where}: {reason}"
    return f"Failed to connect to '{where}': {reason}"


def _tcp(chardev: Chardev) -> tuple[str, int]:
    port = str(chardev.options.get("port", "0"))
    return str(chardev.options.get("host", "")), int(port) if port.isdigit() else 0


def _seconds(chardev: Chardev) -> int:
    text = str(chardev.options.get("reconnect", "0"))
    return int(text) if text.isdigit() else 0
