"""Figures and texts of libvirt with values that no shipped scenario has, on the virtual clock."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from virtsim import api
from virtsim.errors import VirtsimError
from virtsim.testing import Simulation, simulate

Outcome = tuple[str | None, float, list[float]]

NO_SOCKET = "monitor socket did not show up: No such file or directory"
REFUSED = "monitor socket did not show up: Connection refused"
CLOSED = "internal error: qemu unexpectedly closed the monitor: bye"
EXITED = "internal error: process exited while connecting to monitor: bye"
BYE: dict[str, Any] = {"at": "300ms", "do": {"exit": {"code": 1, "stderr": "bye"}}}


async def error_of(call: Any) -> str | None:
    try:
        await call
    except VirtsimError as error:
        return str(error)
    return None


def started(policy: api.Policy | str, *rules: Any, **spec: Any) -> Outcome:
    """Error, elapsed ms and attempt times of one start."""

    async def story(sim: Simulation) -> Outcome:
        domain = await sim.define("g", **spec)
        error = await error_of(domain.create())
        tries = [record["t"] / 1e6 for record in sim.records if record["kind"] == "attempt"]
        return error, sim.now_ms(), tries

    return simulate(story, policy=policy, fake=list(rules))


@pytest.mark.parametrize(
    ("name", "limit_ms", "memory", "tries", "last_nap"),
    [
        ("backoff-adaptive", 500, "512MiB", 9, 245),
        ("backoff-adaptive", 1000, "512MiB", 10, 489),
        ("backoff-adaptive", 3000, "512MiB", 12, 953),
        ("backoff-adaptive", 5000, "512MiB", 14, 953),
        ("backoff-adaptive", None, "1.99GiB", 40, 953),
        ("backoff-adaptive", None, "256GiB", 295, 953),
        ("backoff-uncapped", None, "256GiB", 15, 13617),
        ("poll200", 3000, "256GiB", 16, 200),
        ("poll200", None, "256GiB", 151, 200),
    ],
)
def test_a_socket_that_never_comes(name, limit_ms, memory, tries, last_nap) -> None:
    policy = api.policy(name, limit_ms)
    error, elapsed, times = started(policy, {"at": "start", "socket": {"never": True}}, memory=memory)
    assert error == NO_SOCKET
    assert (len(times), times[-1] - times[-2]) == (tries, last_nap)
    assert elapsed == times[-1] + 200


@pytest.mark.parametrize(
    ("listening", "error", "met"),
    [("29s", None, 29047.0), ("30s", None, 30000.0), ("30001ms", REFUSED, 30000.0)],
)
def test_a_refusal_that_ends_at_the_limit(listening, error, met) -> None:
    found, _, times = started("backoff-adaptive", {"at": "start", "socket": {"listen_after": listening}})
    assert (found, times[-1]) == (error, met)


@pytest.mark.parametrize("policy", ["fdpass", "eventful"])
@pytest.mark.parametrize("slow", [{"socket": {"delay": "60s"}}, {"greeting": {"delay": "60s"}}])
@pytest.mark.parametrize(("linger", "error", "elapsed"), [("50ms", CLOSED, 500.0), (None, EXITED, 300.0)])
def test_a_qemu_that_dies_with_a_handed_in_listener(policy, slow, linger, error, elapsed) -> None:
    """All its descriptors close together, whether it had come to serve the listener or not."""
    rules = [{"at": "start", **slow}, BYE, *([{"at": "start", "linger": linger}] if linger else [])]
    assert started(policy, *rules)[:2] == (error, elapsed)


def test_a_reply_of_one_byte_more_than_10_mib() -> None:
    async def story(sim: Simulation) -> None:
        domain = await sim.define("g")
        await domain.create()
        text = "internal error: QEMU monitor reply exceeds buffer size (10485760 bytes)"
        assert await error_of(domain.memoryStats()) == text
        assert await error_of(domain.suspend()) == text
        assert await domain.state() == (1, 1)
        assert sim.events()[-1] == ("g", "CONTROL_ERROR")

    rule = {"on": "command", "match": "query-balloon", "skip": 1, "do": {"oversize": 10_485_761}}
    simulate(story, fake=[rule])


def test_a_panicked_guest_can_be_resumed() -> None:
    """``virDomainResume`` takes CRASHED/PANICKED, and so does QEMU's ``cont`` (df39076850)."""

    async def story(sim: Simulation) -> None:
        domain = await sim.define("g")
        xml = (await domain.XMLDesc()).replace("<on_crash>destroy<", "<on_crash>preserve<")
        assert "preserve" in xml
        domain = await sim.connection.defineXML(xml)
        await domain.create()
        await asyncio.sleep(1.5)
        assert await domain.state() == (6, 1)
        await domain.resume()
        assert await domain.state() == (1, 5)
        assert [event[1:] for event in sim.events()[-3:]] == [
            ("SUSPENDED", "PAUSED"),
            ("CRASHED", "PANICKED"),
            ("RESUMED", "UNPAUSED"),
        ]

    simulate(story, fake=[{"at": "1s", "do": {"guest": "panic"}}])


def test_sigkill_is_delivered_before_a_sigterm_that_waits_too() -> None:
    """A QEMU in state D that was sent both dies by SIGKILL: it has no time to report a SHUTDOWN."""

    async def story(sim: Simulation) -> None:
        domain = await sim.define("g")
        await domain.create()
        assert "with SIGKILL: Device or resource busy" in str(await error_of(domain.destroy()))
        assert sim.now_ms() == 40_000
        await asyncio.sleep(5)
        assert await domain.state() == (5, 3)
        assert sim.events()[-1] == ("g", "STOPPED", "FAILED")

    simulate(story, fake=[{"at": "start", "uninterruptible": "42s"}])


def test_an_expected_migration_is_waited_for_four_times() -> None:
    async def story(sim: Simulation) -> tuple[str | None, float]:
        domain = await sim.define("g")
        return await error_of(domain.create()), sim.now_ms()

    error = {"class": "MigrationExpected", "desc": "an incoming migration is expected"}
    rule: dict[str, Any] = {"on": "command", "match": "cont", "do": {"error": error}}
    assert simulate(story, fake=[rule]) == ("operation failed: resume operation failed", 1200.0)
    assert simulate(story, fake=[rule | {"count": 2}]) == (None, 500.0)


@pytest.mark.parametrize("stalled", ["qmp_capabilities", "query-block", "cont"])
def test_a_destroy_during_a_start_succeeds_wherever_the_start_is(stalled) -> None:
    """Also between QEMU's RESUME and its reply to ``cont``, when the domain is RUNNING already."""

    async def story(sim: Simulation) -> None:
        domain = await sim.define("g")
        start = asyncio.ensure_future(error_of(domain.create()))
        await asyncio.sleep(5)
        await domain.destroy()
        assert sim.now_ms() == 5200
        assert await start
        assert (await domain.state())[0] == 5

    simulate(story, policy="fdpass", fake=[{"on": "command", "match": stalled, "do": {"drop": True}}])


def test_a_stopped_qemu_answers_when_it_may_go_on() -> None:
    """SIGSTOP holds everything but SIGKILL: a job, and the SIGTERM of a destroy."""

    async def story(sim: Simulation) -> None:
        domain = await sim.define("g")
        await domain.create()
        sim.kill("g", signal.SIGSTOP)
        question = asyncio.ensure_future(domain.memoryStats())
        await asyncio.sleep(7)
        assert not question.done()
        sim.kill("g", signal.SIGCONT)
        assert await question
        assert sim.now_ms() == 7000
        sim.kill("g", signal.SIGSTOP)
        await domain.destroy()
        assert sim.now_ms() == 17_200

    simulate(story)
