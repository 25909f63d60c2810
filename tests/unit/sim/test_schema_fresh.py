"""The committed schema, reference and boot image are what the code makes of itself."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from virtsim.sim.schema import FILES, render_schema

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_generated_file_is_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path](), "run python -m virtsim.sim.schema --write"


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    text = render_schema()
    definitions = json.loads(text)["$defs"]

    found = {line.split('"')[3].removeprefix("#/$defs/") for line in text.splitlines() if '"$ref"' in line}
    assert found
    assert found <= set(definitions)


def test_the_boot_image_is_what_its_tool_makes() -> None:
    tool = runpy.run_path(str(ROOT / "tools/make_powerbutton_image.py"))

    assert tool["IMAGE"].read_bytes() == tool["image"]()
