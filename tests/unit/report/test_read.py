"""Whatever lies in a folder called journal.jsonl gives a Source and at most one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.journals import huge_start, write_story
from virtsim.report.read import clean, number, read_source, text

HEADER = {
    "t": 0,
    "actor": "run",
    "kind": "header",
    "schema": "virtsim/journal@1",
    "version": "1",
    "scenario": {"id": "a"},
    "seed": "1",
    "clock": "virtual",
    "hypervisor": "fake",
    "policy": "eventful",
    "domains": [],
}


def read(tmp_path: Path, content: bytes | str):
    path = tmp_path / "a" / "journal.jsonl"
    path.parent.mkdir()
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_source(path, tmp_path)


def lines(*records: dict) -> str:
    return "".join(json.dumps(record) + "\n" for record in (HEADER, *records))


def test_a_whole_journal(tmp_path: Path) -> None:
    source = read_source(write_story(tmp_path, huge_start()), tmp_path)

    assert source.folder == "020-monitor/402-gib"
    assert source.problem is None
    assert source.records[-1]["kind"] == "end"


def test_a_cut_off_last_line_is_left_out(tmp_path: Path) -> None:
    whole = read_source(write_story(tmp_path, huge_start()), tmp_path)
    source = read_source(write_story(tmp_path, huge_start(), cut=5), tmp_path)

    assert source.records == whole.records[:-1]
    assert source.problem is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the journal is empty"),
        ('{"t": 0', "the journal ends within its first record"),
        ("hello\n", "not a journal record"),
        ("[]\n", "not a journal record"),
        ('{"kind": "header", "schema": "virtsim/journal@99"}\n', "expected a journal of version"),
        ('{"kind": "state"}\n', "expected a journal of version"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("[" * 100_000 + "\n", "nested too deeply"),
        (
            lines({"t": 1, "actor": "a", "kind": "state", "state": "RUNNING"}),
            "line 2: the state record has no reason",
        ),
        (
            lines({"t": "1", "actor": "a", "kind": "qmp.closed", "reason": ""}),
            "line 2: the t of the qmp.closed",
        ),
        (
            lines({"t": 1, "actor": 7, "kind": "qmp.closed", "reason": ""}),
            "line 2: the qmp.closed record names no actor",
        ),
        (lines({"t": -1, "actor": "a", "kind": "qmp.closed", "reason": ""}), "before the start of the run"),
        (lines({"t": 1e400, "actor": "a", "kind": "qmp.closed", "reason": ""}), "is not a number"),
        (lines(HEADER), "line 2: a second header"),
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, content: bytes | str, problem: str) -> None:
    source = read(tmp_path, content)

    assert source.problem is not None
    assert problem in source.problem
    assert "\n" not in source.problem


def test_a_folder_called_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()

    assert read_source(tmp_path / "journal.jsonl", tmp_path).problem == "cannot be read: Is a directory"


def test_text_is_printable() -> None:
    assert clean("a\x00b\x1bc\ud800d\ne") == "a�b�c�d\ne"
    assert text({"a": [1, None, {"b": True}]}) == "a: [1, null, {b: true}]"
    assert text([]) == ""
    assert text(None) == ""


def test_numbers() -> None:
    assert [number(value) for value in (3, 3.7, True, "3", None, float("nan"), float("inf"), 1 << 80)] == [
        3, 3, None, None, None, None, None, None,
    ]  # fmt: skip
