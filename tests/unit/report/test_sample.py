"""The committed sample is what the renderer makes of its journals, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from virtsim.report import FILES, write_report

SAMPLE = Path(__file__).resolve().parents[3] / "reports" / "sample"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    copy = tmp_path_factory.mktemp("sample")
    for journal in SAMPLE.rglob("journal.jsonl"):
        target = copy / journal.relative_to(SAMPLE)
        target.parent.mkdir(parents=True)
        shutil.copyfile(journal, target)
    return write_report(copy, copy / "steps.md")


@pytest.mark.parametrize("key", FILES)
def test_the_sample_is_up_to_date(rendered: dict[str, Path], key: str) -> None:
    assert rendered[key].read_bytes() == (SAMPLE / FILES[key]).read_bytes(), (
        "run: virtsim report reports/sample"
    )


def test_the_sample_shows_what_a_run_looks_like() -> None:
    assert len(list(SAMPLE.rglob("journal.jsonl"))) >= 2
    assert "402" in (SAMPLE / "summary.md").read_text()
    assert "failed" not in (SAMPLE / "summary.md").read_text()
