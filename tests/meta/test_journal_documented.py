"""The page about the journal lists every kind of record with its fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtsim.journal import KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "journal.md"


@pytest.mark.parametrize("kind", KINDS)
def test_docs_journal_page_has_a_row_for(kind: str) -> None:
    fields = " ".join(f"`{field}`" for field in KINDS[kind])

    assert f"| `{kind}` | {fields} |" in PAGE.read_text(encoding="utf-8")
