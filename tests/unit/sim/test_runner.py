"""What a run notices: leftovers, races, background steps, and every way a scenario can end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from virtsim.host.memory import MemoryFiles
from virtsim.sim.check import check_paths
from virtsim.sim.emulator import emulator_version
from virtsim.sim.load import find_scenarios, load_scenario
from virtsim.sim.runner import Result, run_scenario
from virtsim.sim.stage import Stage
from virtsim.sim.world import MissingError, Options, find_emulator, find_fake, guest_name


def run(folder: Path, text: str, options: Options | None = None) -> tuple[Result, list[dict[str, Any]]]:
    (folder / "s.yaml").write_text("name: x\n" + text, encoding="utf-8")
    result = run_scenario(load_scenario(str(folder / "s.yaml")), options or Options(), folder / "out")
    lines = (folder / "out/s/journal.jsonl").read_text(encoding="utf-8").splitlines()
    return result, [json.loads(line) for line in lines]


def test_a_journal_begins_with_its_header_and_ends_with_its_outcome(tmp_path: Path) -> None:
    result, records = run(tmp_path, "domains: {web: {}}\nsteps: [start: web]\n")

    assert records[0]["kind"] == "header"
    assert records[0]["replay"] == result.replay
    assert records[-1] == {"t": result.clock_ns, "actor": "run", "kind": "end", "outcome": "passed"}
    assert [record["ok"] for record in records if record["kind"] == "expect"] == [True]


def test_a_step_in_the_background_is_joined(tmp_path: Path) -> None:
    text = """domains: {web: {}}
fake: {web: [{at: start, socket: {delay: 10s}}]}
steps:
  - {start: web, as: bg, expect: {elapsed: 10s}}
  - {wait: 3s, expect: {elapsed: 3s}}
  - {stat: web, at: 5s, expect: {elapsed: 5s}}
  - {join: bg, expect: {elapsed: 0s}}
"""
    result, _ = run(tmp_path, text)

    assert (result.outcome, [str(check) for check in result.failed]) == ("passed", [])


def test_a_step_in_the_background_that_nobody_joins_is_joined_at_the_end(tmp_path: Path) -> None:
    text = """domains: {web: {}}
fake: {web: [{at: start, socket: {delay: 10s}}]}
steps: [{start: web, as: bg}]
expect: {elapsed: 10s, states: {web: running}}
"""
    result, records = run(tmp_path, text)

    assert (result.outcome, result.failed) == ("passed", ())
    assert any(record["kind"] == "step.end" and record["outcome"] == "passed" for record in records)


def test_an_unexpected_error_in_the_background_ends_the_scenario(tmp_path: Path) -> None:
    result, records = run(
        tmp_path, "domains: {web: {}}\nsteps: [{resume: web, as: bg}, {join: bg}, {wait: 5s}]\n"
    )

    assert result.outcome == "failed"
    assert result.message.startswith("step 1 (resume) failed: VIR_ERR_OPERATION_INVALID")
    assert not any(record.get("verb") == "wait" for record in records)


def test_a_wait_for_a_state_ends_when_it_comes_or_when_its_time_is_over(tmp_path: Path) -> None:
    text = """domains: {web: {}}
fake: {web: [{at: 10s, do: {guest: poweroff}}]}
steps:
  - start: web
  - wait_for: {domain: web, state: shutoff, within: 4s}
    expect:
      elapsed: 4s
      error: {text: "Timed out during operation: the domain is RUNNING, not SHUTOFF"}
  - wait_for: {domain: web, state: shutdown}
    expect: {elapsed: 6s}
  - wait_for: {domain: web, state: shutoff}
  - wait_for: {domain: web, state: shutoff}
    expect: {elapsed: 0s}
"""
    result, _ = run(tmp_path, text)

    assert (result.outcome, [str(check) for check in result.failed]) == ("passed", [])


def test_a_kill_needs_a_qemu(tmp_path: Path) -> None:
    text = "domains: {web: {}}\nsteps:\n  - kill: web\n    expect: {error: {matches: no QEMU}}\n"

    assert run(tmp_path, text)[0].outcome == "passed"


def test_transient_domains_and_templates(tmp_path: Path) -> None:
    text = """domains: {web: {count: 3}}
steps:
  - {create_xml: web, paused: true, expect: {state: paused, reason: user}}
  - {resume: [web-0, web-2], expect: {state: running}}
  - {dumpxml: web-1}
  - {destroy: web, expect: {state: shutoff}}
  - {start: web, expect: {succeed: 0, error: {code: VIR_ERR_NO_DOMAIN}}}
expect: {event_counts: {UNDEFINED/REMOVED: 0, STOPPED/DESTROYED: 3, RESUMED/UNPAUSED: 2}}
"""
    result, _ = run(tmp_path, text)

    assert (result.outcome, [str(check) for check in result.failed]) == ("passed", [])


def test_reboot_and_reset(tmp_path: Path) -> None:
    text = """domains: {web: {}}
steps:
  - start: web
  - {reset: web, expect: {state: running, qmp: [system_reset]}}
  - {reboot: web, expect: {qmp: [system_powerdown]}}
  - wait: 1s
expect:
  events: [[web, RESUMED, UNPAUSED], [web, STARTED, BOOTED], [web, REBOOT], [web, REBOOT]]
  states: {web: running}
"""
    result, _ = run(tmp_path, text)

    assert (result.outcome, [str(check) for check in result.failed]) == ("passed", [])


def test_an_answer_that_makes_no_sense_is_an_error_of_the_call(tmp_path: Path) -> None:
    text = """domains: {web: {}}
fake: {web: [{on: command, match: query-balloon, skip: 1, do: {reply: nonsense}}]}
steps:
  - start: web
  - stat: web
    expect:
      state: running
      error: {text: "internal error: balloon reply was missing balloon data"}
"""
    result, _ = run(tmp_path, text)

    assert (result.outcome, [str(check) for check in result.failed]) == ("passed", [])


def test_a_limit_can_be_given_to_a_policy(tmp_path: Path) -> None:
    text = """policy: {name: backoff-adaptive, limit: 500ms}
domains: {web: {}}
fake: {web: [{at: start, socket: {never: true}}]}
steps:
  - {start: web, expect: {limit: 500ms, attempts: 9, error: {code: VIR_ERR_SYSTEM_ERROR}}}
"""
    assert run(tmp_path, text)[0].outcome == "passed"


def test_what_is_left_behind_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clear = Stage.clear

    async def untidy(self: Stage) -> None:
        await clear(self)
        files = self.connection._driver().context.files
        assert isinstance(files, MemoryFiles)
        files.write_atomic("/run/virtsim/crumbs", b"x")

    monkeypatch.setattr(Stage, "clear", untidy)

    result, records = run(tmp_path, "domains: {web: {}}\nsteps: [start: web]\n")

    assert result.outcome == "failed"
    assert [str(check) for check in result.failed] == ["leftovers: expected none, saw files: crumbs"]
    assert [record["files"] for record in records if record["kind"] == "leftovers"] == [["crumbs"]]


def test_an_end_of_time_on_the_real_clock(tmp_path: Path) -> None:
    result, _ = run(tmp_path, "end: 100ms\ndomains: {web: {}}\nsteps: [wait: 50s]\n", Options(clock="real"))

    assert result.outcome == "failed"
    assert result.message == "end of time: the scenario was not over after 0.1 s"


def test_a_bug_of_ours_is_an_error_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Stage) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(Stage, "play", broken)

    result, records = run(tmp_path, "domains: {web: {}}\nsteps: [start: web]\n")

    assert result.outcome == records[-1]["outcome"] == "error"
    assert result.message == "internal error: ZeroDivisionError: of all things"
    assert "test_runner.py" in result.traceback


def test_programs_are_found_or_said_to_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "my-qemu"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("VIRTSIM_QEMU", str(program))

    assert find_emulator() == str(program)
    assert find_fake().endswith("/fakeqemu-system-x86_64")
    with pytest.raises(MissingError, match="no /gone here"):
        find_emulator("/gone")


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["q", "-name", "guest=web,debug-threads=on"], "web"),
        (["q", "-name", "web"], "web"),
        (["q", "-name", "guest=a,,b,debug-threads=on"], "a,b"),
        (["q", "-S"], ""),
    ],
)
def test_a_command_line_says_whose_it_is(argv: list[str], name: str) -> None:
    assert guest_name(argv) == name


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("QEMU emulator version 6.2.0 (Debian 1:6.2+dfsg-2ubuntu6.22)", (6, 2)),
        ("QEMU emulator version 10.0.2", (10, 0)),
        ("QEMU emulator version 9.0.0 (qemu-kvm-9.0.0-10.el9)", None),
    ],
)
def test_a_qemu_says_its_version(tmp_path: Path, says: str, version: tuple[int, int] | None) -> None:
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    program.chmod(0o755)

    assert emulator_version(str(program)) == version


def test_machine_types_are_those_of_the_real_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu"
    program.write_text("#!/bin/sh\necho QEMU emulator version 5.1.0\n", encoding="utf-8")
    program.chmod(0o755)
    seen = []

    async def play(self: Stage) -> None:
        domain = await self.connection.defineXML(self.document("web"))
        seen.append(await domain.XMLDesc())
        seen.append(await self.connection.domainXMLToNative("qemu-argv", self.document("web")))

    monkeypatch.setattr(Stage, "play", play)

    result, _ = run(
        tmp_path,
        "hypervisors: [qemu]\ndomains: {web: {}}\nsteps: [start: web]\n",
        Options(clock="real", hypervisor="qemu", emulator=str(program)),
    )

    assert result.outcome == "passed"
    assert ["pc-i440fx-5.1" in text for text in seen] == [True, True]


def test_a_folder_may_hold_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "a.yaml").write_text("name: a\n", encoding="utf-8")

    assert find_scenarios([str(tmp_path)]) == [(str(tmp_path / "a.yaml"), "a")]
    assert check_paths([str(tmp_path)]).files == 1
