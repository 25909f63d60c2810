"""The reference pages are made from the grammar and the verbs, and what they show is right."""

from __future__ import annotations

import json
import re

import pytest

from fakeqemu.ctl.verbs import VERBS
from fakeqemu.scripts.check import check_text
from fakeqemu.scripts.deeds import STEPS, Do
from fakeqemu.tools.pages import PAGES, ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_fresh(name):
    """`python -m fakeqemu.tools.pages --write` makes them."""
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_word_is_on_its_page():
    scripts, ctl = (PAGES[name]() for name in PAGES)
    assert all(f"| `{word}` |" in scripts for word in (*STEPS, *Do.model_fields))
    assert all(f"| `{verb}` |" in ctl and f"**{verb}**" in ctl for verb in VERBS if verb != "unstall")
    assert "@" not in scripts.replace("latency@1", "")
    assert "@" not in ctl.replace("state@1", "")


def test_the_examples_are_right():
    for name, render in PAGES.items():
        text = render()
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
            assert check_text(block.encode())[1] == [], name
        for line in re.findall(r"^>> (.*)$", text, re.MULTILINE):
            assert json.loads(line)["do"]
