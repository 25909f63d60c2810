"""The socket of the NBD server: it listens, takes clients and closes them again.

Knows how a listener is opened by name. Must not know exports.
"""

from __future__ import annotations

from fakeqemu.actions import Accept, Close, CloseListener, Listen, Unlink
from fakeqemu.channel import Acceptor
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.channel import Channel
    from fakeqemu.machine import FakeQemu
    from fakeqemu.registry import Deferred

__all__ = ["Listener", "checked"]

NAME = "nbd-server"


def checked(machine: FakeQemu, address: dict[str, Any]) -> tuple[str | None, tuple[str, int] | None]:
    """Where to listen: a path, or host and port.

    Raises:
        CommandError: no place to listen, in QEMU's words.
    """
    kind, data = address["type"], address.get("data") or address
    if kind == "unix":
        path = str(data["path"])
        return path, None
    if kind == "inet":
        port = str(data["port"])
        if not port.isdigit():
            word = (
                "Name or service not known"
                if data.get("numeric")
                else "Servname not supported for ai_socktype"
            )
            text = f"address resolution failed for {data['host']}:{port}: {word}"
            raise CommandError("GenericError", text)
        return None, (str(data["host"]), int(port))
    if kind == "fd":
        raise CommandError("GenericError", f"File descriptor named '{data['str']}' has not been found")
    for key in ("cid", "port") if kind == "vsock" else ():
        if not str(data[key]).isdigit():
            raise CommandError("GenericError", f"Failed to parse {key} '{data[key]}'")
    del machine
    raise CommandError("GenericError", "socket address family is not supported")


class Listener(Acceptor):
    """The server's listener; ``waiting`` is answered once it is known whether the place can be had."""

    __slots__ = ("machine", "path", "waiting")

    def __init__(
        self, machine: FakeQemu, path: str | None, address: tuple[str, int] | None, waiting: Deferred
    ) -> None:
        self.machine, self.path, self.waiting = machine, path, waiting
        machine.acceptors[NAME] = self
        machine.do(0, Listen(NAME, path=path, address=address))
        machine.do(0, Accept(NAME))
        machine.later(0, self._listens)

    def _listens(self) -> None:
        self.waiting.resolve()

    def accepted(self, machine: FakeQemu, conn: int) -> Channel | None:
        """A client: nothing is served here."""
        machine.do(0, Close(conn))
        return None

    def refused(self, machine: FakeQemu, reason: str) -> None:
        """The place cannot be had."""
        from fakeqemu.block import graph_of

        exports = graph_of(machine).exports
        exports.address = exports.listener = None
        self.waiting.fail(CommandError("GenericError", reason))

    def close(self) -> None:
        """Listen no more."""
        self.machine.acceptors.pop(NAME, None)
        self.machine.do(0, CloseListener(NAME))
        if self.path is not None:
            self.machine.do(0, Unlink(self.path))
