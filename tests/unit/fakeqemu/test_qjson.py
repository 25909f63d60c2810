"""What QEMU 7.2 says about each of these was asked of the real one; tests/conformance asks again."""

from __future__ import annotations

import pytest

from fakeqemu.protocol.qjson import JSONReader, Raw, encode, in_order, parse
from fakeqemu.protocol.slowjson import Lexer

GOOD = [
    (b'{"execute":"query-status"}', [{"execute": "query-status"}]),
    (b'{"a":1}{"b":2}\n {"c":3}', [{"a": 1}, {"b": 2}, {"c": 3}]),
    (b"{'execute':'x'}", [{"execute": "x"}]),
    (b"'it''s'", ["it", "s"]),
    (b"'a\\'b'", ["a'b"]),
    (b"[1, -2, 1.5, 1e3, true, false, null]", [[1, -2, 1.5, 1000.0, True, False, None]]),
    (b'{"a":"\\u00e9\\ud83d\\ude00\\n\\/"}', [{"a": "\u00e9\U0001f600\n/"}]),
    (b'{"a":"\\u0000\xc0\x80"}', [{"a": "\0\0"}]),
    ('{"a":"é"}'.encode(), [{"a": "é"}]),
    (b"18446744073709551615 ", [18446744073709551615]),
    (b"18446744073709551616 ", [18446744073709551616.0]),
    (b"-9223372036854775809 ", [-9223372036854775809.0]),
    (b"{ }[ ]", [{}, []]),
]

BAD = [
    (b'{"execute" "x"}', ["JSON parse error, missing : in object pair"]),
    (b"{x}", ["JSON parse error, invalid keyword 'x'"]),
    (b'{"a":}', ["JSON parse error, expecting value"]),
    (b"}", ["JSON parse error, expecting value"]),
    (b'{"a":1]', ["JSON parse error, expected separator in dict"]),
    (b"[1 2]", ["JSON parse error, expected separator in list"]),
    (b"{1:2}", ["JSON parse error, key is not a string in object"]),
    (b'{"a":1,"a":2}', ["JSON parse error, duplicate key"]),
    (b'{"a":"\\q"}', ["JSON parse error, invalid escape sequence in string"]),
    (b'{"a":"\\ud800"}', ["JSON parse error, \\ud800 is not a valid Unicode character"]),
    (b'{"a":"\\u12"}', ['JSON parse error, \\u12" is not a valid Unicode character']),
    (b'{"a":"\\ud83d\\u0041"}', ["JSON parse error, \\ud83d is not a valid Unicode character"]),
    (b'{"a":"\xed\xa0\x80"}', ["JSON parse error, invalid UTF-8 sequence in string"]),
    (b'{"a":"\xff"}\n', ["JSON parse error, stray '\"\ufffd'", "JSON parse error, expecting value"]),
    (b'{"a":01}\n', ["JSON parse error, stray '01'", "JSON parse error, expecting value"]),
    (b'{"a":-}\n', ["JSON parse error, stray '-}'"]),
    (b"%d\n", ["JSON parse error, stray '%'"]),
    (b"NaN\n", ["JSON parse error, stray 'N'"]),
    (b"\0\n", ["JSON parse error, stray ''"]),
    (b"\x1b[A\n", ["JSON parse error, stray '\x1b'", "JSON parse error, stray 'A'"]),
    (b'{"a":"abc\n', ["JSON parse error, stray '\"abc\n'"]),
    (b"{" * 1025, ["JSON nesting depth limit exceeded"]),
    (b"[" * 2000, ["JSON nesting depth limit exceeded"]),
]


@pytest.mark.parametrize(("data", "values"), GOOD)
def test_good_messages(data, values):
    assert JSONReader().feed(data) == [(value, None) for value in values]


@pytest.mark.parametrize(("data", "errors"), BAD)
def test_bad_messages(data, errors):
    assert [error for _, error in JSONReader().feed(data)] == errors


@pytest.mark.parametrize(("data", "expected"), GOOD + BAD)
def test_byte_by_byte_gives_the_same(data, expected):
    del expected
    reader, found = JSONReader(), []
    for byte in data:
        found += reader.feed(bytes([byte]))
    assert found == JSONReader().feed(data)


def test_after_an_error_the_reader_goes_on():
    found = JSONReader().feed(b'%%% \n{"a":1}')
    assert found == [(None, "JSON parse error, stray '%'"), ({"a": 1}, None)]


def test_a_half_message_waits():
    reader = JSONReader()
    assert reader.feed(b'{"execute":') == []
    assert reader.feed(b'"stop"') == []
    assert reader.feed(b"}") == [({"execute": "stop"}, None)]


def test_the_deepest_message_is_read_and_written():
    data = b"[" * 1024 + b"]" * 1024
    [(value, error)] = JSONReader().feed(data)
    assert error is None
    assert encode(value) == data.decode()
    deep = b'{"a":' * 1000 + b"1" + b"}" * 1000
    assert encode(JSONReader().feed(deep)[0][0]) == deep.decode().replace(":", ": ")


def test_a_message_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("fakeqemu.protocol.slowjson.MAX_TOKEN_BYTES", 1000)
    assert Lexer().feed(b'"' + b"x" * 2000)[0][1] == "JSON token size limit exceeded"
    assert Lexer().feed(b"[" + b'"xxxxxxxxxx",' * 200)[0][1] == "JSON token size limit exceeded"


def test_too_many_tokens_are_refused(monkeypatch):
    monkeypatch.setattr("fakeqemu.protocol.slowjson.MAX_TOKENS", 10)
    assert Lexer().feed(b"[1,2,3,4,5,6,7,8")[0][1] == "JSON token count limit exceeded"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é😀\x7f\n\x01", '"\\u00E9\\uD83D\\uDE00\\u007F\\n\\u0001"'),
        ("\\u00e9", '"\\\\u00e9"'),
        ([0.1, 1e22, -0.0, float("inf")], "[0.10000000000000001, 1e+22, -0, inf]"),
        ({}, "{}"),
        ((1, None, True), "[1, null, true]"),
        (Raw('{"x": 1}'), '{"x": 1}'),
        (
            {"singlestep": False, "running": True, "status": "x"},
            '{"status": "x", "singlestep": false, "running": true}',
        ),
    ],
)
def test_writing_is_qemus(value, text):
    assert encode(value) == text


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        encode({1, 2})


def test_members_come_in_the_order_of_qemus_hash():
    assert in_order(("error", "id")) == ("id", "error")
    assert in_order(("major", "minor", "micro")) == ("micro", "minor", "major")
    # Two keys in one bucket: the later one comes first.
    assert in_order(("stat-major-faults", "stat-minor-faults")) == ("stat-minor-faults", "stat-major-faults")


def test_parse_is_for_text_known_to_be_good():
    assert parse('[{"a": "é"}]') == [{"a": "é"}]
