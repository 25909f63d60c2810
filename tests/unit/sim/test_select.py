"""``-k``: words, and, or, not, parentheses."""

from __future__ import annotations

import pytest

from virtsim.sim.select import select

NAMES = ["020-monitor/01-fast-start", "020-monitor/03-402-gib", "040-destroy/25-graceful"]


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("monitor", [0, 1]),
        ("MONITOR and not gib", [0]),
        ("fast or graceful", [0, 2]),
        ("not (fast or graceful)", [1]),
        ("020-monitor/01", [0]),
        ("nothing", []),
    ],
)
def test_words_fit_when_they_are_part_of_the_name(expression: str, chosen: list[int]) -> None:
    assert select(expression, NAMES) == chosen


@pytest.mark.parametrize("expression", ["", "and", "a b", "a and", "(a", "not", "a ) b", "x" * 2000])
def test_what_is_no_expression_is_said(expression: str) -> None:
    with pytest.raises(ValueError, match=r"expected words|between two words"):
        select(expression, NAMES)
