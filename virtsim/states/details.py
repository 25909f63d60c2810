"""Names of states, reasons and events, and which reason becomes which event detail.

Source: libvirt 8.5.0 ``qemuDomainPausedReasonToSuspendedEvent`` and ``qemuDomainRunningReasonToResumeEvent``.
"""

from __future__ import annotations

from enum import IntEnum

from virtsim.states._generated_enums import (
    BlockedReason,
    CrashedDetail,
    CrashedReason,
    DefinedDetail,
    DomainEvent,
    DomainState,
    NostateReason,
    PausedReason,
    PmsuspendedDetail,
    PmsuspendedReason,
    ResumedDetail,
    RunningReason,
    ShutdownDetail,
    ShutdownReason,
    ShutoffReason,
    StartedDetail,
    StoppedDetail,
    SuspendedDetail,
    UndefinedDetail,
)

__all__ = ["DETAILS", "REASONS", "detail_of", "reason_of", "resumed_detail", "suspended_detail"]

#: state -> the enumeration of its reasons
REASONS: dict[DomainState, type[IntEnum]] = {
    DomainState.NOSTATE: NostateReason,
    DomainState.RUNNING: RunningReason,
    DomainState.BLOCKED: BlockedReason,
    DomainState.PAUSED: PausedReason,
    DomainState.SHUTDOWN: ShutdownReason,
    DomainState.SHUTOFF: ShutoffReason,
    DomainState.CRASHED: CrashedReason,
    DomainState.PMSUSPENDED: PmsuspendedReason,
}

#: lifecycle event -> the enumeration of its details
DETAILS: dict[DomainEvent, type[IntEnum]] = {
    DomainEvent.DEFINED: DefinedDetail,
    DomainEvent.UNDEFINED: UndefinedDetail,
    DomainEvent.STARTED: StartedDetail,
    DomainEvent.SUSPENDED: SuspendedDetail,
    DomainEvent.RESUMED: ResumedDetail,
    DomainEvent.STOPPED: StoppedDetail,
    DomainEvent.SHUTDOWN: ShutdownDetail,
    DomainEvent.PMSUSPENDED: PmsuspendedDetail,
    DomainEvent.CRASHED: CrashedDetail,
}

_SUSPENDED = {
    PausedReason.MIGRATION: SuspendedDetail.MIGRATED,
    PausedReason.FROM_SNAPSHOT: SuspendedDetail.FROM_SNAPSHOT,
    PausedReason.POSTCOPY: SuspendedDetail.POSTCOPY,
    PausedReason.POSTCOPY_FAILED: SuspendedDetail.POSTCOPY_FAILED,
}

_RESUMED = {
    RunningReason.RESTORED: ResumedDetail.FROM_SNAPSHOT,
    RunningReason.FROM_SNAPSHOT: ResumedDetail.FROM_SNAPSHOT,
    RunningReason.MIGRATED: ResumedDetail.MIGRATED,
    RunningReason.MIGRATION_CANCELED: ResumedDetail.MIGRATED,
    RunningReason.POSTCOPY: ResumedDetail.POSTCOPY,
    RunningReason.POSTCOPY_FAILED: ResumedDetail.POSTCOPY_FAILED,
}


def reason_of(state: int, reason: int) -> IntEnum:
    """The reason's own enumeration member. Raises ValueError for numbers that libvirt does not have."""
    return REASONS[DomainState(state)](reason)


def detail_of(event: int, detail: int) -> IntEnum:
    """The detail's own enumeration member. Raises ValueError for numbers that libvirt does not have."""
    return DETAILS[DomainEvent(event)](detail)


def suspended_detail(reason: PausedReason) -> SuspendedDetail:
    """What SUSPENDED says when a domain was paused for this reason."""
    return _SUSPENDED.get(reason, SuspendedDetail.PAUSED)


def resumed_detail(reason: RunningReason) -> ResumedDetail:
    """What RESUMED says when a domain runs for this reason."""
    return _RESUMED.get(reason, ResumedDetail.UNPAUSED)
