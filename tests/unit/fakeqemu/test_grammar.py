from __future__ import annotations

import math
from datetime import date

import pytest
from click.testing import CliRunner

from fakeqemu.scripts.check import check_text, compile_text
from fakeqemu.scripts.grammar import COMPILED_VERSION, FakeScript, compile_rules, nearest, script_mistakes
from fakeqemu.scripts.script import Rules, Script, ScriptError
from fakeqemu.toolbox import main
from tests.helpers.puppet import script_of


def mistake(*rules):
    found = script_mistakes(list(rules))
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("rule", "path", "words"),
    [
        ({"at": "start", "memroy": {}}, (0, "memroy"), "unknown word 'memroy', did you mean 'memory'?"),
        (
            {"at": "start", "memory": {"zeroin": "1GiB/s", "zeroing": "1GiB/s"}},
            (0, "memory", "zeroin"),
            "did you mean 'zeroing'",
        ),
        ({"at": "start"}, (0,), "does nothing"),
        ({"at": "start", "memory": {}}, (0, "memory"), "either `zeroing` or `per_page`"),
        ({"at": "start", "memory": {"per_page": "1ms"}}, (0, "memory"), "belong together"),
        ({"at": "start", "memory": {"zeroing": "3GiB"}}, (0, "memory", "zeroing"), "size per second"),
        ({"at": "start", "memory": {"per_page": "1ms", "page": 0}}, (0, "memory"), "cannot be empty"),
        ({"at": "start", "nics": {}}, (0, "nics"), "`each` is missing"),
        ({"at": "start", "socket": {"delay": 105}}, (0, "socket", "delay"), "did you mean 105s or 105ms"),
        ({"at": "start", "socket": {"never": False}}, (0, "socket", "never"), "only `true`"),
        ({"at": "start", "socket": {"mode": -1}}, (0, "socket", "mode"), "greater than or equal"),
        ({"at": "start", "ignore": ["SIGTREM"]}, (0, "ignore", 0), "did you mean 'SIGTERM'"),
        ({"at": "start", "ignore": ["SIGKILL"]}, (0, "ignore", 0), "no process can ignore SIGKILL"),
        ({"at": "start", "guest": {"powerdown": "5"}}, (0, "guest", "powerdown"), "`ignore`, or a duration"),
        ({"at": "start", "images": "reel"}, (0, "images"), "did you mean 'real'"),
        ({"at": "5x", "do": {"guest": "reset"}}, (0, "at"), "unknown unit 'x'"),
        ({"at": "5s"}, (0,), "rule does nothing|`do` is missing"),
        ({"at": "5s", "do": {}}, (0, "do"), "does nothing"),
        ({"at": "5s", "do": {"drop": True}}, (0, "do", "drop"), "cannot be done at a time"),
        ({"at": "5s", "do": {"exit": {"code": 256}}}, (0, "do", "exit", "code"), "less than or equal to 255"),
        ({"at": "5s", "do": {"exit": {}, "kill": {}}}, (0, "do"), "only one of exit, kill"),
        ({"on": "comand", "do": {"drop": True}}, (0, "on"), "did you mean 'command'"),
        (
            {"on": "event", "match": "STPO", "do": {"drop": True}},
            (0, "match"),
            "no event 'STPO', did you mean 'STOP'",
        ),
        ({"on": "job", "match": "j:redy", "do": {"drop": True}}, (0, "match"), "did you mean 'ready'"),
        (
            {"on": "job", "match": "redy", "do": {"drop": True}},
            (0, "match"),
            "`ID:STATUS`, as in '*:ready'",
        ),
        ({"on": "guest", "match": "powerof", "do": {"drop": True}}, (0, "match"), "did you mean 'poweroff'"),
        ({"on": "migration", "match": "actve", "do": {"drop": True}}, (0, "match"), "did you mean 'active'"),
        ({"at": "start", "ctl": 5}, (0, "ctl"), "a text; quote it: '5'"),
        ({"on": "command"}, (0,), "`do` is missing"),
        ({"on": "command", "do": {"exot": 1}}, (0, "do", "exot"), "did you mean 'exit'"),
        ({"on": "command", "do": {"error": {}}}, (0, "do", "error"), "`desc` is missing"),
        (
            {"on": "command", "do": {"error": {"class": "Genric", "desc": ""}}},
            (0, "do", "error", "class"),
            "did you mean 'GenericError'",
        ),
        ({"on": "command", "do": {"drop": True, "garbage": ""}}, (0, "do"), "only one of drop, garbage"),
        ({"on": "command", "do": {"oversize": "1GiB"}}, (0, "do"), "64 MiB"),
        ({"on": "command", "skip": -1, "do": {"drop": True}}, (0, "skip"), "greater than or equal to 0"),
        ({"on": "command", "count": 0, "do": {"drop": True}}, (0, "count"), "greater than or equal to 1"),
        (
            {"on": "command", "probability": 2, "do": {"drop": True}},
            (0, "probability"),
            "less than or equal to 1",
        ),
        ({"on": "command", "when": "after", "do": {"drop": True}}, (0,), "`when` places"),
        ({"on": "exec", "match": "x", "do": {"delay": "1s"}}, (0,), "`match` needs"),
        ({"on": "bind", "do": {"drop": True}}, (0, "do", "drop"), "there: delay, stall, signal, exit, kill"),
        ({"on": "signal", "match": "SIGTREM", "do": {"drop": True}}, (0,), "did you mean 'SIGTERM'"),
        (
            {"on": "command", "do": {"reply": {"day": [date(2020, 1, 31)]}}},
            (0, "do", "reply", "day", 0),
            "JSON cannot say '2020-01-31'",
        ),
        ({"on": "command", "do": {"reply": math.nan}}, (0, "do", "reply"), "JSON cannot say 'nan'"),
        (
            {"at": "1s", "do": {"emit": {"event": "X", "data": {"a": b"x"}}}},
            (0, "do", "emit", "data", "a"),
            "JSON cannot say",
        ),
        ({}, (0,), "a rule begins with"),
        ("x", (0,), "a rule is a mapping"),
    ],
)
def test_every_mistake_has_its_place_and_its_words(rule, path, words):
    found, text = mistake(rule)
    assert found == path
    assert any(word in text for word in words.split("|")), text


def test_all_mistakes_are_told_at_once():
    found = script_mistakes([{"at": "start", "a": 1, "b": 2}, {"on": "x", "do": {"y": 1}}])
    assert [path for path, _ in found] == [(0, "a"), (0, "b"), (1, "on"), (1, "do", "y")]


@pytest.mark.parametrize("data", [{"at": "start"}, "text", 5])
def test_what_is_no_list(data):
    assert script_mistakes(data) == [
        ((), "a script is a list of rules, each {at: ...} or {on: ..., do: ...}")
    ]


def test_no_rules_are_a_script():
    assert script_mistakes(None) == []
    assert compile_rules([]) == {"version": COMPILED_VERSION, "start": {}, "timed": [], "on": []}


def test_the_compiled_form_has_numbers_only():
    compiled = compile_rules(
        [
            {
                "at": "start",
                "memory": {"per_page": "3.9ms", "page": "1GiB"},
                "linger": "50ms",
                "ignore": ["SIGTERM"],
            },
            {"at": "300ms", "do": {"kill": {"signal": "SIGSEGV"}}},
            {"on": "capabilities", "do": {"delay": "1s"}},
            {"on": "signal", "match": "SIGTERM", "do": {"drop": True}},
            {"on": "command", "match": "stop", "do": {"error": {"desc": "no"}, "delay": "1s"}},
        ]
    )
    assert compiled["start"]["memory"] == {"per_page": 3_900_000, "page": 1 << 30}
    assert compiled["start"]["ignore"] == [15]
    assert compiled["timed"] == [
        {"name": "rule 2", "at": 300_000_000, "do": {"kill": {"signal": 11, "stderr": None}}}
    ]
    assert compiled["on"][0] == {
        "name": "rule 3",
        "on": "command",
        "match": "qmp_capabilities",
        "do": {"delay": 10**9},
    }
    assert compiled["on"][1]["match"] == "15"
    assert compiled["on"][2]["do"] == {"error": {"class": "GenericError", "desc": "no"}, "delay": 10**9}


def test_later_words_override_earlier_ones():
    start = compile_rules(
        [
            {"at": "start", "socket": {"delay": "1s", "stale": True}, "memory": {"zeroing": "1GiB/s"}},
            {"at": "start", "socket": {"delay": "2s"}, "memory": {"per_page": "1ms", "page": "2MiB"}},
        ]
    )["start"]
    assert start["socket"] == {"delay": 2 * 10**9, "stale": True}
    assert start["memory"] == {"per_page": 10**6, "page": 2 << 20}


def test_compiling_a_wrong_script_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"0\.memroy: unknown word"):
        compile_rules([{"at": "start", "memroy": 1}])


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("event", "X_OWN"), ("event", "__org.example_OWN"), ("event", "DEVICE_*"), ("job", "*:ready"),
        ("job", "#block1:null"), ("job", "a:*"), ("job", "*"), ("migration", "pass 12"),
        ("guest", "guest-ping"),
    ],
)  # fmt: skip
def test_names_that_may_be_matched(step, name):
    assert script_mistakes([{"on": step, "match": name, "do": {"drop": True}}]) == []


def test_nearest():
    assert nearest("memroy", ["memory", "socket"]) == "memory"
    assert nearest("zzz", ["memory", "socket"]) is None


def test_there_is_a_json_schema():
    schema = FakeScript.model_json_schema()
    assert schema["type"] == "array"
    assert {"StartRule", "TimedRule", "OnRule"} <= schema["$defs"].keys()


def test_mistakes_in_a_file_have_line_and_column():
    _, mistakes = check_text(
        b"# a comment\n- {at: start, memroy: 1}\n- on: command\n  do:\n    delay: 3\n    exot: 1\n"
    )
    assert [(line, column) for line, column, _ in mistakes] == [(2, 15), (5, 5), (6, 5)]


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"- {at: start", 1, "expected ',' or '}'"),
        (b"\xff", 1, "not UTF-8"),
        (b"- a\n- {a: 1, a: 2}\n", 2, "duplicate key"),
        (b"- &a [*a]\n", 1, "a rule is a mapping"),
        (b"[" * 5000, 1, ""),
        (b"- {at: start, guest: &x {boot: *x}}\n", 1, ""),
        (b"- at: start\n  socket:\n    delay:\n", 3, "`delay` has no value"),
    ],
)
def test_a_file_that_is_no_script(data, line, words):
    _, mistakes = check_text(data)
    assert mistakes
    assert mistakes[0][0] == line
    assert words in mistakes[0][2]


def test_a_script_file_is_compiled_or_rules(tmp_path):
    import json

    rules = tmp_path / "rules.yaml"
    rules.write_text("- {at: start, linger: 50ms}\n")
    compiled = tmp_path / "compiled.json"
    compiled.write_text(json.dumps(compile_text(rules.read_bytes(), "x")))
    assert Script.load(str(rules)).compiled == Script.load(str(compiled)).compiled


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"version": 9}', "not a compiled script of version"),
        ('{"version": 1', "cut off"),
        ('{"version": 1}', "a damaged compiled script"),
        ("- {at: start, x: 1}", ":1:15: unknown word 'x'"),
    ],
)
def test_a_script_file_that_cannot_be_used(tmp_path, data, words):
    path = tmp_path / "s"
    path.write_text(data)
    with pytest.raises(ScriptError, match=words) as caught:
        Script.load(str(path))
    assert str(caught.value).startswith(f"{path}:")


def test_checking_an_endless_file_ends():
    done = CliRunner().invoke(main, ["check", "/dev/zero"])

    assert done.exit_code == 2
    assert done.output == "/dev/zero:1:1: longer than 16777216 bytes\n"


def test_a_script_file_that_is_not_there(tmp_path):
    with pytest.raises(ScriptError, match="No such file"):
        Script.load(str(tmp_path / "none"))


def picks(rules, *names, seed="0"):
    found = [rules.pick("command", name) for name in names]
    return [rule.name if rule else None for rule in found]


def test_skip_and_count_and_match():
    rules = Rules(
        script_of(
            {"on": "command", "match": "query-*", "skip": 1, "count": 2, "do": {"drop": True}},
            {"on": "command", "match": "stop", "do": {"drop": True}},
        ),
        "0",
    )
    got = picks(rules, "query-a", "stop", "query-b", "query-c", "query-d", "cont")
    assert got == [None, "rule 2", "rule 1", "rule 1", None, None]


def test_probability_draws_from_the_seed():
    script = script_of({"on": "command", "probability": 0.5, "do": {"drop": True}})
    draws = {seed: picks(Rules(script, seed), *["stop"] * 40) for seed in ("a", "a", "b")}
    again = picks(Rules(script, "a"), *["stop"] * 40)
    assert draws["a"] == again
    assert draws["a"] != draws["b"]
    assert 5 < sum(name is not None for name in again) < 35
