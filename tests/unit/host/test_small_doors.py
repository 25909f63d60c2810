"""The clock and the chance."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from virtsim.host.chance import SeededChance
from virtsim.host.clock import SystemClock

ROOT = Path(__file__).resolve().parents[3]


def test_the_clock_tells_nanoseconds_since_the_epoch() -> None:
    before = time.time_ns()
    now = SystemClock().now_ns()

    assert before <= now <= time.time_ns()


def test_a_stream_goes_on_where_it_stopped() -> None:
    chance = SeededChance(7)
    stream = chance.stream("uuid")
    first = stream.getrandbits(64)

    assert chance.stream("uuid") is stream
    assert chance.stream("uuid").getrandbits(64) != first


def test_streams_depend_on_seed_and_name_only() -> None:
    plain, busy = SeededChance("7"), SeededChance(7)
    busy.stream("faults").random()

    assert plain.stream("mac").random() == busy.stream("mac").random()
    assert SeededChance(8).stream("mac").random() != SeededChance(7).stream("mac").random()


def test_the_same_seed_gives_the_same_numbers_in_every_process() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from virtsim.host.chance import SeededChance\n"
        "print(SeededChance('7').stream('mac').getrandbits(32))"
    )
    numbers = {
        subprocess.run(
            [sys.executable, "-c", script, str(ROOT)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert numbers == {f"{SeededChance(7).stream('mac').getrandbits(32)}\n"}
