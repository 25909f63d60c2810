"""How guest memory is backed: ``<memoryBacking>`` with huge pages, source, access, allocation."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import UINT, choice
from virtsim.model._fields import at, each, flag

__all__ = ["HugePage", "MemoryBacking"]


@dataclass(frozen=True, slots=True)
class HugePage:
    """One size of huge page and the guest's NUMA nodes that it is for (all, where none is named)."""

    size_kib: int = at("@size", default=0, unit="unit", required=True)
    nodeset: str | None = at("@nodeset")


@dataclass(frozen=True, slots=True)
class MemoryBacking:
    """``<memoryBacking>``."""

    hugepages: bool = flag("hugepages")
    pages: tuple[HugePage, ...] = each("hugepages/page", HugePage)
    nosharepages: bool = flag("nosharepages")
    locked: bool = flag("locked")
    source: str | None = at("source/@type", choice("file", "anonymous", "memfd"))
    access: str | None = at("access/@mode", choice("shared", "private"))
    allocation: str | None = at("allocation/@mode", choice("immediate", "ondemand"))
    allocation_threads: int | None = at("allocation/@threads", UINT)
    discard: bool = flag("discard")
