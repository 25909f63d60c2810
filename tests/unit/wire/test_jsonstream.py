"""Objects are found in a stream of bytes, and every fault has its own class."""

from __future__ import annotations

import json

import pytest

from virtsim.errors import ErrorCode, InternalError
from virtsim.wire.errors import (
    FramingError,
    InvalidJSON,
    InvalidUTF8,
    MessageTooLarge,
    NotAnObject,
    TooDeep,
    Truncated,
)
from virtsim.wire.jsonstream import MAX_DEPTH, MAX_MESSAGE_BYTES, NEED_DATA, JsonStream, quote


def values(*reads: bytes, max_bytes: int = MAX_MESSAGE_BYTES):
    stream = JsonStream(max_bytes)
    found = []
    for data in reads:
        stream.receive_data(data)
        while (value := stream.next_value()) is not NEED_DATA:
            found.append(value)
    return found


def outcome(reads, max_bytes: int = MAX_MESSAGE_BYTES):
    """(objects, class of the error, its text): what must not depend on the split."""
    stream = JsonStream(max_bytes)
    found = []
    try:
        for data in reads:
            stream.receive_data(data)
            while (value := stream.next_value()) is not NEED_DATA:
                found.append(value)
        stream.end()
    except FramingError as error:
        return found, type(error), str(error)
    return found, None, ""


def one_by_one(data: bytes):
    return [data[i : i + 1] for i in range(len(data))]


GOOD = {
    "one": b'{"a": 1}\r\n',
    "nothing between": b'{"a": 1}{"b": [2, {"c": "}"}]}',
    "line ends between": b'{"a": 1}\n{"b": 2}\r\n\r\n{"c": 3}\n',
    "pretty": json.dumps({"return": [{"name": "x", "b": {}}, {"name": 'q"\\'}]}, indent=4).encode() + b"\r\n",
    "brackets in strings": b'{"]": "[{\\"}", "}": "\\\\"}',
    "unicode": '{"é": "日本 🎉"}\n'.encode(),
    "escapes": b'{"a": "\\u00e9\\ud83c\\udf89\\n"}\n',
    "blank before": b' \t\r\n {"a": 1}',
    "only blanks": b"\r\n \r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_the_split_does_not_matter(data: bytes) -> None:
    whole = values(data)

    assert values(*one_by_one(data)) == whole
    for cut in range(len(data)):
        assert values(data[:cut], data[cut:]) == whole


def test_several_reads_before_anybody_asks() -> None:
    stream = JsonStream()
    for data in (b'{"a": 1}{"b"', b": 2}\n", b'{"c": 3}', b"", b'{"d'):
        stream.receive_data(data)
    found = [stream.next_value() for _ in range(4)]

    assert found == [{"a": 1}, {"b": 2}, {"c": 3}, NEED_DATA]
    stream.receive_data(b'": 4}')
    assert stream.next_value() == {"d": 4}
    assert repr(NEED_DATA) == "NEED_DATA"


BAD = {
    "no json": (b"hello world\n", InvalidJSON),
    "no json then good": (b'{"a": 1}\nhello\n{"b": 2}\n', InvalidJSON),
    "half a value": (b'{"a": nul}', InvalidJSON),
    "no comma": (b'{"a" 1}', InvalidJSON),
    "wrong bracket": (b'{"a": [1}', InvalidJSON),
    "cut off by the next": (b'{"return": {}\r\n{"return": {}, "id": 1}\r\n', InvalidJSON),
    "doubled bracket": (b'{{"a": 1}}', InvalidJSON),
    "line end in a string": (b'{"a": "b\n"}', InvalidJSON),
    "line end after a backslash": (b'{"a": "b\\\n"}', InvalidJSON),
    "NaN": (b'{"a": NaN}', InvalidJSON),
    "Infinity": (b'{"a": -Infinity}\n', InvalidJSON),
    "half a surrogate pair": (b'{"a": "\\ud800"}', InvalidJSON),
    "number without end": (b'{"a": ' + b"9" * 5000 + b"}", InvalidJSON),
    "trailing": (b"12 13\n", InvalidJSON),
    "byte order mark": (b'\xef\xbb\xbf{"a": 1}\n', InvalidJSON),
    "NUL": (b"\0\n", InvalidJSON),
    "closing bracket first": (b'}{"a": 1}\n', InvalidJSON),
    "invalid UTF-8": (b'{"a": "\xff"}', InvalidUTF8),
    "UTF-16": ('{"a": 1}\n'.encode("utf-16"), InvalidUTF8),
    "overlong UTF-8": (b'{"a": "\xc0\x80"}', InvalidUTF8),
    "cut UTF-8": (b'{"a": "\xe6\x97"}', InvalidUTF8),
    "UTF-8 of a surrogate": (b'{"a": "\xed\xa0\x80"}', InvalidUTF8),
    "list": (b"[1, 2]\n", NotAnObject),
    "string": (b'"text"\n', NotAnObject),
    "number": (b"42\r\n", NotAnObject),
    "null": (b"null\n", NotAnObject),
    "deep": (b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", TooDeep),
    "very deep": (b"[" * 200_000, TooDeep),
    "end in a message": (b'{"a": 1}{"b"', Truncated),
    "end in a line": (b"hel", Truncated),
    "end in a string": (b'{"a": "b', Truncated),
}


@pytest.mark.parametrize(("data", "kind"), BAD.values(), ids=BAD)
def test_each_fault_has_its_class_whatever_the_split(data: bytes, kind: type[FramingError]) -> None:
    found, error, text = outcome([data])

    assert error is kind
    assert len(text) < 1000
    if len(data) < 200:
        assert outcome(one_by_one(data)) == (found, error, text)
    for cut in range(0, len(data), max(1, len(data) // 30)):
        assert outcome([data[:cut], data[cut:]]) == (found, error, text)


def test_texts_are_libvirts() -> None:
    assert outcome([b"hello\n"])[2].startswith("internal error: cannot parse json hello: ")
    assert outcome([b"[1]\n"])[2] == "internal error: Parsed JSON reply '[1]' isn't an object"
    assert (
        outcome([b'{"a": "' + b"x" * MAX_MESSAGE_BYTES])[2]
        == "internal error: QEMU monitor reply exceeds buffer size (10485760 bytes)"
    )


def test_faults_are_internal_errors_of_libvirts_code() -> None:
    assert issubclass(FramingError, InternalError)
    assert FramingError("x").code == ErrorCode.VIR_ERR_INTERNAL_ERROR


def test_nesting_up_to_the_bound_is_read() -> None:
    deep = b'{"a": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"

    assert len(values(deep)) == 1
    assert values(*one_by_one(deep)) == values(deep)


def test_many_brackets_are_not_deep() -> None:
    wide = json.dumps({"return": [{"a": ["{", "["]}] * 2000}).encode()

    assert len(values(wide)) == 1


@pytest.mark.parametrize("size", [99, 100, 101, 150])
@pytest.mark.parametrize("shape", [b'{"a":"%s"}', b"%s"], ids=["object", "line"])
def test_the_bound_counts_the_message_alone(size: int, shape: bytes) -> None:
    message = shape % (b"x" * (size - len(shape) + 2))
    assert len(message) == size
    data = b" \r\n" + message + b"\r\n" + b'{"b":1}'
    whole = outcome([data], 100)

    terminator = 0 if shape.startswith(b"{") else 1  # a line's CR is part of it
    assert (whole[1] is MessageTooLarge) is (size + terminator > 100)
    assert outcome(one_by_one(data), 100) == whole
    for cut in range(len(data)):
        assert outcome([data[:cut], data[cut:]], 100) == whole


def test_exactly_ten_mebibytes_are_read() -> None:
    shape = b'{"return": "%s"}'
    fits = shape % (b"x" * (MAX_MESSAGE_BYTES - len(shape) + 2))

    assert len(values(fits + b"\r\n")) == 1
    reads = [fits[i : i + 65536] for i in range(0, len(fits), 65536)]
    assert len(values(*reads, b"\r\n")) == 1
    assert outcome([shape % (b"x" * (MAX_MESSAGE_BYTES - len(shape) + 3))])[1] is MessageTooLarge


def test_a_pretty_printed_message_in_small_reads_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rescanning from the start would look at 64 MB here."""
    import virtsim.wire.jsonstream as module

    looked_at = 0
    tokens = module._tokens

    def counting(buffer, pos):
        nonlocal looked_at
        last = pos
        for token in tokens(buffer, pos):
            last = token.end()
            yield token
        looked_at += len(buffer) - pos if last else 0

    monkeypatch.setattr(module, "_tokens", counting)
    data = json.dumps({"return": [{"name": f"command-{n}"} for n in range(5000)]}, indent=4).encode()
    reads = [data[i : i + 512] for i in range(0, len(data), 512)]

    assert len(values(*reads)) == 1
    assert looked_at < 3 * len(data)


def test_quote_cuts_what_is_long() -> None:
    assert quote({"a": 1}) == '{"a": 1}'
    assert quote("x" * 1000) == "x" * 256 + "..."


def test_a_large_list_that_comes_again_is_made_anew() -> None:
    entries = [{"name": f"property-{number}", "type": "bool"} for number in range(400)]
    data = json.dumps({"return": entries, "id": "libvirt-7"}).encode() + b"\r\n"
    seen = []
    for _ in range(3):
        stream = JsonStream()
        stream.receive_data(data)
        value = stream.next_value()
        assert isinstance(value, dict)
        assert value == {"return": entries, "id": "libvirt-7"}
        assert list(value) == ["return", "id"]
        assert stream.next_value() is NEED_DATA
        stream.end()
        seen.append(value)
        # Whoever got it may change it: the next one does not see that.
        value["return"][0]["name"] = "changed"
        value["return"].append({})
        value["more"] = 1
    assert len({id(value) for value in seen}) == 3


def test_a_large_read_of_two_messages_or_with_nested_members_is_read_as_ever() -> None:
    one = json.dumps({"return": [{"name": "n" * 9000, "more": [1]}], "id": {"a": 1}}).encode()
    for data, count in ((one + b"\r\n", 1), (one + one, 2), (one[:9000], 0)):
        for _ in range(2):
            stream = JsonStream()
            stream.receive_data(data)
            values = [stream.next_value() for _ in range(count)]
            assert values == [json.loads(one)] * count
            assert stream.next_value() is NEED_DATA
            for value in values:
                assert isinstance(value, dict)
                value["return"][0]["more"].append(2)
