"""The shipped scenarios on the real clock: with fakes that are processes, and with a real QEMU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from virtsim.sim.load import find_scenarios, load_scenario
from virtsim.sim.runner import run_scenario
from virtsim.sim.world import Options

ROOT = Path(__file__).resolve().parents[3]
LIFECYCLE = find_scenarios([str(ROOT / "scenarios" / "010-lifecycle")])
#: Quick ones that apply to processes; the others of scenarios/ differ by nothing but patience.
QUICK = [
    ("020-monitor", "01-fast-start"),
    ("020-monitor", "08-stale-socket"),
    ("020-monitor", "10-death-while-waiting"),
    ("020-monitor", "14-garbage-and-oversize"),
    ("050-events", "32-shutdown-twice"),
    ("050-events", "33-crash-and-sigterm"),
]


@pytest.mark.slow
@pytest.mark.real_qemu
@pytest.mark.parametrize(("path", "name"), LIFECYCLE, ids=lambda value: value if "/" not in value[:1] else "")
def test_a_real_qemu_passes_the_lifecycle(path: str, name: str, tmp_path: Path) -> None:
    loaded = load_scenario(os.path.relpath(path), name)

    result = run_scenario(loaded, Options(clock="real", hypervisor="qemu"), tmp_path)

    assert (result.outcome, result.message, result.failed) == ("passed", "", ())


@pytest.mark.slow
@pytest.mark.parametrize(("path", "name"), LIFECYCLE, ids=lambda value: value if "/" not in value[:1] else "")
def test_fakes_that_are_processes_pass_the_lifecycle(path: str, name: str, tmp_path: Path) -> None:
    loaded = load_scenario(os.path.relpath(path), name)

    result = run_scenario(loaded, Options(clock="real"), tmp_path)

    assert (result.outcome, result.message, result.failed) == ("passed", "", ())


#: On a busy machine a process may be too late for what its scenario says to the millisecond; of some runs one
#: is in time.
RUNS = 4


@pytest.mark.slow
@pytest.mark.parametrize(("act", "name"), QUICK)
def test_fakes_that_are_processes_misbehave_as_those_in_the_loop(act: str, name: str, tmp_path: Path) -> None:
    loaded = load_scenario(os.path.relpath(ROOT / "scenarios" / act / f"{name}.yaml"))

    for run in range(RUNS):
        (tmp_path / str(run)).mkdir()
        result = run_scenario(loaded, Options(clock="real"), tmp_path / str(run))
        if result.outcome == "passed":
            break

    assert (result.outcome, result.message, result.failed) == ("passed", "", ())
