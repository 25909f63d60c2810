"""Every example of the documents runs and prints what stands beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_docs_example_prints_its_captured_output(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == path.with_suffix(".out").read_text(encoding="utf-8")


def test_docs_readme_shows_the_first_example_and_its_output() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert (ROOT / "docs/examples/first.py").read_text(encoding="utf-8").strip() in readme
    assert (ROOT / "docs/examples/first.out").read_text(encoding="utf-8").strip() in readme


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_docs_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
            wrong.append(target)

    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_docs_commands_name_options_that_exist(page: Path) -> None:
    import click

    from virtsim.cli.main import cli

    context = click.Context(cli)
    wrong = []
    for line in re.findall(r"^\$ virtsim (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        words = line.split()
        command = cli.get_command(context, words[0])
        if command is None:
            wrong.append(line)
            continue
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
        wrong += [
            f"{line}: {word}" for word in words[1:] if re.match(r"--?[a-z]", word) and word not in known
        ]

    assert wrong == []
