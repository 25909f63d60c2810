"""The toolbox ``fakeqemu``: exact words and exit statuses."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from fakeqemu.toolbox import main


def run(*words):
    result = CliRunner().invoke(main, words)
    return result.exit_code, result.output


def test_profiles():
    code, output = run("profiles")
    assert code == 0
    names = [line.partition("\t")[0] for line in output.splitlines()]
    assert names == [f"{arch}-7.2" for arch in ("aarch64", "i386", "ppc64", "riscv64", "s390x", "x86_64")]
    assert "\tqemu-system-x86_64 7.2.22" in output
    code, output = run("profiles", "--json")
    listed = json.loads(output)
    assert (code, listed["schema"], len(listed["profiles"])) == (0, "fakeqemu/profiles@1", 6)
    assert all(entry["modules"] and entry["bytes"] < 300_000 for entry in listed["profiles"])


def test_a_good_script(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("- {at: start, linger: 50ms}\n")
    assert run("check", str(path)) == (0, "")


def test_all_mistakes_with_file_line_and_column(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("- {at: start, memroy: {zeroing: 3GiB/s}}\n- on: comand\n  do: {delay: 5}\n")
    code, output = run("check", str(path))
    assert code == 2
    first, second, third = output.splitlines()
    assert first.startswith(f"{path}:1:15: unknown word 'memroy', did you mean 'memory'?")
    assert second.startswith(f"{path}:2:3: unknown value 'comand', did you mean 'command'?")
    assert third.startswith(f"{path}:3:8: a duration needs a unit")


def test_a_file_that_is_not_there(tmp_path):
    code, output = run("check", str(tmp_path / "none"))
    assert (code, output) == (2, f"{tmp_path}/none: No such file or directory\n")


def test_recording_something_that_is_no_qemu(tmp_path):
    code, output = run("record", "--qemu", str(tmp_path / "none"), "-o", str(tmp_path / "p"))
    assert (code, output) == (1, f"Error: {tmp_path}/none: No such file or directory\n")
    code, output = run("record", "--qemu", "/bin/false", "-o", str(tmp_path / "p"))
    assert (code, output) == (1, "Error: QEMU left with status 1\n")


@pytest.mark.parametrize("words", [(), ("check",), ("record",), ("nonsense",)])
def test_wrong_usage(words):
    assert run(*words)[0] == 2
