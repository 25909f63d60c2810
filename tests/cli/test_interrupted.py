"""Ctrl-C, SIGTERM and kill -9 in the middle of a run: nothing stays, what ran is reported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.commands import Virtsim

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """name: two that run for long
domains: {a: {}, b: {}}
steps: [{start: [a, b]}, {wait: 50s}]
"""


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """A short directory for the sockets of this test's runs alone."""
    with tempfile.TemporaryDirectory(prefix="vs") as name:
        yield Path(name)
        for pid in guests(Path(name)):  # of a test that failed half-way
            os.kill(pid, signal.SIGKILL)


def begin(folder: Path, runtime: Path) -> subprocess.Popen[str]:
    (folder / "long.yaml").write_text(SCENARIO, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "virtsim", "run", "long.yaml", "--clock", "real", "--out", "out"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(runtime)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def guests(runtime: Path) -> list[int]:
    """The processes whose output goes to a log below the run directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "fd" / "1").readlink().is_relative_to(runtime):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until_running(folder: Path) -> None:
    journal = folder / "out" / "long" / "journal.jsonl"
    for _ in range(1000):
        if journal.exists() and '"verb":"wait"' in journal.read_text(encoding="utf-8"):
            return
        time.sleep(0.02)  # noqa: TID251  (another process: nothing else to wait for)
    pytest.fail("the domains did not start")


def nothing_left(runtime: Path) -> bool:
    bound = [line for line in Path("/proc/net/unix").read_text().splitlines() if str(runtime) in line]
    return guests(runtime) == [] and bound == [] and list((runtime / "virtsim").glob("run-*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_cleans_up_and_reports(tmp_path: Path, runtime_dir: Path, number: int) -> None:
    with begin(tmp_path, runtime_dir) as process:
        try:
            wait_until_running(tmp_path)
            assert len(guests(runtime_dir)) == 2
        finally:
            process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert out.startswith("interrupted long ")
    assert err == "virtsim: interrupted; the report of what ran is written\n"
    assert nothing_left(runtime_dir)
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["scenarios"][0]["outcome"] == "interrupted"


@pytest.mark.slow
def test_the_next_run_cleans_up_after_one_that_was_killed(
    tmp_path: Path, runtime_dir: Path, virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin(tmp_path, runtime_dir) as process:
        try:
            wait_until_running(tmp_path)
        finally:
            process.kill()
    assert len(guests(runtime_dir)) == 2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_dir))
    Path("short.yaml").write_text(SCENARIO.replace(", {wait: 50s}", ""), encoding="utf-8")

    done = virtsim("run", "short.yaml", "--clock", "real", "--out", "out")

    assert done.status == 0
    assert done.err.count("an earlier run was killed: ended process ") == 2
    assert nothing_left(runtime_dir)


def test_ctrl_c_on_the_virtual_clock_is_the_same(
    tmp_path: Path, virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("user.py").write_text("def interrupt(stage):\n    raise KeyboardInterrupt\n", encoding="utf-8")
    Path("a.yaml").write_text(
        "name: x\ndomains: {a: {}}\nsteps: [start: a, call: 'user.py:interrupt']\n", encoding="utf-8"
    )
    Path("b.yaml").write_text("name: x\ndomains: {a: {}}\nsteps: [start: a]\n", encoding="utf-8")

    done = virtsim("run", "a.yaml", "b.yaml")

    assert done.status == 130
    assert done.out.splitlines()[0].startswith("interrupted a ")
    assert "not run" in done.out
    records = [json.loads(line) for line in Path("reports/latest/a/journal.jsonl").read_text().splitlines()]
    assert records[-1]["outcome"] == "interrupted"
    assert [record["event"] for record in records if record["kind"] == "event"][-2:] == [
        "STOPPED",
        "UNDEFINED",
    ]
