"""The mechanism of transition tables: rows, look-up, illegal combinations.

A table is data. The library looks rows up, a test walks all combinations, the documentation draws the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from virtsim.errors import VirtsimError

__all__ = ["Row", "Table"]

S = TypeVar("S", bound=Enum)
T = TypeVar("T", bound=Enum)
E = TypeVar("E")
G = TypeVar("G")


@dataclass(frozen=True, slots=True)
class Row(Generic[S, T, E, G]):
    """One legal transition.

    Attributes:
        state: where it starts.
        trigger: what happens.
        effects: what is to be done, in order.
        target: the state and reason afterwards; None leaves both as they are.
    """

    state: S
    trigger: T
    effects: tuple[E, ...] = ()
    target: G | None = None


class Table(Generic[S, T, E, G]):
    """``(state, trigger) -> Row``; a combination that is absent is illegal.

    Args:
        rows: every legal transition; a combination may occur once.
        refusal: makes the error for an illegal combination.

    Raises:
        ValueError: two rows for one combination.
    """

    __slots__ = ("_refusal", "_rows")

    def __init__(self, rows: Iterable[Row[S, T, E, G]], refusal: Callable[[S, T], VirtsimError]) -> None:
        self._rows: dict[tuple[S, T], Row[S, T, E, G]] = {}
        for row in rows:
            if (row.state, row.trigger) in self._rows:
                raise ValueError(f"two rows for {row.state.name} and {row.trigger.name}")
            self._rows[row.state, row.trigger] = row
        self._refusal = refusal

    def row(self, state: S, trigger: T) -> Row[S, T, E, G]:
        """The transition of this combination.

        Raises:
            VirtsimError: the combination is illegal; the error is the one that libvirt's caller would get.
        """
        found = self._rows.get((state, trigger))
        if found is None:
            raise self._refusal(state, trigger)
        return found

    def allows(self, state: S, trigger: T) -> bool:
        """Whether the combination is legal."""
        return (state, trigger) in self._rows

    def __iter__(self) -> Iterator[Row[S, T, E, G]]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)
