"""create() and destroy() interrupted at every single await: nothing may be left, the domain stays usable."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.helpers.faults import Interrupted, suspensions
from tests.helpers.hypervisor import XML, Host
from virtsim.api import CreateFlags
from virtsim.errors import OperationInvalid
from virtsim.sim.loop import run

#: Virtual time for all strikes of one test: they run one after the other in one loop.
END_NS = 100_000 * 10**9
#: Each strike has a host of its own.
RUNS = itertools.count(1)
FAULTS: dict[str, Callable[[], BaseException | None]] = {
    "cancelled": lambda: None,
    "OSError": lambda: OSError(5, "Input/output error"),
    "TimeoutError": lambda: TimeoutError("injected"),
}
POLICIES = ["eventful", "fdpass", "backoff-adaptive", "poll200"]


async def attempt(
    work: Any, at: int, fault: BaseException | None
) -> tuple[Interrupted, BaseException | None]:
    """Run ``work`` with one strike; whatever it raises is returned."""
    wrapped = Interrupted(work, at, fault)
    task = asyncio.get_running_loop().create_task(wrapped)
    await asyncio.wait([task])
    if task.cancelled():
        return wrapped, asyncio.CancelledError()
    return wrapped, task.exception()


async def every(strike: Callable[[int], Awaitable[bool]]) -> int:
    """Strike at 1, 2, 3 ... until there is nothing left to strike at; returns how many there were."""
    at = 1
    while await strike(at):
        at += 1
    return at - 1


def slow(host: Host) -> None:
    """A start with every kind of wait in it: for the socket, for the greeting, for replies."""
    host.plot.socket_after_s = 0.02
    host.plot.greet_after_s = 0.03


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("flags", [0, CreateFlags.START_PAUSED])
def test_create(policy: str, flags: int, fault: str) -> None:
    async def count() -> int:
        host = Host(f"/run/{next(RUNS)}")
        slow(host)
        domain = await (await host.open(policy)).defineXML(XML)
        total = await suspensions(domain.createWithFlags(flags))
        await domain.destroy()
        return total

    async def strike(at: int) -> None:
        host = Host(f"/run/{next(RUNS)}")
        slow(host)
        domain = await (await host.open(policy)).defineXML(XML)
        host.journal.records.clear()
        wrapped, error = await attempt(domain.createWithFlags(flags), at, FAULTS[fault]())
        assert wrapped.struck
        assert error is not None, f"the fault at await {at} was swallowed"
        # At once, not some time later: the caller gets its error when everything is gone.
        assert host.leftovers() == [], f"after {fault} at await {at}"
        assert await domain.state() in {(5, 6), (5, 0)}
        assert "STARTED/BOOTED" not in host.events()
        assert "STOPPED" not in " ".join(host.events())
        await domain.create()
        assert await domain.state() == (1, 1)
        await domain.destroy()
        assert host.leftovers() == []

    async def strikes() -> None:
        total = await count()
        assert total > 10
        for at in range(1, total + 1):
            await strike(at)

    run(strikes(), end_ns=END_NS)


@pytest.mark.parametrize("fault", FAULTS)
def test_create_xml(fault: str) -> None:
    async def strike(at: int) -> bool:
        host = Host(f"/run/{next(RUNS)}")
        slow(host)
        connection = await host.open("backoff-adaptive")
        wrapped, _ = await attempt(connection.createXML(XML), at, FAULTS[fault]())
        if not wrapped.struck:
            return False
        assert host.leftovers() == []
        assert await connection.listAllDomains() == []
        return True

    assert run(every(strike), end_ns=END_NS) > 15


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dies_s", [0.0, 0.25, 12.0, 35.0])
@pytest.mark.parametrize("persistent", [True, False])
def test_destroy(dies_s: float, fault: str, *, persistent: bool) -> None:
    async def strike(at: int) -> bool:
        host = Host(f"/run/{next(RUNS)}")
        connection = await host.open()
        domain = await (connection.defineXML(XML) if persistent else connection.createXML(XML))
        if persistent:
            await domain.create()
        host.plot.term_after_s = dies_s if dies_s < 10 else None
        host.plot.kill_after_s = max(0.0, dies_s - 10)
        wrapped, error = await attempt(domain.destroy(), at, FAULTS[fault]())
        if not wrapped.struck:
            return False
        await asyncio.sleep(100)  # what was killed dies in the end, and its end is dealt with
        vm = connection.driver().domains()
        if vm and vm[0].active:
            assert error is not None
            await domain.suspend()  # untouched: it can still be talked to
            host.plot.term_after_s = 0.0
            await domain.destroy()
        assert host.leftovers() == [], f"after {fault} at await {at}"
        assert len(await connection.listAllDomains()) == int(persistent)
        if persistent:
            host.plot.term_after_s = 0.0
            await domain.create()
            await domain.destroy()
        return True

    assert run(every(strike), end_ns=END_NS) >= 1


@pytest.mark.parametrize("policy", POLICIES)
def test_both_at_once(policy: str) -> None:
    """Destroy at any moment of a start, which is then cancelled at any later await."""

    async def play(destroy_after_ms: int, at: int) -> None:
        host = Host(f"/run/{next(RUNS)}")
        slow(host)
        host.plot.term_after_s = 0.3
        connection = await host.open(policy)
        domain = await connection.defineXML(XML)
        create = asyncio.ensure_future(attempt(domain.create(), at, None))
        await asyncio.sleep(destroy_after_ms / 1000)
        if await domain.isActive():
            with suppress(OperationInvalid):  # the start has failed meanwhile
                await domain.destroy()
        await create
        if await domain.isActive():
            await domain.destroy()
        assert host.leftovers() == []
        assert connection.driver().by_name("vm").job.active is None
        assert connection.driver().by_name("vm").job.async_job is None

    async def plays() -> None:
        for destroy_after_ms in (0, 1, 19, 20, 25, 35, 55, 60):
            for at in range(24):
                await play(destroy_after_ms, at)

    run(plays(), end_ns=END_NS)
