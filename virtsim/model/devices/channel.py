"""Channels between host and guest: ``<channel>``, such as the guest agent's."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import ONOFF, TEXT, choice
from virtsim.model._fields import Wording, at, sub
from virtsim.model.address import ADDRESS, Address
from virtsim.model.chardev import CHARDEV_TYPES, CHARDEV_WORDS, CharSource

__all__ = ["Channel"]

_TARGET = Wording(missing="target type must be specified for channel device")


@dataclass(frozen=True, slots=True)
class Channel:
    """``<channel>``; ``state`` is the guest's end of a running domain."""

    type: str = at("@type", CHARDEV_TYPES, "unix", words=CHARDEV_WORDS)
    source: CharSource | None = sub("source", CharSource, empty=False)
    protocol: str | None = at("protocol/@type", choice("raw", "telnet", "telnets", "tls"))
    log_file: str | None = at("log/@file")
    log_append: bool | None = at("log/@append", ONOFF)
    target_type: str = at(
        "target/@type", choice("virtio", "guestfwd", "xen"), "virtio", required=True, words=_TARGET
    )
    target_name: str | None = at("target/@name", TEXT)
    state: str | None = at("target/@state", choice("connected", "disconnected"))
    target_address: str | None = at("target/@address")
    target_port: str | None = at("target/@port")
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
