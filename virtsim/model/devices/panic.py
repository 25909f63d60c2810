"""The device that tells the host of a crashed guest: ``<panic>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import choice
from virtsim.model._fields import Wording, at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Panic"]

_MODEL = Wording("unknown panic model '{}'", code=ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Panic:
    """``<panic>``."""

    model: str | None = at("@model", choice("default", "isa", "pseries", "hyperv", "s390"), words=_MODEL)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
