"""Words that must not stand in the tree: unfinished business, and paths of somebody's machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b|\bXX" + r"X\b(?!x)|(?i:\bfor n" + r"ow\b)")
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|home/\w+|Users/\w+)/")


def tracked(*patterns: str) -> list[Path]:
    """Files under version control, or every file where this is not a checkout."""
    found = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in found.stdout.splitlines() if (ROOT / line).is_file()]


def test_nothing_is_left_unfinished() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked("*.py", "*.yaml", "*.md", "*.sh", "Makefile")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]

    assert wrong == []


def test_no_path_of_one_machine_is_written_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in tracked(
            "*.py", "*.yaml", "*.md", "*.sh", "*.toml", "Makefile", "*.html", "*.json", "*.jsonl"
        )
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]

    assert wrong == []


def test_no_test_is_skipped_without_a_reason_that_ends() -> None:
    pattern = re.compile(r"pytest\.mark\.skip\b|pytest\.mark\.xfail\b")
    wrong = [
        str(path)
        for path in tracked("tests/*.py")
        if path != Path(__file__) and pattern.search(path.read_text())
    ]

    assert wrong == []
