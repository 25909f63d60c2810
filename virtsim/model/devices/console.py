"""Consoles: ``<console>``, the first of which stands for the first serial port."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import ONOFF, UINT, choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address
from virtsim.model.chardev import CHARDEV_TYPES, CHARDEV_WORDS, CharSource

__all__ = ["Console"]


@dataclass(frozen=True, slots=True)
class Console:
    """``<console>``."""

    type: str = at("@type", CHARDEV_TYPES, "pty", words=CHARDEV_WORDS)
    tty: str | None = at("@tty")
    source: CharSource | None = sub("source", CharSource, empty=False)
    protocol: str | None = at("protocol/@type", choice("raw", "telnet", "telnets", "tls"))
    log_file: str | None = at("log/@file")
    log_append: bool | None = at("log/@append", ONOFF)
    target_type: str | None = at(
        "target/@type", choice("none", "serial", "xen", "uml", "virtio", "lxc", "openvz", "sclp", "sclplm")
    )
    port: int | None = at("target/@port", UINT)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
