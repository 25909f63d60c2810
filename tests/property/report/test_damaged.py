"""Whatever happens to a journal, a report comes out of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from tests.helpers.journals import limit_failure
from virtsim.journal import KINDS
from virtsim.report import write_report

LINES = [json.dumps(record) for record in limit_failure().journal.records if record["kind"] != "attempt"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(set(KINDS) - {"header"})))
    record = {name.removesuffix("?"): draw(json_values) for name in KINDS[kind]}
    return {**record, "t": draw(st.integers(0, 10**12)), "actor": draw(st.text(max_size=6)), "kind": kind}


def report_of(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario" / "journal.jsonl"
        path.parent.mkdir()
        path.write_bytes(content)
        files = write_report(Path(folder), Path(folder) / "steps.md")
        for name in ("json", "trace"):
            json.loads(files[name].read_text())
        etree.parse(files["junit"])


@given(st.data())
def test_bytes_are_changed(data: st.DataObject) -> None:
    content = bytearray("\n".join(LINES).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    report_of(bytes(content[: data.draw(st.integers(0, len(content)))]))


@given(st.lists(records(), max_size=12))
def test_fields_hold_anything(drawn: list[dict[str, Any]]) -> None:
    report_of("".join(f"{line}\n" for line in (LINES[0], *map(json.dumps, drawn))).encode())


@given(json_values, json_values, json_values)
def test_a_header_holds_anything(scenario: Any, domains: Any, rest: Any) -> None:
    header = {
        **json.loads(LINES[0]),
        "scenario": scenario,
        "domains": domains,
        "policy": rest,
        "replay": rest,
    }
    report_of("".join(f"{line}\n" for line in (json.dumps(header), *LINES[1:])).encode())
