"""Anything at every door, for seconds; `tools/fuzz.py` does the same for hours. And what was found before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.fuzzing import CTL, TARGETS, again, machine, replay
from tests.helpers.puppet import SECOND

CORPUS = Path(__file__).with_name("corpus")
ENTRIES = [
    (path.stem, json.loads(line))
    for path in sorted(CORPUS.glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
#: So often in a run of the suite: two or three seconds for each door.
ROUNDS = {
    "qmp": 250,
    "agent": 400,
    "people": 250,
    "ctl": 400,
    "migration": 600,
    "argv": 600,
    "script": 600,
    "deeds": 120,
    "server": 400,
}


def test_every_door_has_a_corpus_and_a_number():
    assert set(ROUNDS) == set(TARGETS)
    assert {path.stem for path in CORPUS.glob("*.jsonl")} == set(TARGETS) - {"deeds", "server"}


@pytest.mark.parametrize(
    ("target", "entry"), ENTRIES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_was_found_before(target, entry):
    again(target, entry)


@pytest.mark.parametrize("target", TARGETS)
def test_anything(target):
    @settings(max_examples=ROUNDS[target], deadline=None, database=None)
    @given(st.integers(0, 1 << 40))
    def throw(seed):
        replay(target, f"{target}/{seed}")

    throw()


def test_rules_that_answer_each_other_take_their_time():
    """A guest that fires its watchdog upon a signal, and a signal upon that: not for ever at one instant."""
    replay("deeds", "deeds/two/174956")


@pytest.mark.parametrize(
    ("door", "line"),
    [
        ("charmonitor", b'{"execute": "query-status", "x": }'),
        ("charmonitor", b'{"execute": "nonsense"}\n'),
        ("charchannel0", b'{"execute": "guest-ping"}\n'),
        ("charchannel0", b"\x00" * 40),
        ("people", b"info version\r"),
        ("people", b"abc"),
        ("serial0", b"root\r"),
        ("fakeqemu-ctl", b'{"do": "state"}\n'),
        ("fakeqemu-ctl", b'{"do": "nothing"}\n'),
    ],
)
def test_the_same_over_and_over_does_not_grow(door, line):
    """What a machine keeps is bounded, however long somebody talks to it."""
    import gc
    import tracemalloc

    puppet = machine(CTL)
    conn = puppet.connect(door)
    if door == "charmonitor":
        puppet.ask(conn, "qmp_capabilities") if puppet.take(conn) else None

    def talk(rounds):
        for _ in range(rounds):
            if conn in puppet.machine.channels:
                puppet.steps = 0
                puppet.write(conn, line)
                puppet.sent = dict.fromkeys(puppet.sent, b"")
        puppet.steps = 0
        puppet.run(SECOND)
        gc.collect()

    tracemalloc.start()
    try:
        talk(1200)  # what is remembered is full by then
        before = tracemalloc.get_traced_memory()[0]
        talk(1200)
        assert tracemalloc.get_traced_memory()[0] - before < 50_000
    finally:
        tracemalloc.stop()
