# ruff: noqa: E501  (a table of documents and what is said of them)
"""YAML with places, bounded, and never a traceback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtsim.sim.document import MAX_DEPTH, Mistake, MistakesError, parse_document


def mistakes_of(data: bytes) -> list[str]:
    with pytest.raises(MistakesError) as caught:
        parse_document(data, "f.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def outcome(data: bytes) -> list[Mistake] | None:
    """The mistakes of a document that has some; None for one that is right."""
    try:
        parse_document(data, "f")
    except MistakesError as failure:
        return failure.mistakes
    return None


def test_values_follow_the_core_schema_of_yaml_1_2() -> None:
    text = b"[1, -2, 0o17, 0x1f, 2.5, 1e3, true, yes, on, null, ~, '1', 1_000, 12:30, !!str 5]"

    assert parse_document(text, "f").data == [
        1, -2, 15, 31, 2.5, 1000.0, True, "yes", "on", None, None, "1", "1_000", "12:30", "5",
    ]  # fmt: skip


def test_every_key_and_value_has_its_place() -> None:
    document = parse_document(b"a: 1\nb:\n  - c: x\n", "f")

    assert document.keys["a",] == (1, 1)
    assert document.values["a",] == (1, 4)
    assert document.values["b", 0] == (3, 5)
    assert document.keys["b", 0, "c"] == (3, 5)
    assert document.values["b", 0, "c"] == (3, 8)


def test_an_alias_is_a_copy_of_its_anchor() -> None:
    data = parse_document(b"a: &x [1, {b: 2}]\nc: *x\n", "f").data

    assert data["a"] == data["c"]
    assert data["a"] is not data["c"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "f.yaml:1:1: the document is empty"),
        (b"a: 1\na: 2\n", "f.yaml:2:1: 'a' is here for the second time"),
        (b"a: *b\n", "f.yaml:1:4: *b refers to an anchor that is not (or not yet) there"),
        (b"a: &a [*a]\n", "f.yaml:1:8: *a refers to an anchor that is not (or not yet) there"),
        (b"--- 1\n--- 2\n", "f.yaml:2:1: a second document: one file holds one scenario"),
        (b"a: \xff\n", "f.yaml:1:1: is not UTF-8"),
        (b"? [a]\n: b\n", "f.yaml:1:3: a key must be a word"),
        (b"a: !!python/object:os.system x\n", "f.yaml:1:4: the tag tag:yaml.org,2002:python/object:os.system means nothing here"),
        (b"a: !foo {}\n", "f.yaml:1:4: the tag !foo means nothing here"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(text: bytes, expected: str) -> None:
    assert expected in mistakes_of(text)


def test_what_yaml_itself_refuses_has_its_place() -> None:
    (mistake,) = mistakes_of(b"a: 1\nb: [1, 2\n")

    assert mistake.startswith("f.yaml:3:1: not valid YAML: ")


def test_deep_nesting_is_bounded() -> None:
    (mistake,) = mistakes_of(b"[" * 5000)

    assert mistake == f"f.yaml:1:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH} levels"


def test_a_billion_laughs_are_bounded() -> None:
    lines = [b"l0: &l0 [" + b",".join([b"ha"] * 10) + b"]"]
    for level in range(1, 10):
        lines.append(b"l%d: &l%d [" % (level, level) + b",".join([b"*l%d" % (level - 1)] * 10) + b"]")

    (mistake,) = mistakes_of(b"\n".join(lines))

    assert mistake.endswith("more than 50000 values once aliases are expanded")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_mistakes(data: bytes) -> None:
    assert outcome(data) != []


@given(st.text(alphabet="ab:-[]{}&*!'\"#|> \n\t,?", max_size=60))
def test_any_yamlish_text_gives_a_document_or_mistakes(text: str) -> None:
    assert all(mistake.line >= 1 and mistake.column >= 1 for mistake in outcome(text.encode()) or ())
