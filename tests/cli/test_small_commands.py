# ruff: noqa: E501  (a table of commands and what they say)
"""``backoff``, ``argv``, ``check``, ``doctor`` and the group itself: exact words and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import Virtsim

ROOT = Path(__file__).resolve().parents[2]
XML = (
    "<domain type='{}'><name>x</name><memory unit='MiB'>64</memory>"
    "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"
)


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_backoff_prints_each_attempt_and_the_verdict(virtsim: Virtsim) -> None:
    done = virtsim("backoff", "--policy", "backoff-adaptive", "--memory", "512MiB", "--ready", "20ms")

    assert done.status == 0
    assert done.out.splitlines() == [
        "backoff-adaptive: limit 30000 ms",
        "attempt       at ms    nap ms",
        "      1           1         1",
        "      2           3         2",
        "      3           7         4",
        "      4          15         8",
        "      5          31        16",
        "met at 31 ms by attempt 5, 11 ms after it was ready",
    ]


@pytest.mark.parametrize(
    ("words", "last"),
    [
        (["--policy", "poll200"], "not met: given up after attempt 151 at 30000 ms"),
        (["--policy", "backoff-adaptive", "--ready", "30001ms"], "not met: given up after attempt 39 at 30000 ms"),
        (["--policy", "backoff-adaptive", "--limit", "500ms"], "not met: given up after attempt 9 at 500 ms"),
        (["--policy", "fdpass"], "met at 0 ms by attempt 1, and waits for ever for the greeting"),
        (["--policy", "fdpass", "--ready", "277s"], "met at 0 ms by attempt 1, greeted at 277000 ms, 0 ms after it was ready"),
        (["--ready", "1h"], "met at 0 ms by attempt 1, and waits until 30000 ms for the greeting"),
    ],
)  # fmt: skip
def test_backoff_says_how_it_ends(virtsim: Virtsim, words: list[str], last: str) -> None:
    assert virtsim("backoff", *words).out.splitlines()[-1] == last


def test_backoff_as_json(virtsim: Virtsim) -> None:
    words = ["--policy", "backoff-adaptive", "--memory", "402GiB", "--ready", "105s"]

    plan = json.loads(virtsim("backoff", *words, "--json").out)

    assert plan["schema"] == "virtsim/backoff@1"
    assert plan["policy"] == "backoff-adaptive"
    assert plan["limit_ms"] == 432000
    assert (plan["met_at_ms"], plan["attempt"], len(plan["attempts"])) == (105047, 114, 114)
    assert plan["attempts"][0] == {"at_ms": 1, "nap_ms": 1}
    assert plan["attempts"][-1] == {"at_ms": 105047, "nap_ms": 1000}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--policy", "bakoff"], "unknown monitor policy 'bakoff'"),
        (["--memory", "402"], "a size needs a unit"),
        (["--memory", "-402GiB"], "a size cannot be negative"),
        (["--memory", "9999PiB"], "larger than"),
        (["--ready", "105"], "not a duration: '105'; write 105s, 1500ms or 1h30m"),
        (["--ready", "1500us"], "policies count whole milliseconds"),
        (["--nics", "-1"], "-1 is not in the range"),
        (["--policy", "fdpass", "--limit", "5s"], "waits without a limit"),
    ],
)
def test_backoff_refuses_what_cannot_be(virtsim: Virtsim, words: list[str], expected: str) -> None:
    done = virtsim("backoff", *words)

    assert done.status == 2
    assert expected in done.err


@pytest.mark.parametrize(("kind", "accelerator"), [("qemu", "tcg"), ("kvm", "kvm")])
def test_argv_prints_the_command_line(virtsim: Virtsim, kind: str, accelerator: str) -> None:
    Path("x.xml").write_text(XML.format(kind), encoding="utf-8")

    lines = virtsim("argv", "x.xml").out.splitlines()
    again = json.loads(virtsim("argv", "x.xml", "--json").out)

    assert again == {"schema": "virtsim/argv@1", "argv": lines}
    assert lines[lines.index("-name") + 1].startswith("guest=x,")
    assert lines[lines.index("-accel") + 1] == accelerator


def test_check_says_what_is_right_too(virtsim: Virtsim) -> None:
    Path("x.xml").write_text(XML.format("qemu"), encoding="utf-8")

    done = virtsim("check", "x.xml", str(ROOT / "scenarios"))

    assert done.status == 0
    assert done.out.endswith("checked: no mistake\n")
    assert virtsim("check", "-q", "x.xml").out == ""


def test_check_warns_of_what_nobody_understands(virtsim: Virtsim) -> None:
    Path("x.xml").write_text(XML.format("qemu").replace("</domain>", "<zork/></domain>"), encoding="utf-8")

    done = virtsim("check", "x.xml")

    assert done.status == 0
    assert done.out.startswith("x.xml:1:")
    assert "warning: " in done.out


def test_check_says_everything_about_every_file(virtsim: Virtsim) -> None:
    Path("a.yaml").write_text("nama: x\ndomains: {}\n", encoding="utf-8")
    Path("b.xml").write_text("<domain", encoding="utf-8")

    done = virtsim("check", ".", "gone.yaml")

    assert done.status == 2
    assert (
        len(
            [
                line
                for line in done.err.splitlines()
                if line.startswith(("./a.yaml:", "./b.xml:", "gone.yaml:"))
            ]
        )
        == 6
    )
    assert done.out == "3 files checked: 6 mistakes\n"


def test_doctor_says_what_is_there_and_what_it_is_for(virtsim: Virtsim) -> None:
    done = virtsim("doctor")
    findings = json.loads(virtsim("doctor", "--json").out)

    assert done.status == 0
    assert findings["schema"] == "virtsim/doctor@1"
    names = [finding["subject"] for finding in findings["findings"]]
    assert names[:4] == ["python", "fakeqemu", "qemu", "kvm"]
    lines = done.out.splitlines()
    assert len(lines) == 2 * len(names)
    assert all(line.startswith(("ok     ", "missing")) for line in lines[::2])
    assert all(line.strip().startswith("for: ") for line in lines[1::2])


def test_doctor_exits_with_3_only_for_what_was_asked_for(
    virtsim: Virtsim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTSIM_QEMU", "/nowhere/qemu")

    needed = virtsim("doctor", "--need", "qemu", "--need", "python")
    unknown = virtsim("doctor", "--need", "qmeu")

    assert virtsim("doctor", "--need", "python").status == 0
    assert (needed.status, needed.err) == (3, "virtsim doctor: missing: qemu\n")
    assert unknown.status == 2
    assert "did you mean 'qemu'?" in unknown.err


def test_the_group_names_its_commands_and_statuses(virtsim: Virtsim) -> None:
    done = virtsim("--help")

    assert done.status == 0
    for word in ("run", "check", "backoff", "argv", "report", "doctor", "130 interrupted"):
        assert word in done.out
    assert virtsim("frobnicate").status == 2
    assert virtsim("--version").out.startswith("virtsim, version ")


def test_argv_says_what_it_leaves_out(virtsim: Virtsim) -> None:
    text = (
        "<domain type='qemu'><name>a</name><memory>1024</memory><os><type>hvm</type></os>\n <flux/></domain>"
    )
    Path("x.xml").write_text(text, encoding="utf-8")

    done = virtsim("argv", "x.xml")

    assert done.status == 0
    assert done.err.startswith("x.xml:2:2: warning: unknown element <flux> in <domain>; known: ")


def test_check_knows_what_could_not_be_started_and_python_s_names_of_encodings(virtsim: Virtsim) -> None:
    text = (
        "<?xml version='1.0' encoding='latin-1'?>"
        "<domain type='qemu'><name>\xe4</name><memory>1024</memory><os><type arch='ARCH'>hvm</type></os></domain>"
    )
    Path("x.xml").write_text(text.replace("ARCH", "i686"), encoding="latin-1")
    Path("y.xml").write_text(text.replace("ARCH", "x86_64"), encoding="latin-1")

    done = virtsim("check", "x.xml", "y.xml")

    assert done.status == 2
    assert done.err == "x.xml:1:1: unsupported configuration: no emulator for architecture 'i686'\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    words = [sys.executable, "-m", "virtsim", "backoff", "--policy", "backoff-adaptive", "--memory", "4TiB"]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""

    assert process.returncode == 0


def test_a_run_goes_on_when_its_reader_goes_away(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndomains: {a: {}}\nsteps: [start: a]\n", encoding="utf-8")
    wrong = "name: b\ndomains: {a: {}}\nsteps: [{start: a, expect: {state: paused}}]\n"
    (tmp_path / "b.yaml").write_text(wrong, encoding="utf-8")

    done = _shell('exec 3>&1; { "$0" -m virtsim run a.yaml b.yaml; echo "status $?" >&3; } | true', tmp_path)

    assert (done.stdout, done.stderr) == ("status 1\n", "")
    assert (tmp_path / "reports/latest/index.html").exists()


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
        (">/dev/full", 3, "virtsim: a file or standard output: No space left on device\n"),
    ],
)
def test_standard_streams_may_be_closed_or_full(
    tmp_path: Path, redirection: str, status: int, said: str
) -> None:
    done = _shell(f'"$0" -m virtsim backoff --policy poll200 --json {redirection}', tmp_path)

    assert (done.returncode, done.stderr) == (status, said)


def _shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("colour", "begin"), [({"NO_COLOR": "1"}, b"passed"), ({}, b"\x1b[32mpassed")])
def test_on_a_terminal_each_line_begins_at_the_left(
    tmp_path: Path, colour: dict[str, str], begin: bytes
) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndomains: {a: {}}\nsteps: [start: a]\n", encoding="utf-8")
    leader, terminal = os.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"PYTHONPATH": str(ROOT), "TERM": "xterm", **colour}

    subprocess.run(
        [sys.executable, "-m", "virtsim", "run", "a.yaml"],
        stdin=terminal, stdout=terminal, stderr=terminal, env=environment, cwd=tmp_path, check=True,
    )  # fmt: skip
    os.close(terminal)
    shown = os.read(leader, 1 << 16)
    os.close(leader)

    assert b"\x1b[2K" + begin in shown or b"\n" + begin in shown
