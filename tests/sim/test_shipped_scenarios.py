"""Every shipped scenario passes on the virtual clock, the same way each time, on either net."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from virtsim.sim.load import Loaded, find_scenarios, load_scenario
from virtsim.sim.runner import run_scenario
from virtsim.sim.world import Options

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = find_scenarios([str(ROOT / "scenarios")])
SMALL = [(path, name) for path, name in SCENARIOS if "scale" not in name]

#: Needs file permissions, which the kernel does not hold against root.
PERMISSIONS = {"020-monitor/09-wrong-errno"}


def load(path: str, name: str) -> Loaded:
    return load_scenario(os.path.relpath(path), name)


def same_for_both(record: dict[str, Any]) -> str:
    """A record without the number of a descriptor, which depends on what else this process has open."""
    return re.sub(r",fd=\d+,", ",fd=N,", json.dumps(record))


def journal_of(folder: Path, name: str) -> list[dict[str, Any]]:
    lines = (folder / name / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("path", "name"), SCENARIOS, ids=lambda value: value if "/" not in value[:1] else "")
def test_a_shipped_scenario_passes_and_cites_its_source(path: str, name: str, tmp_path: Path) -> None:
    loaded = load(path, name)

    result = run_scenario(loaded, Options(), tmp_path)

    assert (result.outcome, result.message, result.failed) == ("passed", "", ())
    assert loaded.scenario.source
    assert loaded.scenario.about


@pytest.mark.parametrize(("path", "name"), SMALL, ids=lambda value: value if "/" not in value[:1] else "")
def test_sockets_in_memory_and_the_kernels_give_the_same_journal(
    path: str, name: str, tmp_path: Path
) -> None:
    if name in PERMISSIONS and os.geteuid() == 0:
        return
    loaded = load(path, name)
    for net in ("memory", "real"):
        assert run_scenario(loaded, Options(net=net), tmp_path / net).outcome == "passed"

    # The header has the command that replays the run, with its net; a net does not see every socket of
    # the other.
    memory, real = (
        [
            same_for_both(record)
            for record in journal_of(tmp_path / net, name)[1:]
            if record["kind"] != "socket"
        ]
        for net in ("memory", "real")
    )
    assert memory == real


def test_one_seed_gives_the_same_bytes_under_any_hash_seed(tmp_path: Path) -> None:
    journals = []
    for hash_seed in ("0", "1", "4242"):
        out = tmp_path / hash_seed
        subprocess.run(
            [
                sys.executable,
                "-m",
                "virtsim",
                "run",
                "scenarios",
                "--out",
                str(out),
                "--seed",
                "7",
                "-k",
                "not scale",
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
        )
        found = sorted(out.rglob("journal.jsonl"))
        journals.append({str(path.relative_to(out)): path.read_bytes() for path in found})

    assert journals[0]
    assert journals[0] == journals[1] == journals[2]


def test_another_seed_gives_other_identifiers(tmp_path: Path) -> None:
    loaded = load(*SMALL[0])
    for seed in ("1", "2"):
        run_scenario(loaded, Options(seed=seed), tmp_path / seed)

    spawns = [
        next(record["argv"] for record in journal_of(tmp_path / seed, loaded.id) if record["kind"] == "spawn")
        for seed in ("1", "2")
    ]
    assert spawns[0] != spawns[1]
