from __future__ import annotations

import pytest

from fakeqemu.scripts.units import format_duration, parse_duration_ns, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("105s", 105_000_000_000),
        ("1500ms", 1_500_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1m30s", 90_000_000_000),
        ("2min", 120_000_000_000),
        ("3.9ms", 3_900_000),
        ("0.1s", 100_000_000),
        ("1us", 1000),
        ("7ns", 7),
        ("1d", 86_400_000_000_000),
        ("0", 0),
        (0, 0),
        (" 5s ", 5_000_000_000),
    ],
)
def test_durations(text, ns):
    assert parse_duration_ns(text) == ns


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (105, "did you mean 105s or 105ms"),
        (1.5, "did you mean 1.5s"),
        (True, "needs a unit"),
        (None, "needs a unit"),
        ("5", "not a duration"),
        ("", "not a duration"),
        ("-5s", "cannot be negative"),
        ("5 s", "not a duration"),
        ("5x", "unknown unit 'x'"),
        ("5s1h", "from large to small"),
        ("5s5s", "from large to small"),
        ("1e9s", "unknown unit 'e'"),
        ("9999999d", "a hundred years"),
        ("5s" * 100, "not a duration|from large to small"),
    ],
)
def test_what_is_no_duration_is_told_why(text, why):
    with pytest.raises(ValueError, match=why):
        parse_duration_ns(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("402GiB", 402 << 30),
        ("512 MiB", 512 << 20),
        ("1GB", 10**9),
        ("7B", 7),
        (4096, 4096),
        ("4096", 4096),
        ("1.5KiB", 1536),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (-1, "cannot be negative"),
        ("-1GiB", "cannot be negative"),
        ("5G", "unknown unit 'G'"),
        ("GiB", "not a size"),
        (1.5, "needs a unit"),
        ("99999PiB", "2\\^63"),
        ("9" * 70, "not a size"),
    ],
)
def test_what_is_no_size_is_told_why(text, why):
    with pytest.raises(ValueError, match=why):
        parse_size(text)


def test_rates():
    assert parse_rate("3.83GiB/s") == 4112431186
    with pytest.raises(ValueError, match="per second"):
        parse_rate("3GiB")
    with pytest.raises(ValueError, match="never ends"):
        parse_rate("0B/s")


def test_the_seed_story_takes_105_s():
    assert 402 * (1 << 30) * 10**9 // parse_rate("3.83GiB/s") == pytest.approx(105e9, rel=1e-3)


@pytest.mark.parametrize("ns", [0, 1, 999, 1000, 105_047_000_000, 31_000_000_000, 1_500_000_000, 123_456_789])
def test_a_formatted_duration_reads_back(ns):
    assert parse_duration_ns(format_duration(ns)) == ns
