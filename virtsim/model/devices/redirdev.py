"""USB devices redirected from a viewer: ``<redirdev>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import UINT, choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address
from virtsim.model.chardev import CHARDEV_TYPES, CHARDEV_WORDS, CharSource

__all__ = ["Redirdev"]


@dataclass(frozen=True, slots=True)
class Redirdev:
    """``<redirdev>``."""

    bus: str = at("@bus", choice("usb"), "usb")
    type: str = at("@type", CHARDEV_TYPES, "spicevmc", words=CHARDEV_WORDS)
    source: CharSource | None = sub("source", CharSource, empty=False)
    boot_order: int | None = at("boot/@order", UINT)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
