"""The device that tells the host of a crashed guest: ``<panic>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Panic"]


@dataclass(frozen=True, slots=True)
class Panic:
    """``<panic>``."""

    model: str | None = at("@model", choice("default", "isa", "pseries", "hyperv", "s390", "pvpanic"))
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
