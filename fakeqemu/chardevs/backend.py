"""One character device: its back end, and the connection it has now.

Knows how bytes get out of the machine and in. Must not know who uses them.
"""

from __future__ import annotations

from fakeqemu.actions import Send
from fakeqemu.channel import Channel, close_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from fakeqemu.cmdline.parts import Chardev
    from fakeqemu.machine import FakeQemu

    class Front(Protocol):
        """Who speaks on a character device."""

        backend: Backend

        def heard(self, data: bytes) -> None:
            """Bytes came in."""


__all__ = ["Backend"]

#: Size of a ring buffer that says nothing of it (qemu_chr_open_ringbuf).
RING = 65536


class Backend(Channel):
    """A character device.

    Attributes:
        id: its id.
        kind: the back end's name, as QMP spells it: ``socket``, ``pty``, ``ringbuf``, ...
        options: what was said of it, flat: ``path``, ``fd``, ``host``, ``port``, ``server``, ``telnet``,
            ``websocket``, ``reconnect``, ``size``, ``out``, ``append``, ``chardev``.
        name: the terminal of a pty.
        front: who speaks on it, if anybody in the fake does.
        extra: whether it came by ``chardev-add``.
    """

    __slots__ = ("_logged", "_ring", "extra", "front", "id", "kind", "name", "options")

    def __init__(self, ident: str, kind: str, options: dict[str, Any], *, extra: bool = False) -> None:
        super().__init__(0)
        self.id, self.kind, self.options, self.extra = ident, kind, options, extra
        self.name = ""
        self.front: Front | None = None
        self._ring: bytearray | None = None
        self._logged = False

    @classmethod
    def of(cls, chardev: Chardev) -> Backend:
        """A character device of the command line."""
        kind = {"tty": "serial", "parport": "parallel"}.get(chardev.backend, chardev.backend)
        options: dict[str, Any] = dict(chardev.options)
        if kind == "socket":
            options["server"] = chardev.server
            options["fd"] = chardev.fd
        if kind == "file" and "path" in options:
            options["out"] = options["path"]
        return cls(chardev.id, kind, options)

    @property
    def server(self) -> bool:
        """Whether it is a socket that listens."""
        return self.kind == "socket" and bool(self.options.get("server"))

    def filename(self, *, connected: bool) -> str:
        """What ``query-chardev`` calls it, with a client or without."""
        if self.kind == "pty":
            return f"pty:{self.name}"
        if self.kind != "socket":
            return self.kind
        options = self.options
        server = ",server=on" if self.server else ""
        if options.get("path") is not None:
            # A client's own end has no name.
            text = f"unix:{options['path'] if self.server or not connected else ''}{server}"
        elif options.get("fd") is not None:
            text = "unix:,server=on" if self.server else f"fd:{options['fd']}"
        else:
            sort = "telnet" if _on(options, "telnet") else "websocket" if _on(options, "websocket") else "tcp"
            text = f"{sort}:{options.get('host', '')}:{options.get('port', '')}{server}"
        return text if connected else f"disconnected:{text}"

    # -- out ------------------------------------------------------------------------------------------------

    def write(self, machine: FakeQemu, data: bytes) -> None:
        """The machine says something on it; nobody hears it where nobody listens."""
        if self.options.get("logfile"):
            self._log(machine, data)
        if self.kind in ("socket", "pty", "pipe", "serial", "file", "stdio"):
            if self.conn:
                machine.do(0, Send(self.conn, data))
        elif self.kind in ("ringbuf", "memory"):
            self.put(data)
        elif self.kind == "mux":
            from fakeqemu.chardevs.table import chardevs_of

            base = chardevs_of(machine).find(str(self.options.get("chardev")))
            if base is not None and base is not self and base.kind != "mux":
                base.write(machine, data)

    def _log(self, machine: FakeQemu, data: bytes) -> None:
        """Whatever is said is in the log, too (logfile=, logappend=), unless that is a set of descriptors."""
        path = str(self.options["logfile"])
        first, self._logged = not self._logged, True
        if path.startswith("/dev/fdset/"):
            return
        fresh = first and not _on(self.options, "logappend")
        offset = 0 if fresh else machine.host.length(path) or 0
        machine.host.write(path, data, offset=offset, truncate=fresh)

    # -- ring buffers ---------------------------------------------------------------------------------------

    def put(self, data: bytes) -> None:
        """Write into a ring buffer: the oldest bytes fall out."""
        ring = self._ring
        if ring is None:
            ring = self._ring = bytearray()
        ring += data
        size = int(self.options.get("size") or RING)
        if len(ring) > size:
            del ring[: len(ring) - size]

    def take(self, size: int) -> bytes:
        """Read from a ring buffer, and take out what was read."""
        ring = self._ring
        if ring is None:
            return b""
        data = bytes(ring[:size])
        del ring[:size]
        return data

    # -- in -------------------------------------------------------------------------------------------------

    def received(self, machine: FakeQemu, data: bytes, fds: Sequence[int]) -> None:
        """A client says something."""
        close_all(machine, fds)
        if self.front is not None:
            self.front.heard(data)

    def opened(self, machine: FakeQemu, reason: str | None) -> None:
        """The connection that the machine asked for is there, or is not."""
        from fakeqemu.chardevs.opening import connected, failed

        if reason is None:
            connected(machine, self)
        else:
            self.conn = 0
            failed(machine, self, reason)

    def closed(self, machine: FakeQemu) -> None:
        """The client has gone."""
        self.conn = 0
        if not self.server and self.options.get("reconnect"):
            from fakeqemu.chardevs.opening import reconnect

            reconnect(machine, self)


def _on(options: dict[str, Any], name: str) -> bool:
    return options.get(name) in (True, "on", "yes", "true", "y")
