"""Watchdogs: ``<watchdog>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import choice
from virtsim.model._fields import Wording, at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Watchdog"]

_MODEL = Wording(
    "unknown watchdog model '{}'", "watchdog must contain model name", ErrorCode.VIR_ERR_INTERNAL_ERROR
)


@dataclass(frozen=True, slots=True)
class Watchdog:
    """``<watchdog>``."""

    model: str = at(
        "@model", choice("i6300esb", "ib700", "diag288", "itco"), "i6300esb", required=True, words=_MODEL
    )
    action: str | None = at(
        "@action", choice("reset", "shutdown", "poweroff", "pause", "dump", "none", "inject-nmi")
    )
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
