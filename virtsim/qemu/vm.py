"""One domain as the driver keeps it: definition, state, job, and while it runs its process and monitor.

Knows how state and events follow from a row of the transition table. What starts, stops and steers a
domain is in `launch`, `stop`, `operations` and `events`.
"""

from __future__ import annotations

import asyncio
import contextvars
import signal
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

from virtsim.errors import InternalError, NoDomain, OperationFailed, VirtsimError
from virtsim.host.context import CURRENT_CALL
from virtsim.qemu.job import DomainJob
from virtsim.states._generated_enums import (
    DomainEvent,
    DomainEventID,
    DomainState,
    PausedReason,
    RunningReason,
    ShutoffReason,
)
from virtsim.states.details import resumed_detail, suspended_detail
from virtsim.states.domain import (
    DOMAIN,
    DomainRow,
    Emit,
    Pending,
    Send,
    Signal,
    Situation,
    Trigger,
    situation,
)

if TYPE_CHECKING:
    from virtsim.host.abc import Process
    from virtsim.model import Domain
    from virtsim.qemu.driver import Driver
    from virtsim.qemu.live import InstancePaths
    from virtsim.qemu.monitor import Monitor

__all__ = ["CONT_PAUSE_S", "CONT_TRIES", "Run", "VirtualMachine", "finish"]

#: ``cont`` answered with MigrationExpected is tried so often ... (0.8.7, ``qemuMonitorJSONStartCPUs``)
CONT_TRIES = 4
#: ... with this pause after each try, seconds.
CONT_PAUSE_S = 0.25

#: So many events are kept while a kill is under way; what comes before them is lost.
HELD_EVENTS_MAX = 10_000

T = TypeVar("T")


class Run:
    """What a domain has only while QEMU is there: one object for each start, dropped at the stop.

    Attributes:
        live: the definition with aliases, paths and id.
        paths: where this run's files are.
        process: the QEMU, once it was spawned.
        monitor: the conversation with it, once it was opened.
        starting: ``create`` is under way and deals with failures itself.
        ended: the monitor has reported its end (or there is no more).
        process_gone: the process has left the process table.
        monitor_error: QEMU talked nonsense; the monitor is dead, the guest is not.
        destroyers: how many kill QEMU on purpose: while there is one, its end is expected.
        held_events: what QEMU said meanwhile; ``let_through`` delivers it when the kill fails.
        stopping: the clean-up has begun; ``stoppers`` wait for it.
        shutting_for_reboot: a fake reboot is under way, STOP is not shown (``pausedShutdown``).
        fake_reboot: the next SHUTDOWN is to become a reboot.
        lost_handled: the loss of QEMU is being dealt with.
    """

    __slots__ = (
        "closed",
        "destroyers",
        "ended",
        "fake_reboot",
        "held_events",
        "let_through",
        "live",
        "lost_handled",
        "monitor",
        "monitor_error",
        "paths",
        "paused_reason",
        "process",
        "process_gone",
        "running_reason",
        "shutting_for_reboot",
        "starting",
        "stoppers",
        "stopping",
        "tasks",
        "work",
        "worker",
    )

    def __init__(self, live: Domain, paths: InstancePaths) -> None:
        self.live = live
        self.paths = paths
        self.process: Process | None = None
        self.monitor: Monitor | None = None
        self.starting = True
        self.ended = False
        self.closed: asyncio.Event | None = None
        self.process_gone = False
        self.monitor_error = False
        self.destroyers = 0
        self.held_events: deque[tuple[str, Any, Any]] = deque(maxlen=HELD_EVENTS_MAX)
        self.let_through: Callable[[], None] | None = None
        self.stopping: asyncio.Task[None] | None = None
        self.stoppers: list[asyncio.Task[Any] | None] = []
        self.shutting_for_reboot = False
        self.fake_reboot = False
        self.lost_handled = False
        self.running_reason = RunningReason.UNKNOWN
        self.paused_reason = PausedReason.UNKNOWN
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.work: deque[Callable[[], Coroutine[Any, Any, None]]] = deque()
        self.worker: asyncio.Task[None] | None = None

    @property
    def being_destroyed(self) -> bool:
        """Whether somebody kills QEMU on purpose (``beingDestroyed``)."""
        return self.destroyers > 0

    def own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run ``work`` as a task that belongs to this run and is ended with it.

        It runs outside of any API call: what it notes later is nobody's doing.
        """
        context = contextvars.copy_context()
        context.run(CURRENT_CALL.set, 0)
        task = asyncio.get_running_loop().create_task(work, name=name, context=context)
        self.tasks[task] = None
        task.add_done_callback(self._disown)
        return task

    def submit(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Queue work for this run's event worker: one piece after the other, in order.

        libvirt has one such worker for the whole driver (``qemu-event``, max 1); here each domain has its
        own, so that one guest's core dump does not delay the end of another.
        """
        self.work.append(work)
        if self.worker is None or self.worker.done():
            self.worker = self.own(self._drain(), f"{name}: events")

    async def _drain(self) -> None:
        while self.work:
            await self.work.popleft()()

    def _disown(self, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            # A bug: expected failures are dealt with inside. Nobody awaits the task, so the loop must be
            # told.
            task.get_loop().call_exception_handler(
                {"message": f"{task.get_name()} failed", "exception": task.exception(), "task": task}
            )

    async def end_tasks(self) -> None:
        """Cancel this run's tasks, but for those that wait for the clean-up, and wait for their end."""
        self.work.clear()
        others = [task for task in self.tasks if task not in self.stoppers]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)


class VirtualMachine:
    """One domain.

    Args:
        driver: whose domain it is.
        definition: the complete definition.
        persistent: whether it stays when it is shut off.

    Attributes:
        config: the definition for the next start; what XMLDesc with INACTIVE gives.
        persistent: whether it stays when it is shut off.
        id: positive while active, else -1.
        state: libvirt's state; ``reason`` belongs to it.
        job: who works on it.
        run: what exists only while it is active.
        autodestroy: who must stay connected for it to live.
    """

    __slots__ = (
        "autodestroy",
        "config",
        "driver",
        "id",
        "job",
        "name",
        "persistent",
        "reason",
        "run",
        "state",
        "uuid",
    )

    def __init__(self, driver: Driver, definition: Domain, *, persistent: bool) -> None:
        assert definition.uuid is not None  # noqa: S101  (a complete definition has one)
        self.driver = driver
        self.name: str = definition.name
        self.uuid: uuid.UUID = definition.uuid
        self.config = definition
        self.persistent = persistent
        self.id = -1
        self.state = DomainState.SHUTOFF
        self.reason: IntEnum = ShutoffReason.UNKNOWN
        self.job = DomainJob(driver.context, self.name, self.uuid, driver.max_queued)
        self.run: Run | None = None
        self.autodestroy: object | None = None

    # -- state

    @property
    def active(self) -> bool:
        """Whether it has an id (``virDomainObjIsActive``)."""
        return self.id != -1

    @property
    def situation(self) -> Situation:
        """Where it is in the transition table."""
        return situation(self.state, self.reason)

    def check(self, trigger: Trigger) -> DomainRow:
        """The transition for this trigger as things stand.

        Raises:
            OperationInvalid: the situation forbids it, in libvirt's words.
        """
        return DOMAIN.row(self.situation, trigger)

    def set_state(self, state: DomainState, reason: IntEnum) -> None:
        """Set and note state and reason; the same again is not noted."""
        if state is self.state and reason == self.reason:
            return
        self.state, self.reason = state, reason
        self.driver.context.note("state", self.name, state=state.name, reason=reason.name)

    def enter(self, row: DomainRow) -> None:
        """Go where the row leads and queue its events, in its order: first the state, as libvirt does."""
        reason: IntEnum | None = None
        if row.target is not None:
            target = row.target
            reason = self._agreed(target.state) if isinstance(target.reason, Pending) else target.reason
            self.set_state(target.state, reason)
        for effect in row.effects:
            if isinstance(effect, Emit):
                self._emit(effect, reason)

    def _agreed(self, state: DomainState) -> IntEnum:
        """The reason that was agreed before the command was sent (``runningReason``, ``pausedReason``)."""
        run = self.run
        if state is DomainState.RUNNING:
            reason = run.running_reason if run is not None else RunningReason.UNKNOWN
            return reason if reason is not RunningReason.UNKNOWN else RunningReason.UNPAUSED
        return run.paused_reason if run is not None else PausedReason.UNKNOWN

    def _emit(self, effect: Emit, reason: IntEnum | None) -> None:
        if isinstance(effect.event, DomainEventID):
            self.driver.emit(self, effect.event)
            return
        detail = effect.detail
        if isinstance(detail, Pending):
            if isinstance(reason, PausedReason):
                detail = suspended_detail(reason)
            else:
                assert isinstance(reason, RunningReason)  # noqa: S101  (only RESUME and STOP are pending)
                detail = resumed_detail(reason)
        assert detail is not None  # noqa: S101  (lifecycle events have details)
        self.emit(effect.event, detail)

    def emit(self, event: DomainEvent, detail: IntEnum) -> None:
        """Queue a lifecycle event."""
        self.driver.emit(self, DomainEventID.LIFECYCLE, event, detail)

    # -- the monitor

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> asyncio.Future[Any]:
        """Execute a QMP command; await the result. There is no time limit, as in libvirt.

        Raises:
            VirtsimError: QEMU refused, talked nonsense, died, or the domain is not running.
        """
        run = self.run
        if run is None or run.monitor is None:
            raise OperationFailed("domain is not running")
        return run.monitor.execute(command, arguments)

    async def perform(self, row: DomainRow) -> None:
        """Carry out a row's commands and signals in order, then enter it.

        The state stays as it was when a command fails.
        """
        for effect in row.effects:
            if isinstance(effect, Send):
                await self.execute(effect.command)
            elif isinstance(effect, Signal):
                self.signal(signal.Signals[effect.name])
        if self.active:
            self.enter(row)

    async def start_cpus(self, reason: RunningReason) -> bool:
        """Send ``cont``; RESUME then changes the state, for this reason.

        Returns:
            False when QEMU still expected a migration after all tries: libvirt has dropped the error by
            then and the caller finds its own words.

        Raises:
            VirtsimError: ``cont`` failed otherwise.
        """
        run = self.run
        if run is None:
            raise OperationFailed("domain is not running")
        run.running_reason = reason
        try:
            for _ in range(CONT_TRIES):
                try:
                    await self.execute("cont")
                except VirtsimError as error:
                    if getattr(error, "error_class", None) != "MigrationExpected":
                        raise
                else:
                    return True
                await asyncio.sleep(CONT_PAUSE_S)
            return False
        finally:
            run.running_reason = RunningReason.UNKNOWN

    def signal(self, number: signal.Signals) -> None:
        """Send QEMU a signal without waiting; a process that is gone swallows it."""
        process = self.run.process if self.run is not None else None
        if process is None:
            return
        try:
            process.signal(number)
        except ProcessLookupError:
            delivered = False
        else:
            delivered = True
        self.driver.context.note(
            "signal", self.name, pid=process.pid, signal=number.name, delivered=delivered
        )

    def still(self, run: Run) -> bool:
        """Whether this very run is still on, after a wait."""
        return self.run is run and self.active

    def gone(self) -> NoDomain:
        """The error of a call on a domain that is no longer known."""
        return NoDomain(f"no domain with matching uuid '{self.uuid}' ({self.name})")

    def quit_unexpectedly(self) -> InternalError:
        """The error of work that finds its guest gone."""
        return InternalError("guest unexpectedly quit")


async def finish(task: asyncio.Task[T]) -> T:
    """Wait for a task to its end, however often the caller is interrupted, then pass the interruption on.

    Clean-up must not stop half-way: a cancelled ``create`` still ends the QEMU it began. The task ends by
    itself (its waits have limits of their own), so this does too.
    """
    interruption: BaseException | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001  (kept and raised again below)
            interruption = error
    if interruption is not None:
        if not task.cancelled():
            task.exception()  # looked at: the interruption is the news
        raise interruption
    return task.result()
