"""``virtsim``: the command line, called in this process."""

from __future__ import annotations

import pytest

from tests.helpers.commands import Virtsim


@pytest.fixture
def virtsim(capsys: pytest.CaptureFixture[str]) -> Virtsim:
    return Virtsim(capsys)
