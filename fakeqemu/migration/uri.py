"""Where a migration goes to or comes from: the URI.

Knows migration/migration.c, util/qemu-sockets.c of QEMU 7.2: which URIs there are, and the texts for those
there are not. Must not know what is sent.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Target", "parse"]


class Target:
    """A URI that was understood: ``kind`` is fd, unix, tcp or exec; ``text`` is what follows it."""

    __slots__ = ("flags", "host", "kind", "port", "text")

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.text = kind, text
        self.host, self.port = "", 0
        self.flags: dict[str, bool] = {}

    @property
    def address(self) -> str | tuple[str, int]:
        """What a driver connects to or listens on."""
        return self.text if self.kind == "unix" else (self.host, self.port)

    @property
    def name(self) -> str:
        """As QEMU's messages name a socket."""
        return self.text if self.kind == "unix" else f"{self.host}:{self.port}"

    @property
    def channel(self) -> str:
        """What its messages call the other end: socket, file or command."""
        return {"fd": "file", "exec": "command"}.get(self.kind, "socket")

    def described(self) -> list[dict[str, Any]]:
        """Member ``socket-address`` of query-migrate."""
        if self.kind == "unix":
            return [{"type": "unix", "path": self.text}]
        family = "ipv6" if ":" in self.host else "ipv4"
        host = "127.0.0.1" if self.host == "localhost" else self.host or "0.0.0.0"  # noqa: S104
        return [{"type": "inet", "host": host, "port": str(self.port), family: True}]


def parse(uri: str) -> Target | None:
    """Read a URI; None when it is none that QEMU knows.

    Raises:
        CommandError: QEMU knows its kind, but not the address.
    """
    kind, colon, text = uri.partition(":")
    if not colon or kind not in ("fd", "unix", "tcp", "exec", "vsock"):
        return None
    target = Target(kind, text)
    if kind == "unix":
        if not text:
            raise CommandError("GenericError", "invalid Unix socket address")
    elif kind == "tcp":
        _inet(target)
    elif kind == "vsock":
        cid, colon, port = text.partition(":")
        if not (cid.isdigit() and port.isdigit()):
            raise CommandError("GenericError", f"error parsing address '{text}'")
        target.host, target.port = cid, int(port)
    return target


def _inet(target: Target) -> None:
    """inet_parse(): host and port, the host perhaps in brackets, options behind a comma."""
    text = target.text
    address, _, options = text.partition(",")
    wrong = CommandError("GenericError", f"error parsing address '{text}'")
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise CommandError("GenericError", f"error parsing IPv6 address '{text}'")
        port = rest[1:]
    else:
        host, colon, port = address.rpartition(":")
        if not colon or ":" in host:
            raise wrong
    if not port:
        raise wrong
    if not port.isdigit():
        raise CommandError(
            "GenericError",
            f"address resolution failed for {host}:{port}: Servname not supported for ai_socktype",
        )
    target.host, target.port = host, int(port)
    for option in options.split(",") if options else ():
        name, _, value = option.partition("=")
        target.flags[name] = value in ("", "on")
