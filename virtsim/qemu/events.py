"""What QEMU's events do to a domain.

Source: libvirt 8.5.0 ``qemu_process.c`` (``qemuProcessHandle*``) and ``qemu_driver.c``
(``processGuestPanicEvent``).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

from virtsim.errors import OperationError, VirtsimError
from virtsim.host.context import CURRENT_CALL
from virtsim.qemu.kill import kill_painfully
from virtsim.qemu.stop import EVENT_WORKER, lost, stop
from virtsim.qemu.vm import Run, VirtualMachine
from virtsim.states._generated_enums import DomainEventID, DomainState, RunningReason
from virtsim.states.domain import Act, Trigger
from virtsim.states.job import AsyncJob, Job

__all__ = ["monitor_closed", "qmp_event", "release_held"]

#: on_poweroff and on_crash words that mean "start again".
_RESTART = frozenset({"restart", "rename-restart", "coredump-restart"})


def qmp_event(vm: VirtualMachine, run: Run, name: str, data: Mapping[str, Any], timestamp: Any) -> None:
    """An event from QEMU: what it does to the domain, and a copy to whoever asked for raw events."""
    if vm.run is not run or run.stopping is not None:
        return
    if run.being_destroyed:
        # libvirt holds the domain's lock while it kills: events wait. A destroy that succeeds never looks
        # at them, so its own SIGTERM gives no SHUTDOWN/HOST; one that fails lets them through.
        run.held_events.append((name, data, timestamp))
        return
    token = CURRENT_CALL.set(vm.job.call)
    try:
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(vm, run, data)
        for listener in vm.driver.raw_listeners:
            listener(vm, name, dict(data), timestamp)
    finally:
        CURRENT_CALL.reset(token)


def release_held(vm: VirtualMachine, run: Run) -> None:
    """Let through what QEMU said while somebody tried to kill it."""
    held = list(run.held_events)
    run.held_events.clear()
    for name, data, timestamp in held:
        qmp_event(vm, run, name, data, timestamp)


def monitor_closed(vm: VirtualMachine, run: Run, reason: str) -> None:
    """The monitor has ended: QEMU closed it ("eof"), or talked nonsense ("error")."""
    if vm.run is not run:
        return
    if reason == "error":
        if not run.monitor_error:
            run.monitor_error = True
            # The guest goes on; every later command fails at once. There is no STOPPED.
            vm.driver.emit(vm, DomainEventID.CONTROL_ERROR)
        return
    run.ended = True
    if run.closed is not None:
        run.closed.set()
    lost(vm, run)


# -- handlers: (domain, run, data)


def _simple(trigger: Trigger) -> Callable[[VirtualMachine, Run, Mapping[str, Any]], None]:
    def handle(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
        del run, data
        vm.enter(vm.check(trigger))

    return handle


def _on_resume(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    del data
    vm.enter(vm.check(Trigger.QEMU_RESUME))
    run.running_reason = RunningReason.UNKNOWN


def _on_stop(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    del data
    vm.enter(vm.check(Trigger.QEMU_STOP_HIDDEN if run.shutting_for_reboot else Trigger.QEMU_STOP))
    run.paused_reason = type(run.paused_reason).UNKNOWN


def _on_shutdown(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    if run.fake_reboot or run.live.on_poweroff in _RESTART:
        trigger = Trigger.QEMU_SHUTDOWN_REBOOT
    else:
        trigger = _SHUTDOWN.get(str(data.get("guest")), Trigger.QEMU_SHUTDOWN_FINISHED)
    row = vm.check(trigger)
    vm.enter(row)
    if Act.FAKE_REBOOT in row.effects:
        run.shutting_for_reboot = True
        run.own(_fake_reboot(vm, run), f"{vm.name}: reboot")
    elif row.effects:
        vm.signal(signal.SIGTERM)


def _on_reset(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    del data
    row = vm.check(Trigger.QEMU_RESET)
    vm.enter(row)
    if row.effects:
        run.fake_reboot = False


def _on_watchdog(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    del run
    action = str(data.get("action", ""))
    vm.driver.emit(vm, DomainEventID.WATCHDOG, _WATCHDOG.get(action, 0))
    if action == "pause":
        vm.enter(vm.check(Trigger.QEMU_WATCHDOG_PAUSE))


def _on_block_io_error(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    action = str(data.get("action", ""))
    alias = str(data.get("qom-path") or data.get("device") or "")
    alias = alias.removeprefix("/machine/peripheral/").split("/")[0]
    source = _source_of(run, alias)
    number = _IO_ERROR.get(action, 0)
    why = "enospc" if data.get("nospace") else ""
    vm.driver.emit(vm, DomainEventID.IO_ERROR, source, alias, number)
    vm.driver.emit(vm, DomainEventID.IO_ERROR_REASON, source, alias, number, why)
    if action == "stop":
        vm.enter(vm.check(Trigger.QEMU_IO_ERROR_STOP))


def _on_panic(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    del data
    run.submit(lambda: _handle_panic(vm, run), vm.name)


def _power(
    trigger: Trigger, event: DomainEventID
) -> Callable[[VirtualMachine, Run, Mapping[str, Any]], None]:
    def handle(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
        del run, data
        vm.driver.emit(vm, event, 0)
        vm.enter(vm.check(trigger))

    return handle


def _on_rtc(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    del run
    vm.driver.emit(vm, DomainEventID.RTC_CHANGE, int(data.get("offset", 0)))


def _on_balloon(vm: VirtualMachine, run: Run, data: Mapping[str, Any]) -> None:
    del run
    vm.driver.emit(vm, DomainEventID.BALLOON_CHANGE, int(data.get("actual", 0)) // 1024)


#: SHUTDOWN's field "guest" -> what it means; QEMU before 2.10 does not send it.
_SHUTDOWN = {"True": Trigger.QEMU_SHUTDOWN_GUEST, "False": Trigger.QEMU_SHUTDOWN_HOST}

#: libvirt's numbers of virDomainEventWatchdogAction and virDomainEventIOErrorAction.
_WATCHDOG = {"none": 0, "pause": 1, "reset": 2, "poweroff": 3, "shutdown": 4, "debug": 5, "inject-nmi": 6}
_IO_ERROR = {"ignore": 0, "stop": 1, "report": 2}

_HANDLERS: dict[str, Callable[[VirtualMachine, Run, Mapping[str, Any]], None]] = {
    "RESUME": _on_resume,
    "STOP": _on_stop,
    "SHUTDOWN": _on_shutdown,
    "RESET": _on_reset,
    "WATCHDOG": _on_watchdog,
    "BLOCK_IO_ERROR": _on_block_io_error,
    "GUEST_PANICKED": _on_panic,
    "GUEST_CRASHLOADED": _simple(Trigger.QEMU_CRASHLOADED),
    "SUSPEND": _power(Trigger.QEMU_SUSPEND, DomainEventID.PMSUSPEND),
    "SUSPEND_DISK": _power(Trigger.QEMU_SUSPEND_DISK, DomainEventID.PMSUSPEND_DISK),
    "WAKEUP": _power(Trigger.QEMU_WAKEUP, DomainEventID.PMWAKEUP),
    "RTC_CHANGE": _on_rtc,
    "BALLOON_CHANGE": _on_balloon,
}


# -- work that waits: it runs in tasks of the run


async def _fake_reboot(vm: VirtualMachine, run: Run) -> None:
    """``qemuProcessFakeReboot``: system_reset and cont; when that fails QEMU is killed."""
    done = False
    try:
        await vm.job.begin(Job.MODIFY, f"reboot-{vm.name}")
        try:
            if not vm.still(run):
                raise vm.quit_unexpectedly()
            await vm.execute("system_reset")
            crashed = vm.state is DomainState.CRASHED
            done = await vm.start_cpus(RunningReason.CRASHED if crashed else RunningReason.UNPAUSED)
        finally:
            vm.job.end()
    except VirtsimError as error:
        vm.driver.context.note("host", vm.name, op="reboot.failed", detail=str(error))
    finally:
        run.shutting_for_reboot = False
        run.fake_reboot = False
    if not done and vm.still(run) and run.process is not None:
        try:
            # libvirt kills with force and does not wait for the outcome: EOF does the rest.
            await kill_painfully(
                vm.driver.context, vm.name, run.process, force=True, hostdevs=run.live.hostdev_count
            )
        except VirtsimError as error:
            vm.driver.context.note("host", vm.name, op="kill.failed", detail=str(error))


async def _handle_panic(vm: VirtualMachine, run: Run) -> None:
    """``processGuestPanicEvent``: CRASHED/PANICKED, then what on_crash says."""
    try:
        await vm.job.begin_async(AsyncJob.DUMP, EVENT_WORKER)
    except OperationError as error:
        vm.driver.context.note("host", vm.name, op="panic.failed", detail=str(error))
        return
    try:
        if not vm.still(run):
            return
        row = vm.check(Trigger.QEMU_PANICKED)
        vm.enter(row)
        action = run.live.on_crash or "destroy"
        if action.startswith("coredump-"):
            # Said, not done: the state machine is libvirt's, the file is not written.
            vm.driver.context.note("host", vm.name, op="coredump.unsupported", detail=action)
        if action in _RESTART:
            run.fake_reboot = True
            run.own(_fake_reboot(vm, run), f"{vm.name}: reboot")
        elif action != "preserve":
            await stop(vm, vm.check(Trigger.PANIC_STOP))
    finally:
        vm.driver.remove_inactive(vm)
        vm.job.end_async()


def _source_of(run: Run, alias: str) -> str:
    for disk in run.live.devices.disks:
        if disk.alias == alias:
            return disk.source_file or disk.source_dev or ""
    return ""
