"""Code of the user's own in a scenario, and in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from virtsim.errors import OperationInvalid
from virtsim.sim.load import load_scenario
from virtsim.sim.loop import EndOfTime, SimDeadlock
from virtsim.sim.runner import Result, run_scenario
from virtsim.sim.world import Options
from virtsim.testing import Simulation, simulate

CODE = """
import asyncio, datetime, time

def nap(stage):
    began = time.monotonic(), time.time(), datetime.datetime.now()
    time.sleep(5)
    return [time.monotonic() - began[0], time.time() - began[1], str(datetime.datetime.now() - began[2])]

async def coroutine(stage):
    began = time.time()
    await asyncio.sleep(7)
    stage.note("slept")
    return time.time() - began

async def suspend(stage):
    await stage.domain("web").suspend()
    return (await stage.domain("web").state())[0]

def wrong(stage):
    assert 1 == 2, "one is not two"

def leave(stage):
    raise SystemExit(7)

async def cancelled(stage):
    raise asyncio.CancelledError

def odd(stage):
    raise GeneratorExit

async def library_error(stage):
    await stage.domain("web").resume()

async def no_domain(stage):
    stage.domain("nobody")
"""


def play(folder: Path, function: str, expect: str = "{}") -> Result:
    (folder / "user.py").write_text(CODE, encoding="utf-8")
    (folder / "s.yaml").write_text(
        "name: x\ndomains: {web: {}}\nsteps:\n  - start: web\n"
        f"  - {{call: 'user.py:{function}', expect: {expect}}}\n",
        encoding="utf-8",
    )
    return run_scenario(load_scenario(str(folder / "s.yaml")), Options(), folder / "out")


def said(result: Result) -> list[str]:
    return [str(check) for check in result.failed]


def test_synchronous_code_sees_and_moves_the_virtual_clock(tmp_path: Path) -> None:
    result = play(tmp_path, "nap", "{returns: [5.0, 5.0, '0:00:05'], elapsed: 5s}")

    assert (result.outcome, said(result)) == ("passed", [])
    assert result.clock_ns == 5_200_000_000  # and the curtain's 200 ms


def test_a_coroutine_is_awaited_and_may_write_into_the_journal(tmp_path: Path) -> None:
    result = play(tmp_path, "coroutine", "{returns: 7.0, elapsed: 7s}")

    assert (result.outcome, said(result)) == ("passed", [])
    assert '"detail":"slept"' in (tmp_path / "out/s/journal.jsonl").read_text(encoding="utf-8")


def test_it_may_use_the_library(tmp_path: Path) -> None:
    assert play(tmp_path, "suspend", "{returns: 3}").outcome == "passed"


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("wrong", "AssertionError 'one is not two (user.py:20)'"),
        (
            "library_error",
            "VIR_ERR_OPERATION_INVALID 'Requested operation is not valid: domain is already running'",
        ),
        ("no_domain", "VIR_ERR_NO_DOMAIN \"Domain not found: no domain with matching name 'nobody'\""),
        ("gone", "UserCodeError \"user.py has no function 'gone'"),
    ],
)
def test_what_it_raises_fails_the_step(tmp_path: Path, function: str, text: str) -> None:
    result = play(tmp_path, function)

    assert result.outcome == "failed"
    assert result.message.startswith(f"step 2 (call) failed: {text}")


def test_an_expected_error_is_fine(tmp_path: Path) -> None:
    assert play(tmp_path, "library_error", "{error: {code: VIR_ERR_OPERATION_INVALID}}").outcome == "passed"


# -- virtsim.testing


def test_simulate_runs_a_coroutine_on_the_virtual_clock() -> None:
    async def story(sim: Simulation) -> tuple[float, list[tuple[str, ...]]]:
        huge = await sim.define("huge", memory="402GiB", hugepages="1GiB")
        await huge.create()
        return sim.now_ms(), sim.events()

    ended, events = simulate(
        story, policy="backoff-adaptive", fake=[{"at": "start", "memory": {"zeroing": "3.83GiB/s"}}]
    )

    assert ended == 105_047
    assert events == [
        ("huge", "DEFINED", "ADDED"),
        ("huge", "RESUMED", "UNPAUSED"),
        ("huge", "STARTED", "BOOTED"),
    ]


def test_simulate_takes_rules_by_name() -> None:
    async def story(sim: Simulation) -> list[float]:
        ended = []
        for name in ("slow", "quick"):
            await (await sim.define(name)).create()
            ended.append(sim.now_ms())
        return ended

    rules: dict[str, list[Any]] = {"slow": [{"at": "start", "socket": {"delay": "9s"}}]}

    assert simulate(story, fake=rules) == [9000, 9000]


def test_simulate_raises_what_the_story_raises() -> None:
    async def refused(sim: Simulation) -> None:
        await (await sim.define("web")).resume()

    async def hangs(sim: Simulation) -> None:
        await (await sim.define("web")).create()

    with pytest.raises(OperationInvalid, match="domain is not running"):
        simulate(refused)
    with pytest.raises(SimDeadlock):
        simulate(hangs, policy="fdpass", fake=[{"at": "start", "greeting": {"never": True}}])
    with pytest.raises(EndOfTime):
        simulate(hangs, fake=[{"at": "start", "greeting": {"delay": "20s"}}], end="10s")


@pytest.mark.parametrize(
    "wrong", [{"policy": "fdpas"}, {"end": "10"}, {"fake": [{"at": "start"}]}], ids=["policy", "end", "fake"]
)
def test_simulate_refuses_what_cannot_be(wrong: dict[str, Any]) -> None:
    async def story(sim: Simulation) -> None:
        await sim.define("web", memori="1GiB")

    with pytest.raises(Exception, match=r"fdpas|duration|does nothing"):
        simulate(story, **wrong)
    with pytest.raises(ValueError, match="memori"):
        simulate(story)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("leave", "SystemExit '7"),
        ("cancelled", "CancelledError 'no words"),
        ("odd", "GeneratorExit 'no words"),
    ],
)
def test_user_code_cannot_leave_the_run(tmp_path: Path, function: str, error: str) -> None:
    result = play(tmp_path, function)

    assert result.outcome == "failed"
    assert result.message.startswith(f"step 2 (call) failed: {error} (user.py:")
