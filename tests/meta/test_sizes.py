"""Budgets: a module has at most 600 lines, a function at most 60."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for package in ("virtsim", "fakeqemu", "tools") for path in (ROOT / package).rglob("*.py")
)
MODULE_LINES, FUNCTION_LINES = 600, 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_and_its_functions_keep_the_budget(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wrong = []
    if text.count("\n") > MODULE_LINES:
        wrong.append(f"{path.relative_to(ROOT)} has {text.count(chr(10))} lines")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > FUNCTION_LINES:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {lines} lines")

    assert wrong == []
