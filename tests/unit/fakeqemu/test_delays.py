"""Waits that are drawn: each distribution has its shape, and the seed decides."""

from __future__ import annotations

import json
from random import Random
from statistics import mean, median

import pytest

from fakeqemu.scripts.check import check_text, compile_text
from fakeqemu.scripts.delays import MAX_NS, SCHEMA, drawn_ns, load_latencies
from fakeqemu.scripts.grammar import compile_rules, script_mistakes
from tests.helpers.puppet import MS, SECOND


def draws(number=4000, **spec):
    words = compile_rules([{"on": "command", "do": {"delay": spec}}])["on"][0]["do"]["delay"]
    chance = Random("0/delay")
    return [drawn_ns(chance, words, "query-status") for _ in range(number)]


def near(value, wanted):
    return wanted * 0.9 < value < wanted * 1.1


def test_uniform():
    found = draws(uniform=["10ms", "30ms"])
    assert min(found) >= 10 * MS
    assert max(found) <= 30 * MS
    assert near(mean(found), 20 * MS)


def test_triangular():
    found = draws(triangular=["0", "0", "30ms"])
    assert near(mean(found), 10 * MS)
    assert draws(3, triangular=["5ms", "5ms", "5ms"]) == [5 * MS] * 3


def test_choice():
    assert set(draws(choice=["1ms", "5s"])) == {MS, 5 * SECOND}


def test_normal():
    found = draws(normal={"mean": "50ms", "sd": "5ms"})
    assert near(mean(found), 50 * MS)
    assert min(draws(normal={"mean": "1ms", "sd": "5ms"})) == 0


def test_lognormal():
    assert near(median(draws(lognormal={"median": "20ms", "sigma": 1})), 20 * MS)


def test_exponential():
    assert near(mean(draws(exponential={"mean": "20ms"})), 20 * MS)


def test_pareto():
    found = draws(pareto={"scale": "10ms", "shape": 3})
    assert min(found) >= 10 * MS
    assert near(mean(found), 15 * MS)


def test_weibull():
    assert near(median(draws(weibull={"scale": "10ms", "shape": 1})), 6.93 * MS)


def test_a_heavy_tail_has_an_end():
    assert max(draws(pareto={"scale": "1s", "shape": 0.01})) == MAX_NS
    assert max(draws(lognormal={"median": "1s", "sigma": 1000})) <= MAX_NS
    assert max(draws(weibull={"scale": "1s", "shape": 0.001})) <= MAX_NS
    found = draws(exponential={"mean": "1s"}, min="500ms", max="1500ms")
    assert (min(found), max(found)) == (500 * MS, 1500 * MS)


def test_the_seed_decides():
    assert draws(5, uniform=["0", "1s"]) == draws(5, uniform=["0", "1s"])


def measurements(tmp_path, **found):
    path = tmp_path / "host.json"
    path.write_text(json.dumps({"schema": SCHEMA, "latency_ns": found}))
    return path


def test_measurements_by_name_or_for_all(tmp_path):
    measurements(tmp_path, **{"query-status": [1000, 3000], "*": [7]})
    script = b"- {on: command, do: {delay: {recorded: host.json}}}\n"
    compiled = compile_text(script, str(tmp_path / "s.yaml"))
    delay = compiled["on"][0]["do"]["delay"]
    chance = Random(1)
    assert all(1000 <= drawn_ns(chance, delay, "query-status") <= 3000 for _ in range(100))
    assert drawn_ns(chance, delay, "stop") == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "no measurements"),
        ('{"schema": "fakeqemu/latency@1"}', "maps names to quantiles"),
        ('{"schema": "fakeqemu/latency@1", "latency_ns": {"a": [2, 1]}}', "do not go down"),
        ('{"schema": "fakeqemu/latency@1", "latency_ns": {"a": [true]}}', "whole numbers"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_damaged_measurements(tmp_path, text, words):
    path = tmp_path / "host.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load_latencies(str(path))
    _, [(line, column, message)] = check_text(
        b"- on: command\n  do:\n    delay: {recorded: host.json}\n", str(tmp_path)
    )
    assert (line, column) == (3, 13)
    assert words in message


@pytest.mark.parametrize(
    ("delay", "words"),
    [
        ({}, "exactly one of uniform"),
        ({"uniform": ["1s", "2s"], "choice": ["1s"]}, "exactly one of"),
        ({"uniform": ["2s", "1s"]}, "from small to large"),
        ({"uniform": ["1s"]}, "at least 2 items"),
        ({"exponential": {"mean": "0"}}, "does nothing"),
        ({"pareto": {"scale": "1s", "shape": 0}}, "greater than 0"),
        ({"choice": ["1s"], "min": "2s", "max": "1s"}, "`min` is more than `max`"),
        ({"unifrom": ["1s", "2s"]}, "did you mean 'uniform'"),
        ({"recorded": "nowhere"}, "No such file"),
    ],
)
def test_mistakes(delay, words):
    mistakes = script_mistakes([{"on": "command", "do": {"delay": delay}}])
    assert any(words in text for _, text in mistakes), mistakes
