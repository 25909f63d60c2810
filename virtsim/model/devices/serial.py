"""Serial ports: ``<serial>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import ONOFF, UINT, choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address
from virtsim.model.chardev import CHARDEV_TYPES, CHARDEV_WORDS, CharSource

__all__ = ["Serial"]


@dataclass(frozen=True, slots=True)
class Serial:
    """``<serial>``."""

    type: str = at("@type", CHARDEV_TYPES, "pty", words=CHARDEV_WORDS)
    tty: str | None = at("@tty")
    source: CharSource | None = sub("source", CharSource, empty=False)
    protocol: str | None = at("protocol/@type", choice("raw", "telnet", "telnets", "tls"))
    log_file: str | None = at("log/@file")
    log_append: bool | None = at("log/@append", ONOFF)
    target_type: str | None = at(
        "target/@type",
        choice(
            "isa-serial",
            "usb-serial",
            "pci-serial",
            "spapr-vio-serial",
            "system-serial",
            "sclp-serial",
            "isa-debug",
        ),
    )
    port: int | None = at("target/@port", UINT)
    target_model: str | None = at("target/model/@name")
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
