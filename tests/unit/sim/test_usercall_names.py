"""Names that user code imported from the time modules follow the virtual clock, as long as it runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from virtsim.sim.load import load_scenario
from virtsim.sim.runner import run_scenario
from virtsim.sim.world import Options

CODE = """
from __future__ import annotations
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
import asyncio

IMPORTED = datetime.now()

@dataclass
class Moment:
    wall: datetime
    seconds: float

def moment():
    return Moment(datetime.now(), monotonic())

def difference(before):
    now = moment()
    return [str(now.wall - before.wall), now.seconds - before.seconds]

def nap(stage):
    before = moment()
    assert before.wall == IMPORTED
    sleep(2.5)
    return difference(before)

async def coroutine(stage):
    before = moment()
    await asyncio.sleep(2)
    sleep(0.5)
    return difference(before)
"""


@pytest.mark.parametrize("function", ["nap", "coroutine"])
def test_names_imported_from_the_time_modules_follow_the_virtual_clock(tmp_path: Path, function: str) -> None:
    (tmp_path / "names.py").write_text(CODE, encoding="utf-8")
    expect = "{returns: ['0:00:02.500000', 2.5], elapsed: 2500ms}"
    step = f"  - {{call: 'names.py:{function}', expect: {expect}}}\n"
    (tmp_path / "s.yaml").write_text(
        f"name: x\ndomains: {{web: {{}}}}\nsteps:\n{step}{step}", encoding="utf-8"
    )

    result = run_scenario(load_scenario(str(tmp_path / "s.yaml")), Options(), tmp_path / "out")

    assert (result.outcome, [str(check) for check in result.failed]) == ("passed", [])
    module = sys.modules["virtsim_scenario_names"]
    assert module.sleep is time.sleep  # noqa: TID251
    assert module.monotonic is time.monotonic  # noqa: TID251
    assert module.datetime.__module__ == "datetime"
