"""Keyboards, mice and tablets: ``<input>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Input"]


@dataclass(frozen=True, slots=True)
class Input:
    """``<input>``."""

    type: str = at(
        "@type", choice("mouse", "tablet", "keyboard", "passthrough", "evdev"), "mouse", required=True
    )
    bus: str | None = at("@bus", choice("ps2", "usb", "xen", "parallels", "virtio", "none"))
    model: str | None = at("@model", choice("virtio", "virtio-transitional", "virtio-non-transitional"))
    source_evdev: str | None = at("source/@evdev")
    source_dev: str | None = at("source/@dev")
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
