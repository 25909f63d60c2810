"""The memory balloon: ``<memballoon>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import INT, ONOFF, choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Balloon"]


@dataclass(frozen=True, slots=True)
class Balloon:
    """``<memballoon>``."""

    model: str = at(
        "@model",
        choice("virtio", "xen", "none", "virtio-transitional", "virtio-non-transitional"),
        "virtio",
        required=True,
    )
    autodeflate: bool | None = at("@autodeflate", ONOFF)
    free_page_reporting: bool | None = at("@freePageReporting", ONOFF)
    stats_period_s: int | None = at("stats/@period", INT)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
