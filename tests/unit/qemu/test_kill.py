"""The painful kill keeps libvirt's schedule of signals, its limits and its texts."""

from __future__ import annotations

import errno
import signal

import pytest

from tests.helpers.monitors import World
from virtsim.errors import ErrorCode, HostError
from virtsim.qemu.kill import kill_limit_ms, kill_painfully
from virtsim.sim.loop import run

TERM, KILL = signal.SIGTERM, signal.SIGKILL


def kill(*, force: bool, hostdevs: int = 0, obeys=(), dies_after_s=0.0, gone=False, refuses=None):
    """(end in ms, error or None, signals as (ms, signal), what was noted)"""

    async def main():
        world = World()
        process = world.process
        process.obeys, process.dies_after_s, process.refuses = obeys, dies_after_s, refuses
        if gone:
            process.end()
        error = None
        try:
            await kill_painfully(world.context, "vm", process, force=force, hostdevs=hostdevs)
        except HostError as caught:
            error = caught
        return world.now_ms(), error, process.signals, world.noted("signal", "pid", "signal", "delivered")

    return run(main())


@pytest.mark.parametrize("force", [True, False])
def test_an_obedient_process_costs_200_ms(force: bool) -> None:
    end_ms, error, signals, noted = kill(force=force, obeys=(TERM,))

    assert (end_ms, error) == (200, None)
    assert signals == [(0, TERM)]
    assert noted == [(4711, "SIGTERM", True)]


def test_a_process_that_is_gone_costs_nothing() -> None:
    end_ms, error, signals, noted = kill(force=True, gone=True)

    assert (end_ms, error, signals) == (0, None, [])
    assert noted == [(4711, "SIGTERM", False)]


def test_sigkill_comes_after_ten_seconds_and_is_seen_200_ms_later() -> None:
    end_ms, error, signals, _ = kill(force=True, obeys=(KILL,))

    assert (end_ms, error) == (10_200, None)
    assert signals == [(0, TERM), (10_000, KILL)]


@pytest.mark.parametrize(
    ("force", "hostdevs", "limit_s", "name"),
    [
        (False, 0, 15, "SIGTERM"),
        (True, 0, 40, "SIGKILL"),
        (True, 1, 42, "SIGKILL"),
        (True, 8, 56, "SIGKILL"),
        (True, 16, 72, "SIGKILL"),
        (False, 2, 19, "SIGTERM"),
    ],
)
def test_a_process_that_stays_is_given_up_with_ebusy(
    force: bool, hostdevs: int, limit_s: int, name: str
) -> None:
    end_ms, error, signals, _ = kill(force=force, hostdevs=hostdevs)

    assert end_ms == limit_s * 1000 == kill_limit_ms(force=force, hostdevs=hostdevs)
    assert error is not None
    assert error.code == ErrorCode.VIR_ERR_SYSTEM_ERROR
    assert error.errno == errno.EBUSY
    assert str(error) == f"Failed to terminate process 4711 with {name}: Device or resource busy"
    assert signals == ([(0, TERM), (10_000, KILL)] if force else [(0, TERM)])


def test_eight_host_devices_give_a_slow_exit_the_time_it_needs() -> None:
    end_ms, error, _, _ = kill(force=True, hostdevs=8, obeys=(KILL,), dies_after_s=40.05)

    assert (end_ms, error) == (50_200, None)


def test_a_refused_signal_is_the_systems_error() -> None:
    end_ms, error, _, noted = kill(force=True, refuses=errno.EPERM)

    assert str(error) == "Failed to terminate process 4711 with SIGTERM: Operation not permitted"
    assert (end_ms, noted) == (0, [(4711, "SIGTERM", False)])
