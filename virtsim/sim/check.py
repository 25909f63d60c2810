"""Checks files without running anything: scenarios, and domain documents by themselves.

Knows which file is which by its suffix. Must not know how a result is shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from virtsim import api
from virtsim.errors import VirtsimError, XMLError
from virtsim.sim.document import Mistake, MistakesError
from virtsim.sim.domains import check_document
from virtsim.sim.load import load_scenario, read_domain_file

__all__ = ["Checked", "check_paths"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        files: how many files were looked at.
        mistakes: everything that was found, warnings included, in order and each once.
    """

    files: int
    mistakes: tuple[Mistake, ...]

    @property
    def wrong(self) -> int:
        """How many of them are mistakes, not warnings."""
        return sum(1 for mistake in self.mistakes if not mistake.message.startswith("warning: "))


def check_paths(paths: list[str]) -> Checked:
    """Check files and folders; never raises for what is in them."""
    found: dict[Mistake, None] = {}
    files: dict[str, None] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = [name for name in _below(path) if name.endswith((".yaml", ".yml", ".xml"))]
            if not inside:
                found[Mistake(given, 1, 1, "holds nothing to check (*.yaml, *.xml)")] = None
            files |= dict.fromkeys(inside)
        else:
            files[given] = None
    for name in files:
        try:
            mistakes = _check_file(name)
        except MistakesError as failure:
            mistakes = failure.mistakes
        found |= dict.fromkeys(mistakes)
    return Checked(len(files), tuple(found))


def _check_file(name: str) -> list[Mistake]:
    if name.endswith(".xml"):
        data = read_domain_file(name)
        return [*check_document(data, name, Path(name).parent), *_unsupported(data, name)]
    return list(load_scenario(name).warnings)


def _unsupported(data: bytes, name: str) -> list[Mistake]:
    """Why a document that is right in itself could not be defined or started."""
    try:
        api.native_argv(data)
    except XMLError as error:
        if error.line is not None:
            return []  # said already, with its place
        return [Mistake(name, 1, 1, error.text.splitlines()[0])]
    except VirtsimError as error:
        return [Mistake(name, 1, 1, error.text.splitlines()[0])]
    return []


def _below(folder: Path) -> list[str]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(entry for entry in folders if not entry.startswith("."))
        # Reading a fifo would wait for ever.
        found += [path for name in sorted(names) if not Path(path := f"{root}/{name}").is_fifo()]
    return found
