"""The end of a domain: destroy, the loss of QEMU, and the clean-up that follows either.

Source: libvirt 8.5.0 ``qemuDomainDestroyFlags``, ``qemuProcessBeginStopJob``, ``processMonitorEOFEvent`` and
``qemuProcessStop``; the watch on a process that outlived its kill is of newer versions.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import TYPE_CHECKING

from virtsim.errors import VirtsimError
from virtsim.host.context import CURRENT_CALL
from virtsim.qemu.kill import kill_painfully
from virtsim.qemu.vm import Run, VirtualMachine, finish
from virtsim.states.domain import DomainRow, Trigger
from virtsim.states.job import Job

if TYPE_CHECKING:
    from virtsim.host.abc import Process

__all__ = ["EVENT_WORKER", "destroy", "handle_loss", "lost", "recheck", "stop", "watch_exit"]

#: Whom waiting callers see when QEMU's end is being dealt with (libvirt's thread pool).
EVENT_WORKER = "qemu-event"

#: How long the monitor's own end may lag behind the process's, seconds: the kernel closes both at once, but a
#: helper that inherited the descriptor may keep it open.
_EOF_LAG_S = 1.0


async def destroy(vm: VirtualMachine, *, graceful: bool, api: str) -> None:
    """Kill QEMU first, then wait for the job, then clean up: SHUTOFF/DESTROYED and STOPPED/DESTROYED.

    When this fails or is cancelled the domain stays as it is; if QEMU ends later after all, its end is dealt
    with then.

    Raises:
        OperationInvalid: the domain is not running (it may have ended while we waited).
        HostError: EBUSY, QEMU survived 15 s of SIGTERM (graceful) or 30 s of SIGKILL; 2 s more per host
        device. OperationTimeout: the job was not to be had within 30 s.
    """
    vm.check(Trigger.DESTROY)
    run = vm.run
    assert run is not None  # noqa: S101  (active domains have one)
    starting = run.starting and not run.being_destroyed
    await _begin_stop(vm, run, force=not graceful, api=api)
    try:
        if not vm.still(run):
            # The start has noticed the end first and has dealt with it: what was asked for is done.
            if not starting:
                vm.check(Trigger.DESTROY)
            return
        await stop(vm, vm.check(Trigger.DESTROY))
    finally:
        vm.driver.remove_inactive(vm)
        vm.job.end()
        recheck(vm, run)


async def _begin_stop(vm: VirtualMachine, run: Run, *, force: bool, api: str) -> None:
    """Kill QEMU and take the DESTROY job. Its end is expected as long as ``being_destroyed`` is set."""
    run.destroyers += 1
    try:
        if run.process is not None:
            await kill_painfully(
                vm.driver.context, vm.name, run.process, force=force, hostdevs=run.live.hostdev_count
            )
        await vm.job.begin(Job.DESTROY, api)
    except BaseException:
        run.destroyers -= 1
        if run.let_through is not None and not run.being_destroyed:
            run.let_through()
        recheck(vm, run)
        raise
    run.destroyers -= 1


async def stop(vm: VirtualMachine, row: DomainRow) -> None:
    """Take everything down that a run has put up, then enter ``row``; the caller holds a job.

    Never half done: it goes on to its end when the caller is cancelled. Twice at once is once.
    """
    run = vm.run
    if run is None:
        return
    # The clean-up ends this run's tasks; one of them that waits for it must be spared.
    run.stoppers.append(asyncio.current_task())
    if run.stopping is None:
        task = asyncio.get_running_loop().create_task(_stop(vm, run, row), name=f"{vm.name}: stop")
        run.stopping = task
    await finish(run.stopping)


async def _stop(vm: VirtualMachine, run: Run, row: DomainRow) -> None:
    driver = vm.driver
    if run.monitor is not None:
        run.monitor.close()
        run.monitor = None
    process = run.process
    try:
        if process is not None and process.alive():
            # "Shut it off for sure": libvirt ignores that this fails, the domain is off either way.
            with contextlib.suppress(VirtsimError):
                await kill_painfully(
                    driver.context, vm.name, process, force=True, hostdevs=run.live.hostdev_count
                )
    finally:
        await run.end_tasks()
        _remove_files(vm, run)
        driver.release_id(vm)
        vm.run = None
        vm.autodestroy = None
        vm.enter(row)


def _remove_files(vm: VirtualMachine, run: Run) -> None:
    """Remove the sockets and the directory of a run; the log stays.

    What cannot be removed is noted: the domain is off all the same.
    """
    files = vm.driver.context.files
    paths = run.paths
    for path in (paths.monitor, paths.pidfile):
        try:
            files.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            vm.driver.context.note("host", vm.name, op="unlink.failed", detail=f"{path}: {error.strerror}")
    for directory in filter(None, (paths.channel_dir, paths.dir)):
        try:
            for name in files.list_dir(directory):
                with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                    files.unlink(f"{directory}/{name}")
            files.remove_dir(directory)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTDIR:
                vm.driver.context.note(
                    "host", vm.name, op="rmdir.failed", detail=f"{directory}: {error.strerror}"
                )


def lost(vm: VirtualMachine, run: Run) -> None:
    """QEMU is gone, or its monitor is: have the event worker deal with it, unless somebody does already."""
    if (
        run.starting
        or run.being_destroyed
        or run.lost_handled
        or run.stopping is not None
        or vm.run is not run
    ):
        return
    run.lost_handled = True
    run.submit(lambda: handle_loss(vm, run), vm.name)


def recheck(vm: VirtualMachine, run: Run) -> None:
    """Look whether QEMU was lost while somebody else was responsible for it."""
    if vm.still(run) and (run.ended or run.process_gone):
        lost(vm, run)


async def handle_loss(vm: VirtualMachine, run: Run) -> None:
    """``processMonitorEOFEvent``: kill what is left, then SHUTOFF after a SHUTDOWN, else CRASHED.

    When the kill or the job fails the domain stays listed; the watch on the process tries again at its end.
    """
    try:
        await _begin_stop(vm, run, force=True, api=EVENT_WORKER)
    except VirtsimError as error:
        vm.driver.context.note("host", vm.name, op="stop.failed", detail=str(error))
        run.lost_handled = False
        return
    try:
        if vm.still(run):
            await stop(vm, vm.check(Trigger.QEMU_EOF))
    finally:
        vm.driver.remove_inactive(vm)
        vm.job.end()


async def watch_exit(vm: VirtualMachine, run: Run, process: Process) -> None:
    """Wait for the process's end and see that somebody notices it, also when the monitor is of no use."""
    CURRENT_CALL.set(0)
    await process.wait()
    run.process_gone = True
    if not run.ended and not run.monitor_error and run.monitor is not None:
        # QEMU's last words are still on their way: SHUTDOWN decides between SHUTDOWN and CRASHED.
        run.closed = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EOF_LAG_S):
                await run.closed.wait()
    recheck(vm, run)
