"""The shipped characters: compiled as they are written, and each as its name says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fakeqemu
from fakeqemu import actions as do
from fakeqemu.scripts.delays import load_latencies
from fakeqemu.scripts.grammar import compile_rules
from fakeqemu.scripts.script import Script, ScriptError, load_preset, merged
from fakeqemu.tools.scripts import compiled_presets
from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

FOLDER = Path(fakeqemu.__file__).parent / "scripts" / "presets"
RUNNING = [word for word in ARGV if word != "-S"]
NAMES = ["hostile", "pedantic", "polite", "slow-host"]


def test_the_compiled_characters_are_those_that_are_written():
    """`fakeqemu presets --write` makes them fresh."""
    found = compiled_presets()
    assert sorted(found) == NAMES
    for name, text in found.items():
        assert (FOLDER / f"{name}.json").read_text() == text


def test_a_character_is_loaded_without_a_yaml_library(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ruamel.yaml", None)
    for name in NAMES:
        assert Script.from_compiled(load_preset(name)).start
    with pytest.raises(ScriptError, match="unknown preset 'rude'; known: hostile, pedantic"):
        load_preset("rude")


def test_what_the_script_says_goes_before_its_character():
    compiled = compile_rules(
        [
            {"at": "start", "preset": "slow-host", "guest": {"boot": "1s"}, "linger": "5s"},
            {"on": "command", "match": "query-name", "do": {"drop": True}},
        ]
    )
    assert compiled["start"]["guest"]["boot"] == SECOND
    assert compiled["start"]["guest"]["powerdown"] == 12 * SECOND
    assert compiled["start"]["linger"] == 5 * SECOND
    assert compiled["on"][0]["match"] == "query-name"
    assert compiled["on"][1]["name"].startswith("slow-host rule")
    assert merged(compiled, load_preset("polite"))["start"]["guest"]["boot"] == SECOND


def conversation(name, seed="0", rounds=40):
    """What a patient client hears of a character."""
    rules = [{"at": "start", "preset": name}]
    puppet = Puppet(*rules, argv=RUNNING, seed=seed)
    puppet.start()
    puppet.run(600 * SECOND)
    heard = b""
    asked = 0
    for _ in range(rounds):
        if puppet.ended is not None:
            break
        if not puppet.machine.sessions and "charmonitor" in puppet.accepting:
            conn = puppet.connect()
            puppet.run(60 * SECOND)
            puppet.write(conn, b'{"execute": "qmp_capabilities"}')
            puppet.run(60 * SECOND)
        for conn in list(puppet.machine.sessions):
            for command in ("query-status", "query-cpus-fast", "stop", "cont"):
                puppet.write(conn, json.dumps({"execute": command, "id": asked}).encode())
                asked += 1
                puppet.run(60 * SECOND)
        for conn in list(puppet.sent):
            heard += puppet.take(conn)
    return puppet, heard, asked


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_conversation(name):
    first, heard, _ = conversation(name)
    again, same, _ = conversation(name)
    assert heard == same
    assert first.notes == again.notes
    if name in ("pedantic", "hostile"):
        assert conversation(name, seed="1")[1] != heard


@pytest.mark.parametrize("name", ["polite", "slow-host", "pedantic"])
def test_what_is_legal_is_understood_by_whoever_reads_json_lines(name):
    puppet, heard, asked = conversation(name)
    assert puppet.ended is None
    lines = [json.loads(line) for line in heard.splitlines()]
    replies = [line for line in lines if "return" in line and "id" in line]
    assert [reply["id"] for reply in replies] == list(range(asked))
    assert all("event" in line or "return" in line or "QMP" in line for line in lines)
    states = {line["return"]["status"] for line in replies if "status" in line["return"]}
    assert states == {"running"}


def test_pedantic_says_what_nobody_has_heard_of():
    _, heard, _ = conversation("pedantic")
    assert b"x-fakeqemu-extra" in heard
    assert b"X_FAKEQEMU_UNHEARD_OF" in heard


def test_slow_host_takes_its_time():
    puppet = Puppet({"at": "start", "preset": "slow-host"}, argv=RUNNING).start()
    assert puppet.done(do.Listen) == []
    puppet.run(600 * SECOND)
    [listening] = puppet.done(do.Listen)
    assert listening > 260 * MS  # 1 GiB at 3.83 GiB/s
    conn = puppet.connect()
    puppet.run(60 * SECOND)
    puppet.write(conn, b'{"execute": "qmp_capabilities"}')
    puppet.run(60 * SECOND)
    puppet.take(conn)
    puppet.write(conn, b'{"execute": "query-status"}')
    assert puppet.take(conn) == b""
    puppet.run(60 * SECOND)
    assert b"running" in puppet.take(conn)


def test_hostile_is():
    kinds = set()
    for seed in range(12):
        puppet, _, _ = conversation("hostile", seed=str(seed), rounds=25)
        kinds |= {note.rpartition(": ")[2] for note in puppet.notes}
    assert len(kinds) > 15


def test_the_measurements_that_are_shipped_are_whole():
    for path in (FOLDER / "hosts").glob("*.json"):
        found = load_latencies(str(path))
        assert {"start", "query-status", "*"} <= set(found)
        rule = {"on": "command", "do": {"delay": {"recorded": path.stem}}}
        puppet = Puppet(rule, argv=RUNNING).start()
        conn = puppet.connect()
        puppet.take(conn)
        puppet.write(conn, b'{"execute": "qmp_capabilities"}')
        assert puppet.take(conn) == b""
        puppet.run(SECOND)
        puppet.write(conn, b'{"execute": "query-status"}')
        puppet.run(SECOND)
        assert puppet.take(conn).count(b"return") == 2
