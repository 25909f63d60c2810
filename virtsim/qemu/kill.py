"""Make QEMU go away: libvirt's painful kill.

Knows the schedule of signals and what it says when it fails. Must not know why QEMU has to go.
"""

from __future__ import annotations

import asyncio
import errno
import signal

from virtsim.errors import HostError
from virtsim.host.abc import Process
from virtsim.host.context import Context

__all__ = ["kill_limit_ms", "kill_painfully"]

#: All from libvirt 8.5.0 virProcessKillPainfullyDelay: a look every 200 ms, 75 of them, or 200 with force ...
POLL_MS = 200
ROUNDS_GRACEFUL = 75
ROUNDS_FORCED = 200
#: ... SIGKILL on this one (10 s after SIGTERM) ...
SIGKILL_ROUND = 50
#: ... and 5 more for each second of extra patience, of which qemuProcessKill asks 2 for each host device.
ROUNDS_PER_HOSTDEV = 5 * 2


def kill_limit_ms(*, force: bool, hostdevs: int = 0) -> int:
    """How long `kill_painfully` takes to give up, milliseconds: 15 s or 40 s, and 2 s a host device."""
    return _rounds(force=force, hostdevs=hostdevs) * POLL_MS


async def kill_painfully(
    context: Context, actor: str, process: Process, *, force: bool, hostdevs: int = 0
) -> None:
    """Send SIGTERM, look every 200 ms whether the process is gone, with ``force`` send SIGKILL after 10 s.

    Returns when the process has left the process table; when it had left already, at once. The first look
    comes after 200 ms, so even a process that dies instantly costs that. Cancelling it stops the schedule
    where it stands; signals that were sent stay sent.

    Args:
        context: where the signals are noted (kind "signal").
        actor: the domain's name.
        process: whom to kill.
        force: SIGKILL is allowed.
        hostdevs: host devices of the guest: unbinding a busy one takes time, so each gives 2 s more.

    Raises:
        HostError: EBUSY, it lives on after 15 s, or 40 s with force; or the system refused a signal. The
            process keeps running.
    """
    sent = signal.SIGTERM
    for number in range(_rounds(force=force, hostdevs=hostdevs)):
        try:
            if number == 0:
                _send(context, actor, process, sent)
            elif force and number == SIGKILL_ROUND:
                sent = signal.SIGKILL
                _send(context, actor, process, sent)
            elif not process.alive():
                return
        except ProcessLookupError:
            return
        except OSError as error:
            raise _failure(process, sent, error.errno or errno.EPERM) from error
        await asyncio.sleep(POLL_MS / 1000)
    raise _failure(process, sent, errno.EBUSY)


def _rounds(*, force: bool, hostdevs: int) -> int:
    return (ROUNDS_FORCED if force else ROUNDS_GRACEFUL) + ROUNDS_PER_HOSTDEV * hostdevs


def _send(context: Context, actor: str, process: Process, signum: signal.Signals) -> None:
    """Send one signal and note it, also when nobody was there to get it."""
    try:
        process.signal(signum)
    except OSError:
        context.note("signal", actor, pid=process.pid, signal=signum.name, delivered=False)
        raise
    context.note("signal", actor, pid=process.pid, signal=signum.name, delivered=True)


def _failure(process: Process, sent: signal.Signals, number: int) -> HostError:
    return HostError(f"Failed to terminate process {process.pid} with {sent.name}", number)
