"""The domain's life: ``(situation, trigger) -> (effects, state and reason)``.

Source: libvirt 8.5.0, ``qemu_driver.c`` (the API's checks), ``qemu_process.c`` (what QEMU's events do).
A situation is libvirt's state, with PAUSED/STARTING_UP kept apart because libvirt does so too. Triggers with
QEMU in front come from the monitor and have a row in every situation; the others come from the API or
from the driver itself, and where they are absent `refusal` says why in libvirt's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import TypeAlias

from virtsim.errors import ErrorDomain, OperationInvalid
from virtsim.states._generated_enums import (
    CrashedDetail,
    CrashedReason,
    DomainEvent,
    DomainEventID,
    DomainState,
    PausedReason,
    PmsuspendedDetail,
    PmsuspendedReason,
    RunningReason,
    ShutdownDetail,
    ShutdownReason,
    ShutoffReason,
    StartedDetail,
    StoppedDetail,
    SuspendedDetail,
)
from virtsim.states._table import Row, Table

__all__ = [
    "DOMAIN",
    "PENDING",
    "Act",
    "DomainRow",
    "Effect",
    "Emit",
    "Goal",
    "Pending",
    "Send",
    "Signal",
    "Situation",
    "Trigger",
    "refusal",
    "rows",
    "situation",
]


class Situation(Enum):
    """Where a domain can be."""

    SHUTOFF = auto()
    STARTING = auto()
    """PAUSED/STARTING_UP: QEMU is being launched."""
    RUNNING = auto()
    PAUSED = auto()
    SHUTDOWN = auto()
    """The guest has powered off, QEMU is still there."""
    CRASHED = auto()
    PMSUSPENDED = auto()


class Trigger(Enum):
    """What can happen to a domain."""

    # -- the API
    CREATE = auto()
    SUSPEND = auto()
    RESUME = auto()
    SHUTDOWN = auto()
    REBOOT = auto()
    RESET = auto()
    DESTROY = auto()
    # -- the driver
    STARTED = auto()
    """The start has succeeded and the processors run."""
    STARTED_PAUSED = auto()
    """The start has succeeded and the caller asked for PAUSED."""
    START_FAILED = auto()
    PANIC_STOP = auto()
    """on_crash says destroy, and the panic has been reported."""
    CLIENT_GONE = auto()
    """The connection that asked for START_AUTODESTROY was closed."""
    # -- QEMU
    QEMU_RESUME = auto()
    QEMU_STOP = auto()
    QEMU_STOP_HIDDEN = auto()
    """STOP during a fake reboot."""
    QEMU_SHUTDOWN_GUEST = auto()
    QEMU_SHUTDOWN_HOST = auto()
    QEMU_SHUTDOWN_FINISHED = auto()
    """SHUTDOWN of a QEMU that does not say who asked for it."""
    QEMU_SHUTDOWN_REBOOT = auto()
    """SHUTDOWN that is to become a reboot."""
    QEMU_RESET = auto()
    QEMU_PANICKED = auto()
    QEMU_CRASHLOADED = auto()
    QEMU_WATCHDOG_PAUSE = auto()
    QEMU_IO_ERROR_STOP = auto()
    QEMU_SUSPEND = auto()
    QEMU_SUSPEND_DISK = auto()
    QEMU_WAKEUP = auto()
    QEMU_EOF = auto()
    """The monitor is closed, or the process is gone."""


class Pending(Enum):
    """A reason or detail that was agreed before, or follows from that reason."""

    PENDING = auto()

    @property
    def label(self) -> str:
        """What the drawing says."""
        return "as asked"


PENDING = Pending.PENDING


@dataclass(frozen=True, slots=True)
class Emit:
    """Queue an event: a lifecycle event with its detail, or another event id with neither."""

    event: DomainEvent | DomainEventID
    detail: IntEnum | Pending | None = None

    @property
    def label(self) -> str:
        """``EVENT/DETAIL``."""
        if self.detail is None:
            return self.event.name
        return f"{self.event.name}/{'...' if isinstance(self.detail, Pending) else self.detail.name}"


@dataclass(frozen=True, slots=True)
class Send:
    """Execute a QMP command."""

    command: str

    @property
    def label(self) -> str:
        """The command."""
        return self.command


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to QEMU and do not wait."""

    name: str

    @property
    def label(self) -> str:
        """The signal."""
        return self.name


class Act(Enum):
    """Work with a procedure of its own."""

    LAUNCH = "launch QEMU"
    KILL = "kill QEMU"
    CLEAN_UP = "clean up"
    FAKE_REBOOT = "system_reset, cont"
    ON_CRASH = "carry out on_crash"

    @property
    def label(self) -> str:
        """What the drawing says."""
        return self.value


Effect: TypeAlias = Emit | Send | Signal | Act


@dataclass(frozen=True, slots=True)
class Goal:
    """The state and reason after a transition."""

    state: DomainState
    reason: IntEnum | Pending

    @property
    def label(self) -> str:
        """``STATE/REASON``."""
        return f"{self.state.name}/{'...' if isinstance(self.reason, Pending) else self.reason.name}"


DomainRow: TypeAlias = Row[Situation, Trigger, Effect, Goal]

ACTIVE = tuple(s for s in Situation if s is not Situation.SHUTOFF)


def situation(state: DomainState, reason: int) -> Situation:
    """The situation of a state and reason.

    Raises:
        KeyError: a state that the QEMU driver never sets (NOSTATE, BLOCKED).
    """
    if state is DomainState.PAUSED and reason == PausedReason.STARTING_UP:
        return Situation.STARTING
    return _SITUATIONS[state]


_SITUATIONS = {
    DomainState.RUNNING: Situation.RUNNING,
    DomainState.PAUSED: Situation.PAUSED,
    DomainState.SHUTDOWN: Situation.SHUTDOWN,
    DomainState.SHUTOFF: Situation.SHUTOFF,
    DomainState.CRASHED: Situation.CRASHED,
    DomainState.PMSUSPENDED: Situation.PMSUSPENDED,
}


def refusal(where: Situation, trigger: Trigger) -> OperationInvalid:
    """Why libvirt refuses, in its words; a paused domain that is to shut down "is not running" either."""
    if where is Situation.PMSUSPENDED and trigger in {Trigger.SUSPEND, Trigger.RESUME}:
        return OperationInvalid("domain is pmsuspended")
    if where is not Situation.SHUTOFF and trigger in {Trigger.CREATE, Trigger.RESUME}:
        return OperationInvalid("domain is already running")
    # virDomainObjCheckActive() lives in conf/, the shutdown check in the driver: they name different origins.
    origin = ErrorDomain.VIR_FROM_QEMU if trigger is Trigger.SHUTDOWN else ErrorDomain.VIR_FROM_DOMAIN
    return OperationInvalid("domain is not running", domain=origin)


def rows() -> Iterator[DomainRow]:
    """Every legal transition, situation by situation: for tests, drawings and reports."""
    return iter(DOMAIN)


def _api() -> Iterator[DomainRow]:
    """What callers ask for (qemu_driver.c)."""
    yield Row(
        Situation.SHUTOFF, Trigger.CREATE, (Act.LAUNCH,), Goal(DomainState.PAUSED, PausedReason.STARTING_UP)
    )
    # "suspend when PAUSED: unchanged, success". STOP, not the caller, changes the state (since 4.8.0).
    yield Row(Situation.PAUSED, Trigger.SUSPEND)
    for where in (Situation.STARTING, Situation.RUNNING, Situation.SHUTDOWN, Situation.CRASHED):
        yield Row(where, Trigger.SUSPEND, (Send("stop"),))
    # qemuDomainResume: PAUSED and CRASHED start the processors; SHUTDOWN is left alone, without error.
    for where in (Situation.STARTING, Situation.PAUSED, Situation.CRASHED):
        yield Row(where, Trigger.RESUME, (Send("cont"),))
    yield Row(Situation.SHUTDOWN, Trigger.RESUME)
    yield Row(Situation.RUNNING, Trigger.SHUTDOWN, (Send("system_powerdown"),))
    for where in ACTIVE:
        yield Row(where, Trigger.REBOOT, (Send("system_powerdown"),))
        yield Row(
            where,
            Trigger.RESET,
            (Send("system_reset"),),
            Goal(DomainState.PAUSED, PausedReason.CRASHED) if where is Situation.CRASHED else None,
        )
        yield Row(
            where,
            Trigger.DESTROY,
            (Act.KILL, Act.CLEAN_UP, Emit(DomainEvent.STOPPED, StoppedDetail.DESTROYED)),
            Goal(DomainState.SHUTOFF, ShutoffReason.DESTROYED),
        )


def _driver() -> Iterator[DomainRow]:
    """What the driver itself brings about (qemu_process.c)."""
    booted = Emit(DomainEvent.STARTED, StartedDetail.BOOTED)
    for where in ACTIVE:
        # Anything can have happened between the reply to "cont" and the end of the start.
        yield Row(where, Trigger.STARTED, (booted,))
        yield Row(
            where,
            Trigger.STARTED_PAUSED,
            (booted, Emit(DomainEvent.SUSPENDED, SuspendedDetail.PAUSED)),
            Goal(DomainState.PAUSED, PausedReason.USER) if where is Situation.STARTING else None,
        )
        yield Row(
            where,
            Trigger.START_FAILED,
            (Act.KILL, Act.CLEAN_UP),
            Goal(DomainState.SHUTOFF, ShutoffReason.FAILED),
        )
        yield Row(
            where,
            Trigger.CLIENT_GONE,
            (Act.KILL, Act.CLEAN_UP, Emit(DomainEvent.STOPPED, StoppedDetail.DESTROYED)),
            Goal(DomainState.SHUTOFF, ShutoffReason.DESTROYED),
        )
    yield Row(
        Situation.CRASHED,
        Trigger.PANIC_STOP,
        (Act.KILL, Act.CLEAN_UP, Emit(DomainEvent.STOPPED, StoppedDetail.CRASHED)),
        Goal(DomainState.SHUTOFF, ShutoffReason.CRASHED),
    )


def _qemu_states() -> Iterator[DomainRow]:
    """RESUME, STOP and their kin: qemuProcessHandleResume and so on."""
    resumed = (Emit(DomainEvent.RESUMED, PENDING),)
    running = Situation.RUNNING
    for where in ACTIVE:
        yield Row(where, Trigger.QEMU_STOP_HIDDEN)
        yield (
            Row(where, Trigger.QEMU_RESUME)
            if where is running
            else Row(where, Trigger.QEMU_RESUME, resumed, Goal(DomainState.RUNNING, PENDING))
        )
    yield from _only(
        running,
        Trigger.QEMU_STOP,
        Goal(DomainState.PAUSED, PENDING),
        Emit(DomainEvent.SUSPENDED, PENDING),
    )
    yield from _only(
        running,
        Trigger.QEMU_WATCHDOG_PAUSE,
        Goal(DomainState.PAUSED, PausedReason.WATCHDOG),
        Emit(DomainEvent.SUSPENDED, SuspendedDetail.WATCHDOG),
    )
    yield from _only(
        running,
        Trigger.QEMU_IO_ERROR_STOP,
        Goal(DomainState.PAUSED, PausedReason.IOERROR),
        Emit(DomainEvent.SUSPENDED, SuspendedDetail.IOERROR),
    )
    asleep = Goal(DomainState.PMSUSPENDED, PmsuspendedReason.UNKNOWN)
    memory, disk = (Emit(DomainEvent.PMSUSPENDED, detail) for detail in PmsuspendedDetail)
    yield from _only(running, Trigger.QEMU_SUSPEND, asleep, memory)
    yield from _only(running, Trigger.QEMU_SUSPEND_DISK, asleep, disk)
    yield from _only(
        Situation.PMSUSPENDED,
        Trigger.QEMU_WAKEUP,
        Goal(DomainState.RUNNING, RunningReason.WAKEUP),
        Emit(DomainEvent.STARTED, StartedDetail.WAKEUP),
    )


def _qemu_ends() -> Iterator[DomainRow]:
    """SHUTDOWN, RESET, panic and the end of the monitor."""
    for where in ACTIVE:
        yield from _shutdowns(where)
        # "ignored in PAUSED/STARTING_UP": libvirt itself resets some guests while it starts them.
        yield Row(
            where, Trigger.QEMU_RESET, () if where is Situation.STARTING else (Emit(DomainEventID.REBOOT),)
        )
        yield Row(
            where,
            Trigger.QEMU_PANICKED,
            (Emit(DomainEvent.CRASHED, CrashedDetail.PANICKED), Act.ON_CRASH),
            Goal(DomainState.CRASHED, CrashedReason.PANICKED),
        )
        yield Row(where, Trigger.QEMU_CRASHLOADED, (Emit(DomainEvent.CRASHED, CrashedDetail.CRASHLOADED),))
        # processMonitorEOFEvent: without a SHUTDOWN before it, the domain crashed.
        off = where is Situation.SHUTDOWN
        yield Row(
            where,
            Trigger.QEMU_EOF,
            (
                Act.KILL,
                Act.CLEAN_UP,
                Emit(DomainEvent.STOPPED, StoppedDetail.SHUTDOWN if off else StoppedDetail.FAILED),
            ),
            Goal(DomainState.SHUTOFF, ShutoffReason.SHUTDOWN if off else ShutoffReason.CRASHED),
        )


def _shutdowns(where: Situation) -> Iterator[DomainRow]:
    """qemuProcessHandleShutdown: a second SHUTDOWN is ignored, whoever asked for it."""
    again = where is Situation.SHUTDOWN
    for trigger, detail in (
        (Trigger.QEMU_SHUTDOWN_GUEST, ShutdownDetail.GUEST),
        (Trigger.QEMU_SHUTDOWN_HOST, ShutdownDetail.HOST),
        (Trigger.QEMU_SHUTDOWN_FINISHED, ShutdownDetail.FINISHED),
    ):
        if again:
            yield Row(where, trigger)
        else:
            yield Row(
                where,
                trigger,
                (Emit(DomainEvent.SHUTDOWN, detail), Signal("SIGTERM")),
                Goal(DomainState.SHUTDOWN, ShutdownReason.UNKNOWN),
            )
    yield Row(where, Trigger.QEMU_SHUTDOWN_REBOOT, () if again else (Act.FAKE_REBOOT,))


def _only(source: Situation, trigger: Trigger, goal: Goal, emit: Emit) -> Iterator[DomainRow]:
    """Rows of a trigger that changes something in one situation and is ignored in the others."""
    for where in ACTIVE:
        yield Row(where, trigger, (emit,), goal) if where is source else Row(where, trigger)


def _late() -> Iterator[DomainRow]:
    """QEMU's last words can arrive after the domain is off: they change nothing."""
    for trigger in Trigger:
        if trigger.name.startswith("QEMU_"):
            yield Row(Situation.SHUTOFF, trigger)


#: The table.
DOMAIN: Table[Situation, Trigger, Effect, Goal] = Table(
    (*_api(), *_driver(), *_qemu_states(), *_qemu_ends(), *_late()), refusal
)
