"""The start of a domain, from the job to ``cont``; and what is left when it fails: nothing.

Source: libvirt 8.5.0 ``qemuProcessStart`` with ``qemuProcessInit``, ``qemuProcessLaunch``,
``qemuProcessWaitForMonitor`` and ``qemuProcessFinishStartup``.
"""

from __future__ import annotations

import contextlib
import errno
import os
from functools import partial
from typing import TYPE_CHECKING

from virtsim.errors import HostError, InternalError, OperationFailed, VirtsimError
from virtsim.host.sockets import Listener, listen_unix
from virtsim.qemu import startup
from virtsim.qemu.argv import MonitorSocket, build
from virtsim.qemu.connector import open_monitor
from virtsim.qemu.events import monitor_closed, qmp_event, release_held
from virtsim.qemu.last_words import log_tail, start_failure
from virtsim.qemu.live import InstancePaths, make_live
from virtsim.qemu.monitor import Monitor, MonitorEOF, MonitorReadError
from virtsim.qemu.schedules import GuestSize
from virtsim.qemu.stop import recheck, stop, watch_exit
from virtsim.qemu.vm import Run, VirtualMachine
from virtsim.states._generated_enums import RunningReason
from virtsim.states.domain import Trigger
from virtsim.states.job import AsyncJob

if TYPE_CHECKING:
    from virtsim.model import Domain

__all__ = ["instance_paths", "remove_log", "start"]


async def start(vm: VirtualMachine, definition: Domain | None, *, paused: bool, api: str) -> None:
    """Start a domain: one START job, one QEMU, and at its end RESUMED and STARTED.

    When it fails or is cancelled nothing is left: no process, socket, file, descriptor or task; the state is
    SHUTOFF/FAILED and there are no events. A transient domain is forgotten then.

    Args:
        vm: the domain.
        definition: what to start: the document given to ``createXML``, or None: its own, as it stands
        once the
            job is ours.
        paused: leave it in PAUSED/USER, with STARTED and SUSPENDED.
        api: who asks, as waiting callers are told.

    Raises:
        OperationInvalid: it is running already.
        OperationTimeout: the job was not to be had within 30 s.
        HostError: the monitor's socket did not show up, or could not be connected.
        InternalError: QEMU exited, closed its monitor, or refused a command.
        OperationFailed: the domain was destroyed meanwhile.
    """
    try:
        await vm.job.begin_async(AsyncJob.START, api)
    except BaseException:
        vm.driver.remove_inactive(vm)
        raise
    try:
        row = vm.check(Trigger.CREATE)
        run = _init(vm, definition or vm.config)
        vm.enter(row)
        try:
            await _launch(vm, run, paused=paused, api=api)
        except BaseException:
            if vm.run is run:
                await stop(vm, vm.check(Trigger.START_FAILED))
            raise
        run.starting = False
        vm.enter(vm.check(Trigger.STARTED_PAUSED if paused else Trigger.STARTED))
        recheck(vm, run)
    finally:
        vm.driver.remove_inactive(vm)
        vm.job.end_async()


def instance_paths(run_dir: str, name: str, domain_id: int) -> InstancePaths:
    """Where the files of one start are (``virDomainDefGetShortName``: at most 20 characters of the name)."""
    directory = f"{run_dir}/domain-{domain_id}-{name[:20]}"
    return InstancePaths(
        dir=directory,
        monitor=f"{directory}/monitor.sock",
        log=f"{run_dir}/log/{name}.log",
        pidfile=f"{directory}/qemu.pid",
        channel_dir=f"{directory}/channel",
    )


def _init(vm: VirtualMachine, definition: Domain) -> Run:
    """``qemuProcessInit``: the id and the live definition. On failure the domain is as before."""
    driver = vm.driver
    number = driver.assign_id(vm)
    try:
        paths = instance_paths(driver.context.run_dir, vm.name, number)
        run = Run(make_live(definition, domain_id=number, paths=paths), paths)
    except BaseException:
        driver.release_id(vm)
        raise
    run.let_through = partial(release_held, vm, run)
    vm.run = run
    return run


async def _launch(vm: VirtualMachine, run: Run, *, paused: bool, api: str) -> None:
    listener = await _spawn(vm, run)
    try:
        await _connect(vm, run, listener)
        await _nested(vm, run, api)
        try:
            await startup.greet(vm)
        except VirtsimError as error:
            raise _explained(vm, run, error, connecting=True) from error
        try:
            await startup.set_up(vm)
            if not paused and not await vm.start_cpus(RunningReason.BOOTED):
                raise OperationFailed("resume operation failed")
        except VirtsimError as error:
            raise _explained(vm, run, error, connecting=False) from error
    finally:
        if vm.job.active is not None and vm.job.active.job.name == "ASYNC_NESTED":
            vm.job.end()


async def _nested(vm: VirtualMachine, run: Run, api: str) -> None:
    """Enter the monitor: a destroy that got hold of the domain first has its way."""
    await vm.job.begin_nested(api)
    if not vm.still(run):
        raise OperationFailed("domain is not running")


async def _spawn(vm: VirtualMachine, run: Run) -> Listener | None:
    """Prepare the files, listen if the socket is handed over, and exec QEMU.

    Returns:
        Our copy of the listening socket, for the connector to close. When this fails there is none.
    """
    driver, context = vm.driver, vm.driver.context
    _prepare_files(vm, run)
    handed_over = driver.policy.fd_pass and run.live.fd_pass
    try:
        listener = listen_unix(run.paths.monitor) if handed_over else None
    except OSError as error:
        raise HostError(f"Failed to bind socket to {run.paths.monitor}", error.errno or 0) from error
    try:
        monitor = MonitorSocket(
            path=None if listener is not None else run.paths.monitor,
            fd=listener.fd if listener is not None else None,
        )
        arguments = build(run.live, paths=run.paths, monitor=monitor, accel=driver.accel)
        run.process = await context.launcher.spawn(
            arguments, fds=(listener.fd,) if listener is not None else (), log=run.paths.log
        )
    except BaseException as error:
        if listener is not None:
            listener.close()
        if isinstance(error, OSError):
            context.note("exec.failed", vm.name, errno=_errno_name(error))
            raise _exec_failed(run.live.emulator or "", error) from error
        raise
    context.note("spawn", vm.name, pid=run.process.pid, argv=arguments)
    run.own(watch_exit(vm, run, run.process), f"{vm.name}: exit")
    return listener


def _exec_failed(emulator: str, error: OSError) -> InternalError:
    """As libvirt says it: the child that failed to exec has written its reason to the log."""
    return InternalError(
        "process exited while connecting to monitor: libvirt:  error : cannot execute binary "
        f"{emulator}: {os.strerror(error.errno or 0)}"
    )


def _prepare_files(vm: VirtualMachine, run: Run) -> None:
    """Make the directories of a run; what an earlier run has left in the way goes.

    The log is that of the last start: errors quote its end, and must not quote an older QEMU.

    Raises:
        HostError: something cannot be made or removed.
    """
    files, paths = vm.driver.context.files, run.paths
    path = paths.dir
    try:
        for path in filter(None, (paths.dir, paths.channel_dir, paths.log.rpartition("/")[0])):
            files.make_dirs(path)
        for path in (paths.log, paths.monitor):
            with contextlib.suppress(FileNotFoundError):
                files.unlink(path)
    except OSError as error:
        raise HostError(f"cannot prepare '{path}'", error.errno or 0) from error


async def _connect(vm: VirtualMachine, run: Run, listener: Listener | None) -> None:
    driver, process = vm.driver, run.process
    assert process is not None  # noqa: S101  (`_spawn` has set it)
    guest = GuestSize(run.live.total_memory_kib, run.live.nic_count, run.live.hostdev_count)
    try:
        monitor = await open_monitor(
            driver.context,
            actor=vm.name,
            policy=driver.policy,
            guest=guest,
            path=run.paths.monitor,
            listener=listener,
            process=process,
            monitor_factory=partial(_monitor, vm, run),
        )
    except VirtsimError as error:
        raise _explained(vm, run, error, connecting=True) from error
    if not vm.still(run):
        monitor.close()
        raise OperationFailed("domain is not running")
    run.monitor = monitor


def _monitor(vm: VirtualMachine, run: Run) -> Monitor:
    return Monitor(
        vm.driver.context,
        vm.name,
        on_event=partial(qmp_event, vm, run),
        on_closed=partial(monitor_closed, vm, run),
    )


def _explained(vm: VirtualMachine, run: Run, error: VirtsimError, *, connecting: bool) -> VirtsimError:
    """The error that the user is shown: QEMU's own last words count for more than what the socket said.

    Errors of ``connecting`` are overridden when the process is gone by now; while it lingers, and later
    in the start, the end of the monitor is reported as such. Which of the two a dying QEMU gives is a
    race in libvirt too.
    """
    if not vm.still(run):
        return OperationFailed("domain is not running")
    alive = not connecting or run.process is None or run.process.alive()
    if alive and not isinstance(error, (MonitorEOF, MonitorReadError)):
        return error
    return start_failure(error, alive=alive, tail=log_tail(vm.driver.context.files, run.paths.log))


def remove_log(vm: VirtualMachine) -> None:
    """Remove the log of a domain's last start (``VIR_DOMAIN_DESTROY_REMOVE_LOGS``); failing is no error."""
    with contextlib.suppress(OSError):
        vm.driver.context.files.unlink(instance_paths(vm.driver.context.run_dir, vm.name, -1).log)


def _errno_name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))
