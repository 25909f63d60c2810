"""Calls the command line inside this process."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from virtsim.cli.main import main


@dataclass
class Done:
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


class Virtsim:
    """``virtsim(...)``: run a command; never lets a traceback through."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Done:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(words))
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Done(int(left.value.code or 0), captured.out, captured.err)
