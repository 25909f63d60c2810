"""Trusted platform modules: ``<tpm>``; kept in the definition, refused at a start."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import YESNO, choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Tpm"]


@dataclass(frozen=True, slots=True)
class Tpm:
    """``<tpm>``."""

    model: str | None = at("@model", choice("tpm-tis", "tpm-crb", "tpm-spapr", "spapr-tpm-proxy"))
    backend: str = at(
        "backend/@type", choice("passthrough", "emulator", "external"), "emulator", required=True
    )
    version: str | None = at("backend/@version", choice("default", "1.2", "2.0"))
    persistent_state: bool | None = at("backend/@persistent_state", YESNO)
    device_path: str | None = at("backend/device/@path")
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
