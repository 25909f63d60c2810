"""The journal: what is written can be read, what was cut off is left out, what is foreign is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from virtsim.journal import KINDS, SCHEMA, Journal, JournalError, encode, read_journal

HEADER = {"t": 0, "actor": "run", "kind": "header", "schema": SCHEMA}


def written(path: Path, *records: dict, tail: str = "") -> Path:
    path.write_text("".join(map(encode, records)) + tail, encoding="utf-8")
    return path


def test_a_record_has_time_actor_and_kind_first() -> None:
    sink = io.StringIO()
    Journal(lambda: 7, sink).observe("state", "huge", {"state": "RUNNING", "reason": "BOOTED"})

    assert sink.getvalue() == '{"t":7,"actor":"huge","kind":"state","state":"RUNNING","reason":"BOOTED"}\n'


def test_a_run_on_the_real_clock_notes_the_wall_time_too() -> None:
    journal = Journal(lambda: 7, wall_ns=lambda: 99)
    journal.observe("host", "run", {"op": "x"})

    assert journal.records == [{"t": 7, "actor": "run", "kind": "host", "op": "x", "wall": 99}]


def test_an_unknown_kind_is_a_bug_of_the_caller() -> None:
    with pytest.raises(KeyError):
        Journal(lambda: 0).observe("stat", "huge", {})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    records = [HEADER, {"t": 1, "actor": "é", "kind": "host", "op": "\n\u2028"}]

    assert list(read_journal(written(tmp_path / "j", *records))) == records


def test_a_cut_off_last_line_is_left_out(tmp_path: Path) -> None:
    assert list(read_journal(written(tmp_path / "j", HEADER, tail='{"t":1,"act'))) == [HEADER]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([], "is empty"),
        ([{"t": 0, "actor": "run", "kind": "host", "op": "x"}], "expected a journal of version"),
        ([{**HEADER, "schema": "virtsim/journal@9"}], "expected a journal of version"),
        ([HEADER, {"kind": "nonsense"}, HEADER], ":2: not a journal record"),
    ],
)
def test_what_is_no_journal_is_refused_with_its_place(tmp_path: Path, lines: list[dict], text: str) -> None:
    with pytest.raises(JournalError, match=text):
        list(read_journal(written(tmp_path / "j", *lines)))


def test_damage_before_the_last_line_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "j", HEADER)
    path.write_text(path.read_text() + "garbage\n" + encode(HEADER))

    with pytest.raises(JournalError, match=":2: not a journal record"):
        list(read_journal(path))


def test_every_kind_lists_its_fields_once() -> None:
    assert [kind for kind, fields in KINDS.items() if len(set(fields)) != len(fields)] == []
