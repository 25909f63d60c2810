"""FACE: libvirt's objects and functions, awaitable.

Knows libvirt's names, flags and numbers, and which driver function stands behind each. Must not know how
anything is
done: no argv, no QMP, no sockets.
"""

from __future__ import annotations

from virtsim.api.connection import Connection
from virtsim.api.domain import Domain
from virtsim.api.events import LifecycleEvent
from virtsim.api.native import native_argv, validate_domain
from virtsim.host.context import Context
from virtsim.model import ParsedDomain, dump_domain, parse_domain
from virtsim.qemu.schedules import POLICIES, Attempt, GuestSize, Plan, Policy, attempts, plan, policy
from virtsim.states._generated_enums import (
    CrashedDetail,
    CrashedReason,
    CreateFlags,
    DefinedDetail,
    DefineFlags,
    DestroyFlags,
    DomainEvent,
    DomainEventID,
    DomainState,
    ListFlags,
    PausedReason,
    RebootFlags,
    ResumedDetail,
    RunningReason,
    ShutdownDetail,
    ShutdownFlags,
    ShutdownReason,
    ShutoffReason,
    StartedDetail,
    StoppedDetail,
    SuspendedDetail,
    UndefinedDetail,
    UndefineFlags,
    XMLFlags,
)
from virtsim.states.details import DETAILS, REASONS, detail_of, reason_of

__all__ = [
    "DETAILS",
    "POLICIES",
    "REASONS",
    "Attempt",
    "Connection",
    "Context",
    "CrashedDetail",
    "CrashedReason",
    "CreateFlags",
    "DefineFlags",
    "DefinedDetail",
    "DestroyFlags",
    "Domain",
    "DomainEvent",
    "DomainEventID",
    "DomainState",
    "GuestSize",
    "LifecycleEvent",
    "ListFlags",
    "ParsedDomain",
    "PausedReason",
    "Plan",
    "Policy",
    "RebootFlags",
    "ResumedDetail",
    "RunningReason",
    "ShutdownDetail",
    "ShutdownFlags",
    "ShutdownReason",
    "ShutoffReason",
    "StartedDetail",
    "StoppedDetail",
    "SuspendedDetail",
    "UndefineFlags",
    "UndefinedDetail",
    "XMLFlags",
    "attempts",
    "detail_of",
    "dump_domain",
    "native_argv",
    "parse_domain",
    "plan",
    "policy",
    "reason_of",
    "validate_domain",
]
