"""What callers do to a domain that exists: suspend, resume, shutdown, reboot, reset, questions.

Source: libvirt 8.5.0 ``qemu_driver.c``. Each takes its job, looks the situation up in the table, talks to
QEMU, and gives the job back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from virtsim.errors import (
    ErrorCode,
    ErrorDomain,
    InternalError,
    NotSupported,
    OperationError,
    OperationFailed,
    OperationInvalid,
)
from virtsim.states._generated_enums import DomainState, PausedReason, RunningReason
from virtsim.states.domain import Trigger
from virtsim.states.job import AgentJob, Job

if TYPE_CHECKING:
    from virtsim.qemu.vm import VirtualMachine

__all__ = [
    "check_active",
    "control_info",
    "memory_stats",
    "reboot",
    "reset",
    "resume",
    "shutdown",
    "shutdown_by_agent",
    "suspend",
]

_AGENT_CHANNEL = "org.qemu.guest_agent.0"
_RESTART = frozenset({"restart", "rename-restart"})
_END = frozenset({"destroy", "preserve"})


@asynccontextmanager
async def _job(vm: VirtualMachine, job: Job, api: str) -> AsyncIterator[None]:
    await vm.job.begin(job, api)
    try:
        yield
    finally:
        vm.job.end()


def check_active(vm: VirtualMachine) -> None:
    """Raises OperationInvalid "domain is not running" (``virDomainObjCheckActive``)."""
    if not vm.active:
        raise OperationInvalid("domain is not running", domain=ErrorDomain.VIR_FROM_DOMAIN)


async def suspend(vm: VirtualMachine, api: str) -> None:
    """Stop the processors: PAUSED/USER; a paused domain is left alone, with success."""
    async with _job(vm, Job.SUSPEND, api):
        row = vm.check(Trigger.SUSPEND)
        run = vm.run
        if not row.effects or run is None:
            return
        run.paused_reason = PausedReason.USER
        try:
            await vm.perform(row)
        except BaseException:
            run.paused_reason = PausedReason.UNKNOWN
            raise


async def resume(vm: VirtualMachine, api: str) -> None:
    """Let the processors run: RUNNING/UNPAUSED."""
    async with _job(vm, Job.MODIFY, api):
        row = vm.check(Trigger.RESUME)
        if row.effects and not await vm.start_cpus(RunningReason.UNPAUSED):
            raise OperationFailed("resume operation failed")


async def shutdown(vm: VirtualMachine, api: str) -> None:
    """Press the power button; what the guest makes of it comes later, as an event."""
    async with _job(vm, Job.MODIFY, api):
        row = vm.check(Trigger.SHUTDOWN)
        if vm.run is not None:
            # on_poweroff=restart makes every power-off a reboot.
            vm.run.fake_reboot = vm.run.live.on_poweroff in _RESTART
        await vm.perform(row)


async def shutdown_by_agent(vm: VirtualMachine, api: str) -> None:
    """Ask the guest agent. There is no agent connection in this version: says so in libvirt's words."""
    await vm.job.begin_agent(AgentJob.MODIFY, api)
    try:
        if vm.state is not DomainState.RUNNING:
            raise OperationInvalid("domain is not running")
        live = vm.run.live if vm.run is not None else vm.config
        if any(channel.target_name == _AGENT_CHANNEL for channel in live.devices.channels):
            raise OperationError(
                "QEMU guest agent is not connected", code=ErrorCode.VIR_ERR_AGENT_UNRESPONSIVE
            )
        raise NotSupported("QEMU guest agent is not configured", code=ErrorCode.VIR_ERR_ARGUMENT_UNSUPPORTED)
    finally:
        vm.job.end_agent()


async def reboot(vm: VirtualMachine, api: str) -> None:
    """Press the power button and turn the guest's power-off into a reboot (fake reboot).

    With on_reboot=destroy or preserve it is a power-off.
    """
    async with _job(vm, Job.MODIFY, api):
        row = vm.check(Trigger.REBOOT)
        if vm.run is not None:
            vm.run.fake_reboot = vm.run.live.on_reboot not in _END
        await vm.perform(row)


async def reset(vm: VirtualMachine, api: str) -> None:
    """Reset the machine; the state stays, but CRASHED becomes PAUSED/CRASHED."""
    async with _job(vm, Job.MODIFY, api):
        row = vm.check(Trigger.RESET)
        await vm.perform(row)
        if vm.run is not None:
            vm.run.fake_reboot = False


async def memory_stats(vm: VirtualMachine, api: str) -> dict[str, int]:
    """What the balloon says, KiB: ``{"actual": ...}``; empty without a balloon.

    Raises:
        InternalError: QEMU's answer has no such number.
    """
    async with _job(vm, Job.QUERY, api):
        check_active(vm)
        assert vm.run is not None  # noqa: S101  (active domains have one)
        balloon = vm.run.live.devices.balloon
        if balloon is None or balloon.model == "none":
            return {}
        reply = await vm.execute("query-balloon")
        actual = reply.get("actual") if isinstance(reply, dict) else None
        if not isinstance(actual, int):
            raise InternalError("balloon reply was missing balloon data")
        return {"actual": actual // 1024}


async def touch(vm: VirtualMachine, api: str) -> None:
    """Take a QUERY job and give it back, as ``virDomainGetXMLDesc`` of a live domain does since 11.0.0."""
    async with _job(vm, Job.QUERY, api):
        pass


def control_info(vm: VirtualMachine) -> tuple[int, int, int]:
    """``virDomainGetControlInfo``: (state, details, milliseconds in it).

    States: 0 ok, 1 a background job, 2 the monitor is occupied, 3 error; details of an error: 2 monitor.
    """
    check_active(vm)
    run = vm.run
    assert run is not None  # noqa: S101  (active domains have one)
    if run.monitor_error:
        return 3, 2, 0
    now_s = asyncio.get_running_loop().time()
    if vm.job.async_job is not None:
        return 1, 0, round((now_s - vm.job.async_job.since_s) * 1000)
    if vm.job.active is None:
        return 0, 0, 0
    busy_ns = run.monitor.busy_since_ns if run.monitor is not None else None
    if busy_ns is not None:
        return 2, 0, round(now_s * 1000) - round(busy_ns / 1_000_000)
    return 3, 3, 0
