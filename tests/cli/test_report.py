"""virtsim report: its words and exit statuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.helpers.journals import huge_start, write_story
from virtsim.cli.main import cli


@pytest.fixture(autouse=True)
def no_step_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def run(*arguments: object):
    # Through the group, as users call it: click keeps the help option that a command was first given.
    return CliRunner().invoke(cli, ["report", *map(str, arguments)])


def test_a_run_is_reported(tmp_path: Path) -> None:
    write_story(tmp_path, huge_start())
    result = run(tmp_path)

    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{tmp_path}/index.html\n", "")


def test_a_damaged_journal_is_told_and_the_rest_is_reported(tmp_path: Path) -> None:
    write_story(tmp_path, huge_start())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "journal.jsonl").write_text("hello\n")
    result = run(tmp_path)

    assert result.exit_code == 0
    assert result.stderr.startswith(
        f"virtsim report: {tmp_path}/other/journal.jsonl: 1: not a journal record"
    )
    assert len(result.stderr.splitlines()) == 1


def test_nothing_but_damaged_journals(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text("")
    result = run(tmp_path)

    assert result.exit_code == 2
    assert result.stderr == f"virtsim report: {tmp_path}/journal.jsonl: the journal is empty\n"


def test_an_empty_folder(tmp_path: Path) -> None:
    result = run(tmp_path)

    assert result.exit_code == 2
    assert result.stderr == f"virtsim report: {tmp_path}: no journal.jsonl in this folder or below it\n"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_does_not_stop_the_others(tmp_path: Path) -> None:
    write_story(tmp_path / "run", huge_start())
    result = run(tmp_path / "nowhere", tmp_path / "run")

    assert result.exit_code == 2
    assert result.stderr == f"virtsim report: {tmp_path}/nowhere: no such folder\n"
    assert result.stdout == f"{tmp_path}/run/index.html\n"


def test_no_argument() -> None:
    assert run().exit_code == 2
