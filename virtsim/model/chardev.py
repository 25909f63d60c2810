"""What character devices share: the host's end of serial ports, consoles and channels."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import ONOFF, UINT, YESNO, choice
from virtsim.model._fields import Wording, at

__all__ = ["CHARDEV_TYPES", "CHARDEV_WORDS", "CharSource"]

CHARDEV_TYPES = choice(
    "null",
    "vc",
    "pty",
    "dev",
    "file",
    "pipe",
    "stdio",
    "udp",
    "tcp",
    "unix",
    "spicevmc",
    "spiceport",
    "nmdm",
    "qemu-vdagent",
    "dbus",
)
CHARDEV_WORDS = Wording(
    "unknown type presented to host for character device: {}", code=ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED
)


@dataclass(frozen=True, slots=True)
class CharSource:
    """``<source>`` of a character device; which attributes count depends on the device's type."""

    mode: str | None = at("@mode", choice("connect", "bind"))
    path: str | None = at("@path")
    append: bool | None = at("@append", ONOFF)
    host: str | None = at("@host")
    service: str | None = at("@service")
    tls: bool | None = at("@tls", YESNO)
    channel: str | None = at("@channel")
    reconnect: bool | None = at("reconnect/@enabled", YESNO)
    reconnect_s: int | None = at("reconnect/@timeout", UINT)
