"""``virtsim run``: exact words, files written, exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.commands import Virtsim

RIGHT = """name: a start
policy: backoff-adaptive
domains: {web: {}}
fake: {web: [{at: start, socket: {delay: 20ms}}]}
steps:
  - start: web
    expect: {state: running, elapsed: 31ms, attempts: 5}
"""
WRONG = RIGHT.replace("31ms", "32ms").replace("a start", "a wrong start")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "right.yaml").write_text(RIGHT, encoding="utf-8")


def test_a_run_prints_a_line_for_each_scenario_a_table_and_the_reports_path(virtsim: Virtsim) -> None:
    done = virtsim("run", "right.yaml")

    assert done.status == 0
    assert [line.rstrip() for line in done.out.splitlines() if line.strip()] == [
        "passed      right  (0.231 s)",
        "  outcome   scenarios   time on their clock",
        " ───────────────────────────────────────────",
        "  passed            1               0.231 s",
        "report: reports/latest/index.html",
    ]
    assert done.err == ""


def test_a_failed_expectation_says_what_was_expected_and_seen_and_how_to_replay_it(virtsim: Virtsim) -> None:
    Path("wrong.yaml").write_text(WRONG, encoding="utf-8")

    done = virtsim("run", "wrong.yaml", "right.yaml", "--seed", "a b")

    assert done.status == 1
    assert done.out.splitlines()[:7] == [
        "failed      wrong  (0.231 s)",
        "    1 of 4 expectations were not met",
        "    step 1: elapsed",
        "        expected 32ms",
        "        saw      31ms",
        "    virtsim run wrong.yaml --clock virtual --hypervisor fake --seed 'a b'",
        "passed      right  (0.231 s)",
    ]


def test_a_step_that_fails_unasked_ends_the_scenario(virtsim: Virtsim) -> None:
    Path("stop.yaml").write_text(RIGHT.replace("  - start", "  - suspend: web\n  - start"), encoding="utf-8")

    done = virtsim("run", "stop.yaml")

    assert done.status == 1
    assert done.out.splitlines()[1] == (
        "    step 1 (suspend) failed: VIR_ERR_OPERATION_INVALID "
        "'Requested operation is not valid: domain is not running'"
    )


def test_everything_is_written_and_the_report_before_is_kept(virtsim: Virtsim) -> None:
    for _ in range(3):
        assert virtsim("run", "right.yaml", "--json", "r.json", "--junit", "j.xml").status == 0

    for run in ("latest", "previous"):
        written = {path.name for path in Path("reports", run).iterdir()}
        assert written == {"index.html", "results.json", "junit.xml", "trace.json", "summary.md", "right"}
    assert Path("r.json").read_bytes() == Path("reports/latest/results.json").read_bytes()
    assert Path("j.xml").read_bytes() == Path("reports/latest/junit.xml").read_bytes()
    journal = Path("reports/latest/right/journal.jsonl").read_bytes()
    assert journal == Path("reports/previous/right/journal.jsonl").read_bytes()
    header = json.loads(journal.splitlines()[0])
    assert header["scenario"] == {
        "id": "right",
        "name": "a start",
        "about": "",
        "source": "",
        "file": "right.yaml",
    }
    assert header["domains"] == [{"name": "web", "memory_kib": 524288}]


def test_a_report_goes_where_it_is_told_and_replaces_only_a_report(virtsim: Virtsim) -> None:
    Path("mine").mkdir()
    Path("mine/precious.txt").write_text("do not lose me", encoding="utf-8")

    refused = virtsim("run", "right.yaml", "--out", "mine")
    first = virtsim("run", "right.yaml", "--out", "out")
    second = virtsim("run", "right.yaml", "--out", "out")

    assert (refused.status, refused.err) == (2, "virtsim run: mine: not empty, and not a report of ours\n")
    assert Path("mine/precious.txt").exists()
    assert (first.status, second.status) == (0, 0)
    assert not Path("reports").exists()


def test_a_policy_and_a_choice_of_scenarios_can_be_given(virtsim: Virtsim) -> None:
    Path("other.yaml").write_text(RIGHT, encoding="utf-8")

    done = virtsim("run", ".", "-k", "right and not other", "--policy", "poll200")

    assert done.status == 1
    assert "other" not in done.out
    assert "        saw      200ms" in done.out.splitlines()


def test_what_does_not_apply_is_skipped_with_the_reason(virtsim: Virtsim) -> None:
    Path("real.yaml").write_text("clocks: [real]\n" + RIGHT, encoding="utf-8")

    done = virtsim("run", "real.yaml")

    assert done.status == 0
    assert done.out.splitlines()[0] == "skipped     real  (is for the real clock)"
    assert json.loads(Path("reports/latest/results.json").read_text())["scenarios"][0]["outcome"] == "skipped"


def test_several_processes_give_the_same_output_and_journals(virtsim: Virtsim) -> None:
    for number in range(3):
        Path(f"s{number}.yaml").write_text(RIGHT, encoding="utf-8")

    one = virtsim("run", ".", "--out", "one")
    several = virtsim("run", ".", "--out", "several", "--jobs", "2")

    assert one.status == several.status == 0
    assert one.out.replace("one/", "") == several.out.replace("several/", "")
    for name in ("right", "s0", "s1", "s2"):
        assert (
            Path("one", name, "journal.jsonl").read_bytes()
            == Path("several", name, "journal.jsonl").read_bytes()
        )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["right.yaml", "--hypervisor", "qemu"], "a real QEMU needs --clock real"),
        (["right.yaml", "--clock", "real", "--net", "real"], "--net goes with --clock virtual"),
        (["right.yaml", "--policy", "fdpas"], "unknown monitor policy 'fdpas': did you mean 'fdpass'?"),
        (["right.yaml", "-k", "("], "expected words, 'and', 'or', 'not' and parentheses"),
        (["right.yaml", "-k", "nothing"], "fits none of 1 scenarios"),
        (["right.yaml", "--clock", "fast"], "'fast' is not one of 'virtual', 'real'"),
        (["right.yaml", "--jobs", "0"], "0 is not in the range"),
        ([], "Missing argument 'PATH...'"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(virtsim: Virtsim, words: list[str], expected: str) -> None:
    done = virtsim("run", *words)

    assert done.status == 2
    assert expected in done.err
    assert done.out == ""


def test_a_missing_qemu_exits_with_3(virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTSIM_QEMU", "/nowhere/qemu")

    done = virtsim("run", "right.yaml", "--clock", "real", "--hypervisor", "qemu")

    assert done.status == 3
    assert done.err.startswith("virtsim run: no /nowhere/qemu here: install it")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("#!/bin/sh\n", "is no QEMU that works: --version says 'nothing'"),
        (
            "#!/bin/sh\necho hmm >&2; exit 1\n",
            "is no QEMU that works: --version says 'hmm'",
        ),
        ("#!/no/such/interpreter\n", "does not run: No such file or directory"),
        ("not a program", "does not run: Exec format error"),
    ],
)
def test_a_qemu_that_is_none_exits_with_3(
    virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, said: str
) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text(program, encoding="utf-8")
    qemu.chmod(0o755)
    monkeypatch.setenv("VIRTSIM_QEMU", str(qemu))

    done = virtsim("run", "right.yaml", "--clock", "real", "--hypervisor", "qemu")

    assert done.status == 3
    assert done.err == f"virtsim run: {qemu} {said}; set VIRTSIM_QEMU to a qemu-system-x86_64\n"


def test_what_nobody_caught_is_an_internal_error(virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr("virtsim.cli.run._load", leave)

    assert virtsim("run", "right.yaml").status == 4


def test_no_place_for_run_directories_exits_with_3(virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc")

    done = virtsim("run", "right.yaml", "--clock", "real")

    assert done.status == 3
    assert done.err.startswith(
        "virtsim run: no folder for runs: /proc/virtsim: No such file or directory; set"
    )


def test_a_process_of_jobs_that_dies_is_an_error_of_its_scenario(
    virtsim: Virtsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("user.py").write_text("import os\ndef leave(stage):\n    os._exit(9)\n", encoding="utf-8")
    text = "name: x\ndomains: {a: {}}\nsteps: [call: 'user.py:leave']\n"
    for name in ("a.yaml", "b.yaml"):
        Path(name).write_text(text, encoding="utf-8")

    done = virtsim("run", "a.yaml", "b.yaml", "--jobs", "2")

    assert done.status == 4
    assert done.out.count("one of the processes of --jobs died") == 2
    assert "report: reports/latest/index.html" in done.out


def test_a_full_disk_exits_with_3(virtsim: Virtsim) -> None:
    done = virtsim("run", "right.yaml", "--json", "/dev/full")

    assert done.status == 3
    assert done.err == "virtsim run: /dev/full: No space left on device\n"


def test_an_internal_error_exits_with_4_and_keeps_the_traceback_in_a_file(
    virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("virtsim.sim.runner._main", broken)

    done = virtsim("run", "right.yaml")

    assert done.status == 4
    (log,) = tmp_path.glob("virtsim-error-*.log")
    assert done.err == (
        "virtsim: internal error: right: internal error: ZeroDivisionError: of all things; "
        f"the traceback is in {log}\n"
    )
    assert "Traceback" in log.read_text()


def test_an_error_in_a_command_itself_exits_with_4(virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("virtsim.sim.load.find_scenarios", broken)

    done = virtsim("run", "right.yaml")

    assert done.status == 4
    assert done.err.startswith(
        "virtsim: internal error: ZeroDivisionError: of all things; the traceback is in "
    )
