"""Waits that are not fixed: drawn from a named distribution, or from what was measured on a real host.

Knows the distributions and the files of measurements. Must not know what waits. Every draw comes from the
run's seed, from a stream of the rule's own, and by formulas that stand here, so that the same seed gives the
same waits in every version of Python.

A file of measurements is JSON::

    {"schema": "fakeqemu/latency@1", "provenance": {...}, "latency_ns": {"query-status": [q0, ..., q32], ...}}

For each name it holds quantiles at equal steps from the least to the greatest wait; ``*`` stands for names
that were not measured.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.scripts.script import OnRule

__all__ = ["SCHEMA", "drawn_ns", "latency_path", "load_latencies", "wait_ns"]

SCHEMA = "fakeqemu/latency@1"
#: A wait is never longer than a hundred years, whatever a heavy tail says.
MAX_NS = 100 * 366 * 86_400 * 1_000_000_000
#: A file of measurements longer than this is refused.
MAX_FILE = 4 << 20


#: Steps whose measurements are those of the start, from exec until the greeting.
_START = ("exec", "bind", "listen", "ready")


def wait_ns(machine: FakeQemu, rule: OnRule, name: str = "") -> int:
    """How long this rule waits this time; 0 when it does not.

    Args:
        machine: whose seed is drawn from.
        rule: the rule.
        name: what the step is about, for measurements by name.
    """
    delay = rule.do.get("delay", 0)
    if type(delay) is int:
        return delay
    key = "start" if rule.step in _START else name
    return drawn_ns(machine.chance(f"delay/{rule.name}"), delay, key)


def drawn_ns(chance: Random, spec: dict[str, Any], name: str = "") -> int:
    """One wait, in nanoseconds, from the compiled form of a distribution."""
    kind = next(key for key in spec if key not in ("min", "max"))
    value = round(min(_DRAW[kind](chance.random, spec[kind], name), MAX_NS))
    return int(min(max(value, spec.get("min", 0)), spec.get("max", MAX_NS)))


def _uniform(draw: Any, ends: list[int], _name: str) -> float:
    low, high = ends
    return float(low + (high - low) * draw())


def _triangular(draw: Any, ends: list[int], _name: str) -> float:
    low, mode, high = ends
    if high == low:
        return float(low)
    place, share = draw(), (mode - low) / (high - low)
    if place < share:
        return float(low + ((high - low) * (mode - low) * place) ** 0.5)
    return float(high - ((high - low) * (high - mode) * (1 - place)) ** 0.5)


def _choice(draw: Any, values: list[int], _name: str) -> float:
    return float(values[int(draw() * len(values))])


def _bell(draw: Any) -> float:
    """Box and Muller's transformation of two draws."""
    from math import cos, log, pi, sqrt

    return float(sqrt(-2 * log(1 - draw())) * cos(2 * pi * draw()))


def _normal(draw: Any, words: dict[str, int], _name: str) -> float:
    return max(0.0, words["mean"] + words["sd"] * _bell(draw))


def _lognormal(draw: Any, words: dict[str, Any], _name: str) -> float:
    from math import exp

    return float(words["median"] * exp(min(words["sigma"] * _bell(draw), 100)))


def _exponential(draw: Any, words: dict[str, int], _name: str) -> float:
    from math import log

    return float(-log(1 - draw()) * words["mean"])


def _pareto(draw: Any, words: dict[str, Any], _name: str) -> float:
    from math import exp, log

    return float(words["scale"] * exp(min(-log(1 - draw()) / words["shape"], 100)))


def _weibull(draw: Any, words: dict[str, Any], _name: str) -> float:
    from math import exp, log

    base = -log(1 - draw())
    return float(words["scale"] * exp(min(log(base) / words["shape"], 100))) if base > 0 else 0.0


def _recorded(draw: Any, words: dict[str, list[int]], name: str) -> float:
    quantiles = words.get(name) or words.get("*") or [0]
    place = draw() * (len(quantiles) - 1)
    left = int(place)
    if left + 1 >= len(quantiles):
        return float(quantiles[-1])
    return float(quantiles[left] + (quantiles[left + 1] - quantiles[left]) * (place - left))


_DRAW: dict[str, Callable[[Callable[[], float], Any, str], float]] = {
    "uniform": _uniform,
    "triangular": _triangular,
    "choice": _choice,
    "normal": _normal,
    "lognormal": _lognormal,
    "exponential": _exponential,
    "pareto": _pareto,
    "weibull": _weibull,
    "recorded": _recorded,
}


def latency_path(name: str, base: str) -> str:
    """Where measurements lie: beside the script, or among the shipped ones when the name is no file's."""
    import os

    if "/" not in name and not name.endswith(".json"):
        return f"{os.path.dirname(os.path.abspath(__file__))}/presets/hosts/{name}.json"  # noqa: PTH100, PTH120 - start-up path
    return os.path.join(base, name)  # noqa: PTH118 - start-up path


def load_latencies(path: str) -> dict[str, list[int]]:
    """The quantiles of a file of measurements, by name.

    Raises:
        ValueError: not there, or damaged; the text says what is wrong.
    """
    import json

    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a tool of the start-up path
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise ValueError(f"{path}: longer than {MAX_FILE} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"{path}: no measurements: `schema` is not {SCHEMA}")
    found = document.get("latency_ns")
    if not isinstance(found, dict) or not found or not all(map(_quantiles, found.values())):
        raise ValueError(f"{path}: `latency_ns` maps names to quantiles: whole numbers that do not go down")
    return found


def _quantiles(values: Any) -> bool:
    return (
        isinstance(values, list)
        and 0 < len(values) <= 1000
        and all(type(value) is int and 0 <= value <= MAX_NS for value in values)
        and values == sorted(values)
    )
