"""Security labels and the resource partition: read and kept; nothing here confines a process."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import TEXT, YESNO, choice
from virtsim.model._fields import at

__all__ = ["SecLabel"]


@dataclass(frozen=True, slots=True)
class SecLabel:
    """``<seclabel>``."""

    type: str = at("@type", choice("dynamic", "static", "none"), "dynamic")
    model: str | None = at("@model", TEXT)
    relabel: bool | None = at("@relabel", YESNO)
    label: str | None = at("label")
    baselabel: str | None = at("baselabel")
    imagelabel: str | None = at("imagelabel")
