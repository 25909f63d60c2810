"""VERBS: what may happen to a domain in which state, and what follows.

Knows libvirt's states, triggers, jobs and events as tables. Must not know XML, sockets, processes or clocks.
"""

from __future__ import annotations

from virtsim.states._generated_enums import (
    CrashedReason,
    CreateFlags,
    DefineFlags,
    DestroyFlags,
    DomainEvent,
    DomainEventID,
    DomainState,
    ListFlags,
    PausedReason,
    RebootFlags,
    RunningReason,
    ShutdownFlags,
    ShutoffReason,
    UndefineFlags,
    XMLFlags,
)
from virtsim.states.domain import DOMAIN, Situation, Trigger, rows, situation

__all__ = [
    "DOMAIN",
    "CrashedReason",
    "CreateFlags",
    "DefineFlags",
    "DestroyFlags",
    "DomainEvent",
    "DomainEventID",
    "DomainState",
    "ListFlags",
    "PausedReason",
    "RebootFlags",
    "RunningReason",
    "ShutdownFlags",
    "ShutoffReason",
    "Situation",
    "Trigger",
    "UndefineFlags",
    "XMLFlags",
    "rows",
    "situation",
]
