"""`fakeqemu check`, `compile`, `presets`, `measure` and `ctl`, as they are typed."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from fakeqemu.scripts.script import Script
from fakeqemu.toolbox import main
from fakeqemu.tools.latency import quantiles
from tests.helpers.processes import Program, fake_argv


def typed(*words):
    return CliRunner().invoke(main, list(words))


def test_compiling_a_script(tmp_path):
    script = tmp_path / "s.yaml"
    script.write_text("- {at: start, linger: 5s}\n- {on: event, do: {split: true}}\n")
    done = typed("compile", str(script), "-o", str(tmp_path / "s.json"))
    assert done.exit_code == 0, done.output
    compiled = Script.load(str(tmp_path / "s.json")).compiled
    assert compiled == Script.load(str(script)).compiled
    assert json.loads(typed("compile", str(script)).output) == compiled
    script.write_text("- {at: start, lingre: 5s}\n")
    done = typed("compile", str(script))
    assert done.exit_code == 2
    assert done.output.startswith(f"{script}:1:15: unknown word 'lingre', did you mean 'linger'?")
    assert typed("compile", str(tmp_path / "none")).exit_code == 1


def test_a_file_that_a_script_names_lies_beside_it(tmp_path):
    script = tmp_path / "s.yaml"
    script.write_text("- on: command\n  do:\n    delay: {recorded: host.json}\n")
    assert f"{script}:3:13: {tmp_path}/host.json: No such file" in typed("check", str(script)).output
    (tmp_path / "host.json").write_text('{"schema": "fakeqemu/latency@1", "latency_ns": {"*": [1]}}')
    assert typed("check", str(script)).exit_code == 0


def test_the_characters_are_listed():
    done = typed("presets")
    assert [line.split("\t")[0] for line in done.output.splitlines()] == [
        "hostile", "pedantic", "polite", "slow-host",
    ]  # fmt: skip


def test_quantiles():
    assert quantiles([5]) == [5]
    assert quantiles(list(range(100, 0, -1)), 3) == [1, 51, 100]


def test_what_cannot_be_measured(tmp_path):
    done = typed("measure", "--qemu", str(tmp_path / "none"), "-o", str(tmp_path / "x"))
    assert done.exit_code == 1
    assert "No such file" in done.output
    assert typed("measure", "--qemu", "x", "-o", str(tmp_path / "x"), "--rounds", "0").exit_code == 2
    assert typed("measure", "--qemu", "x", "-o", str(tmp_path / "none" / "x")).exit_code == 2


@pytest.fixture
def fake(tmp_path):
    script = f"- {{at: start, ctl: {tmp_path}/ctl}}"
    argv = fake_argv("-S", "-machine", "pc", "-nodefaults", "-qmp", f"unix:{tmp_path}/m,server=on,wait=off")
    with Program(argv, tmp_path, script=script) as program:
        with program.client(tmp_path / "m"):
            pass
        yield program, str(tmp_path / "ctl"), tmp_path


def test_ctl_as_it_is_typed(fake):
    program, path, directory = fake

    def ask(*words):
        done = typed("ctl", path, *words)
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    assert ask("hello")["protocol"] == 1
    assert ask("state")["runstate"] == "prelaunch"
    assert ask("set", "guest.powerdown=ignore", "unplug={after: 5s}")["words"]["unplug"] == {
        "after": 5 * 10**9
    }
    ask("emit", "RTC_CHANGE", "{offset: 5}")
    ask("emit", "LATE", "--after", "1h")
    assert ask("events", "--match", "RTC*")["events"][0]["data"] == {"offset": 5}
    assert ask("calls", "--since", "1", "--limit", "2", "--clear")["calls"] == []
    (directory / "more.yaml").write_text("- {on: command, match: stop, do: {drop: true}}\n")
    assert ask("rules", "--add", str(directory / "more.yaml"))["rules"][0]["name"] == "ctl rule 1"
    assert ask("rules", "--remove", "*")["rules"] == []
    assert ask("wait", "runstate", "prelaunch")["runstate"] == "prelaunch"
    ask("do", "stall=1h")
    assert ask("state")["stalled"]
    ask("unstall")
    saved = directory / "state.json"
    assert typed("ctl", path, "save", "-o", str(saved)).exit_code == 0
    assert ask("load", str(saved))["runstate"] == "prelaunch"
    ask("exit", "--code", "3", "--stderr", "bye")
    assert program.ended() == (3, "bye\n")


def test_ctl_says_what_is_wrong(fake):
    _, path, directory = fake
    assert "did you mean 'guest'" in typed("ctl", path, "set", "geust.boot=1s").output
    assert "within the time" in typed("ctl", path, "wait", "event", "X", "--within", "1ms").output
    done = typed("ctl", "--timeout", "0.1", path, "wait", "event", "X", "--within", "300ms")
    assert "within the time" in done.output
    assert typed("ctl", path, "wait", "event", "X", "--within", "5").exit_code == 2
    assert typed("ctl", path, "set", "[1, 2]").exit_code == 2
    (directory / "bad.yaml").write_text("- {on: comand, do: {drop: true}}\n")
    done = typed("ctl", path, "rules", "--add", str(directory / "bad.yaml"))
    assert done.exit_code == 2
    assert "bad.yaml:1:4: unknown value 'comand', did you mean 'command'?" in done.output
    done = typed("ctl", str(directory / "nowhere"), "state")
    assert done.exit_code == 1
    assert "No such file" in done.output
    done = typed("ctl", str(directory / "m"), "state")
    assert done.exit_code == 1
    assert "no control socket of a fake (it is a QMP monitor)" in done.output
    (directory / "state.json").write_text("{")
    assert "not JSON" in typed("ctl", path, "load", str(directory / "state.json")).output
    assert typed("ctl", path, "crash", "--signal", "SIGABRT").exit_code == 0
