"""Sources of randomness for the guest: ``<rng>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import UINT, choice
from virtsim.model._fields import Wording, at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Rng"]

_BACKEND = Wording(missing="only one RNG backend is supported")


@dataclass(frozen=True, slots=True)
class Rng:
    """``<rng>``."""

    model: str = at(
        "@model", choice("virtio", "virtio-transitional", "virtio-non-transitional"), "virtio", required=True
    )
    rate_bytes: int | None = at("rate/@bytes", UINT)
    rate_period_ms: int | None = at("rate/@period", UINT)
    backend_model: str = at(
        "backend/@model", choice("random", "egd", "builtin"), "random", required=True, words=_BACKEND
    )
    backend: str | None = at("backend")
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
