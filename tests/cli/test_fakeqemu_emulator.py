"""``fakeqemu install-emulator`` and what its wrappers find beside themselves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from fakeqemu.driver.emulator import configure, guest_name
from fakeqemu.scripts.check import compile_text
from fakeqemu.toolbox import main
from fakeqemu.tools import install as installing

BAD = "-uuid", "bad"


def install(directory, *words):
    return CliRunner().invoke(main, ["install-emulator", str(directory), "--python", sys.executable, *words])


def run(program, *words, **env):
    return subprocess.run(
        [program, *words],
        check=False,
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        timeout=30,
    )


def leaves(text):
    return json.dumps(compile_text(f"- {{at: 1ms, do: {{exit: {{code: 3, stderr: {text}}}}}}}".encode(), "s"))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    directory = tmp_path_factory.mktemp("emulator")
    answer = install(directory, "--arch", "x86_64", "--arch", "aarch64")
    assert answer.exit_code == 0, answer.output
    assert answer.output.split() == [f"{directory}/qemu-system-x86_64", f"{directory}/qemu-system-aarch64"]
    return directory


def test_it_is_a_qemu(emulator):
    assert run(emulator / "qemu-system-x86_64", "-version").stdout.startswith("QEMU emulator version 7.2")
    assert run(emulator / "qemu-system-aarch64", *BAD).stderr.startswith("qemu-system-aarch64: ")


def test_who_says_how_it_behaves(emulator):
    program = emulator / "qemu-system-x86_64"
    for name in ("web", "qemu-system-x86_64"):
        (emulator / f"{name}.fakeqemu.json").write_text(leaves(f"by {name}"))
    (emulator / "other.json").write_text(leaves("by the environment"))
    try:
        assert run(program, "-name", "guest=web,debug-threads=on").stderr == "by web\n"
        assert run(program, "-name", "db").stderr == "by qemu-system-x86_64\n"
        assert run(program).stderr == "by qemu-system-x86_64\n"
        asked = run(program, "-name", "web", FAKEQEMU_SCRIPT=str(emulator / "other.json"))
        assert asked.stderr == "by the environment\n"
        assert asked.returncode == 3
        (emulator / "web.fakeqemu.yaml").write_text("- {at: 1ms, do: {exit: {code: 4, stderr: by rules}}}")
        assert run(program, "-name", "web").stderr == "by rules\n"
    finally:
        for path in [*emulator.glob("*.json"), *emulator.glob("*.yaml")]:
            path.unlink()


def test_a_configuration_file(emulator):
    (emulator / "emulator.conf").write_text(
        "# none\nPATH=/x\nFAKEQEMU_SCRIPT = mine.json\nFAKEQEMU_SEED=7\nx\n"
    )
    (emulator / "mine.json").write_text(leaves("configured"))
    try:
        told = run(emulator / "qemu-system-x86_64").stderr.splitlines()
        assert told[2:] == ["configured"]
        assert [line.partition(": no NAME=value")[0] for line in told[:2]] == [
            f"fakeqemu: {emulator}/emulator.conf:2", f"fakeqemu: {emulator}/emulator.conf:5",
        ]  # fmt: skip
        environment = {b"FAKEQEMU_SEED": b"1"}
        configure([str(emulator / "qemu-system-x86_64")], environment)
        assert environment == {
            b"FAKEQEMU_SEED": b"1", b"FAKEQEMU_SCRIPT": str(emulator / "mine.json").encode(),
        }  # fmt: skip
    finally:
        (emulator / "emulator.conf").unlink()
        (emulator / "mine.json").unlink()


def test_a_copy_stands_alone(tmp_path):
    script = tmp_path / "s.yaml"
    script.write_text("- {at: 1ms, do: {exit: {code: 3, stderr: mine}}}")
    answer = install(tmp_path / "e", "--package", "copy", "--arch", "i386", "--script", str(script))
    assert answer.exit_code == 0, answer.output
    # The interpreter may well lie in the same tree; the package is looked for in the copy.
    wrapper = (tmp_path / "e/qemu-system-i386").read_text()
    assert f"sys.path.insert(0, {str(tmp_path / 'e/lib')!r})" in wrapper
    assert f"sys.path.insert(0, {str(installing.PACKAGE.parent)!r})" not in wrapper
    assert run(tmp_path / "e/qemu-system-i386", "-S").stderr == "mine\n"
    assert (tmp_path / "e/lib/fakeqemu/driver/process.py").stat().st_mode & 0o444 == 0o444
    again = install(tmp_path / "e", "--package", "copy", "--arch", "i386")
    assert again.exit_code == 0


def test_an_interpreter_whose_path_fits_no_first_line(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    python = folder / "python"
    python.symlink_to(sys.executable)
    answer = CliRunner().invoke(
        main, ["install-emulator", str(tmp_path / "e"), "--python", str(python), "--arch", "x86_64"]
    )
    assert answer.exit_code == 0, answer.output
    assert run(tmp_path / "e/qemu-system-x86_64", "-version").stdout.startswith("QEMU emulator version")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--python", "/bin/false"], "no Python 3.11 or newer"),
        (["--python", "/nonexistent"], "no Python 3.11 or newer"),
        (["--script", "{0}/bad.yaml"], "bad.yaml:1:"),
        (["--script", "{0}/none.yaml"], "none.yaml"),
    ],
)
def test_what_cannot_be_installed(tmp_path, words, text):
    (tmp_path / "bad.yaml").write_text("- {at: strat}")
    answer = install(tmp_path / "e", *(word.format(tmp_path) for word in words))
    assert answer.exit_code == 1
    assert text in answer.output


def test_an_interpreter_for_everybody(monkeypatch):
    assert installing.public(installing.PACKAGE.parent.parent) in {True, False}
    monkeypatch.setattr(installing, "public", lambda _path: False)
    with pytest.raises(installing.InstallError, match="name one with --python"):
        installing.interpreter()


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["q"], None),
        (["q", "-name"], None),
        (["q", "-name", "a"], "a"),
        (["q", "--name", "guest=a,debug-threads=on"], "a"),
        (["q", "-name", "guest=a,,b,c=d"], "a,b"),
    ],
)
def test_the_guests_name(argv, name):
    assert guest_name(argv) == name
