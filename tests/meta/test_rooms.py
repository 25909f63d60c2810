"""Who may import whom: the table of the design page, held by reading every import in the tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: room -> rooms of ours that it may import. This dict is the architecture diagram.
ALLOWED: dict[str, set[str]] = {
    "virtsim": set(),
    "virtsim.errors": {"virtsim._generated_codes"},
    "virtsim._generated_codes": set(),
    "virtsim.journal": set(),
    "virtsim.model": {"virtsim.errors"},
    "virtsim.states": {"virtsim.errors"},
    "virtsim.wire": {"virtsim.errors"},
    "virtsim.host": {"virtsim.errors"},
    "virtsim.qemu": {"virtsim.model", "virtsim.states", "virtsim.wire", "virtsim.host", "virtsim.errors"},
    "virtsim.api": {"virtsim.qemu", "virtsim.model", "virtsim.states", "virtsim.host", "virtsim.errors"},
    "virtsim.sim": {
        "virtsim.api",
        "virtsim.host",
        "virtsim.journal",
        "virtsim.errors",
        "fakeqemu",
        "virtsim",
    },
    "virtsim.report": {"virtsim.journal"},
    "virtsim.cli": {
        "virtsim.api",
        "virtsim.sim",
        "virtsim.report",
        "virtsim.errors",
        "virtsim.journal",
        "virtsim",
    },
    "virtsim.testing": {"virtsim.api", "virtsim.sim", "virtsim.host", "virtsim.errors"},
    "virtsim.__main__": {"virtsim.cli"},
    "fakeqemu": set(),
}

#: Rooms that need no package: they run where nothing is installed, or must be quick to start.
STDLIB_ONLY = {"virtsim.states", "virtsim.wire", "virtsim.errors", "virtsim.journal"}


def room_of(module: str) -> str:
    """The room a dotted module name belongs to; the longest name in the table wins."""
    parts = module.split(".")
    for size in range(len(parts), 0, -1):
        if ".".join(parts[:size]) in ALLOWED:
            return ".".join(parts[:size])
    return module


def modules() -> list[tuple[str, Path]]:
    """Every module of both packages as (dotted name, path)."""
    found = []
    for package in ("virtsim", "fakeqemu"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found.append((name, path))
    return found


def imports_of(name: str, path: Path) -> list[tuple[str, int]]:
    """(imported dotted name, line) of every import of ours in a module, resolved when relative."""
    found = []
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")
                base = ".".join(anchor[: len(anchor) - node.level + 1] + ([base] if base else []))
            found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    return found


@pytest.mark.parametrize(
    ("name", "path"), modules(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_room_imports_only_what_its_row_allows(name: str, path: Path) -> None:
    room = room_of(name)
    wrong = []
    for imported, line in imports_of(name, path):
        if imported.split(".")[0] in {"virtsim", "fakeqemu"}:
            target = room_of(imported)
            if target != room and target not in ALLOWED[room]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {room} must not import {target} ({imported})")

    assert wrong == []


@pytest.mark.parametrize(
    ("name", "path"), modules(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_pure_rooms_need_nothing_from_outside(name: str, path: Path) -> None:
    import sys

    if room_of(name) not in STDLIB_ONLY:
        return
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {imported}"
        for imported, line in imports_of(name, path)
        if imported.split(".")[0] not in sys.stdlib_module_names | {"virtsim"}
    ]

    assert wrong == []


@pytest.mark.parametrize(
    "path", sorted(p for pkg in ("virtsim", "fakeqemu") for p in (ROOT / pkg).rglob("__init__.py")), ids=str
)
def test_a_package_says_what_it_knows_and_what_it_must_not(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""

    assert docstring, f"{path} has no docstring"
    if path.parent.name != "virtsim":
        assert "nows" in docstring, f"{path}: say what the package knows"
        assert "must not" in docstring or "ust not know" in docstring, f"{path}: say what it must not know"
