"""The guest's processor: ``<cpu>`` with model, features, topology and NUMA cells."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import ONOFF, TEXT, UINT, YESNO, choice
from virtsim.model._fields import Wording, at, each

__all__ = ["Cpu", "CpuFeature", "NumaCell"]

_MODE = Wording("Invalid mode attribute '{}'", code=ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class CpuFeature:
    """One feature and what is asked of it."""

    policy: str | None = at("@policy", choice("force", "require", "optional", "disable", "forbid"))
    name: str = at("@name", TEXT, "", required=True)


@dataclass(frozen=True, slots=True)
class NumaCell:
    """A NUMA node of the guest."""

    id: int | None = at("@id", UINT)
    cpus: str | None = at("@cpus")
    memory_kib: int = at("@memory", default=0, unit="unit", required=True)
    mem_access: str | None = at("@memAccess", choice("shared", "private"))
    discard: bool | None = at("@discard", YESNO)


@dataclass(frozen=True, slots=True)
class Cpu:
    """``<cpu>``."""

    mode: str | None = at("@mode", choice("custom", "host-model", "host-passthrough", "maximum"), words=_MODE)
    match: str | None = at("@match", choice("minimum", "exact", "strict"))
    check: str | None = at("@check", choice("none", "partial", "full"))
    migratable: bool | None = at("@migratable", ONOFF)
    fallback: str | None = at("model/@fallback", choice("allow", "forbid"))
    vendor_id: str | None = at("model/@vendor_id")
    model: str | None = at("model")
    vendor: str | None = at("vendor")
    sockets: int | None = at("topology/@sockets", UINT)
    dies: int | None = at("topology/@dies", UINT)
    cores: int | None = at("topology/@cores", UINT)
    threads: int | None = at("topology/@threads", UINT)
    cache_level: int | None = at("cache/@level", UINT)
    cache_mode: str | None = at("cache/@mode", choice("emulate", "passthrough", "disable"))
    features: tuple[CpuFeature, ...] = each("feature", CpuFeature)
    cells: tuple[NumaCell, ...] = each("numa/cell", NumaCell)
