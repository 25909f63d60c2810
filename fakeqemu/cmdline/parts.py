"""The parts of a command line: character devices, monitors, devices; and the error.

Knows what an option says. Must not know how the whole is checked. On the start-up path.
"""

from __future__ import annotations

from fakeqemu.cmdline.keyval import flag, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ArgvError", "Chardev", "Device", "Monitor"]


class ArgvError(Exception):
    """The text QEMU prints before it exits with status 1; with its newline."""


class Chardev:
    """A character device: ``path`` or ``fd`` when it is a socket that listens."""

    __slots__ = ("backend", "fd", "id", "options", "path", "server", "text", "wait")

    def __init__(self, ident: str, backend: str, options: dict[str, str], text: str = "") -> None:
        self.id, self.backend, self.options, self.text = ident, backend, options, text
        self.path = options.get("path") if backend == "socket" else None
        self.fd = number(options["fd"], "fd") if backend == "socket" and "fd" in options else None
        self.server = backend == "socket" and flag(options.get("server", "off"), "server")
        self.wait = self.server and flag(options.get("wait", "on"), "wait")

    @property
    def listens(self) -> bool:
        """Whether clients may connect to it."""
        return self.server and (self.path is not None or self.fd is not None)


class Monitor:
    """A monitor on a character device: for programs (``control``), perhaps pretty, or for people."""

    __slots__ = ("chardev", "control", "pretty", "text")

    def __init__(self, chardev: str, *, control: bool, text: str, pretty: bool = False) -> None:
        self.chardev, self.control, self.text, self.pretty = chardev, control, text, pretty


class Device:
    """A ``-device``, ``-object``, ``-netdev``, ``-blockdev`` or ``-drive``: kind, id and options."""

    __slots__ = ("id", "kind", "options", "text")

    def __init__(self, kind: str, ident: str | None, options: dict[str, Any], text: str) -> None:
        self.kind, self.id, self.options, self.text = kind, ident, options, text
