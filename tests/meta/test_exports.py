"""What a module promises in ``__all__`` is there, once (ruff keeps it in order)."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("virtsim", "fakeqemu")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name not in {"__main__.py", "boot.py"}  # importing these is running them
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_all_exists_once(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", None)
    if exported is None:
        return

    assert [entry for entry in exported if not hasattr(module, entry)] == []
    assert len(set(exported)) == len(exported)
