"""The generated pages are what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = runpy.run_path(str(ROOT / "tools/gen_docs.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_docs_page_is_fresh(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), "run python tools/gen_docs.py"
