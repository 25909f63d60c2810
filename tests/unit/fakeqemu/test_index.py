"""The index of commands says where each of them is."""

from __future__ import annotations

from fakeqemu.tools import index


def test_the_index_is_fresh():
    assert index.PATH.read_text() == index.text(), "run: python -m fakeqemu.tools.index"
