"""The generated numbers are those of the installed libvirt; a newer one may have more."""

from __future__ import annotations

import importlib
import os
import runpy
from pathlib import Path

import pytest
from lxml import etree

ROOT = Path(__file__).resolve().parents[3]
GENERATOR = runpy.run_path(str(ROOT / "tools/gen_codes.py"))
ROWS = [(target, row) for target, (_, rows) in GENERATOR["MODULES"].items() for row in rows]


@pytest.fixture(scope="module")
def api() -> etree._ElementTree:
    if not GENERATOR["API_XML"].exists():
        text = "needs libvirt-api.xml: apt install libvirt-dev"
        if os.environ.get("CI"):
            pytest.fail(text, pytrace=False)
        pytest.skip(text)
    return etree.parse(str(GENERATOR["API_XML"]))


@pytest.mark.parametrize(("target", "row"), ROWS, ids=[row[0] for _, row in ROWS])
def test_every_number_is_libvirts(api, target, row) -> None:
    name, _, enum_type, prefix = row
    ours = getattr(importlib.import_module(target.removesuffix(".py").replace("/", ".")), name)
    theirs = dict(GENERATOR["members"](enum_type, prefix, api))

    assert {
        member: int(value) for member, value in ours.__members__.items() if theirs.get(member) != value
    } == {}
