"""USB hubs: ``<hub>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Hub"]


@dataclass(frozen=True, slots=True)
class Hub:
    """``<hub>``."""

    type: str = at("@type", choice("usb"), "usb", required=True)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
