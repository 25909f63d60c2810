"""The waiting policies keep libvirt's times and limits to the millisecond."""

from __future__ import annotations

import pytest

from virtsim.errors import InvalidArgument
from virtsim.qemu.schedules import LIMIT_MS_MAX, POLICIES, GuestSize, Plan, attempts, plan, policy

GIB = 1024 * 1024
MIB = 1024
SMALL = GuestSize(512 * MIB)


def times(name: str, guest: GuestSize = SMALL, limit_ms: int | None = None) -> list[int]:
    return [attempt.at_ms for attempt in attempts(policy(name, limit_ms), guest)]


# libvirt: attempt times of the adaptive back-off, (limit, attempts, last nap)
@pytest.mark.parametrize(
    ("limit_ms", "count", "last_nap_ms"),
    [
        (500, 9, 245),
        (1000, 10, 489),
        (3000, 12, 953),
        (5000, 14, 953),
        (30_000, 39, 953),
        (500_000, 509, 953),
    ],
)
def test_adaptive_cuts_the_last_nap_to_end_at_a_given_limit(
    limit_ms: int, count: int, last_nap_ms: int
) -> None:
    made = list(attempts(policy("backoff-adaptive", limit_ms), SMALL))

    assert len(made) == count
    assert made[-1].nap_ms == last_nap_ms
    assert made[-1].at_ms == limit_ms


@pytest.mark.parametrize(
    ("memory_kib", "limit_s", "count"),
    [
        (512 * MIB, 30, 39),
        (1 * GIB, 31, 40),
        (2 * GIB - 1, 31, 40),
        (64 * GIB, 94, 103),
        (256 * GIB, 286, 295),
        (402 * GIB, 432, 441),
        (1024 * GIB, 1054, 1063),
        (4096 * GIB, 4126, 4135),
    ],
)
def test_adaptive_limit_grows_by_a_second_for_each_whole_gib(
    memory_kib: int, limit_s: int, count: int
) -> None:
    guest = GuestSize(memory_kib, nics=25, hostdevs=8)  # neither counts in libvirt's rule

    assert POLICIES["backoff-adaptive"].limit_ms(guest) == limit_s * 1000
    assert len(times("backoff-adaptive", guest)) == count


def test_adaptive_attempts_begin_at_one_millisecond_and_settle_at_a_second() -> None:
    assert times("backoff-adaptive")[:13] == [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047, 3047, 4047]
    assert times("backoff-adaptive")[-2:] == [29_047, 30_000]


def test_uncapped_makes_fifteen_attempts() -> None:
    made = list(attempts(POLICIES["backoff-uncapped"], GuestSize(402 * GIB)))

    assert [attempt.at_ms for attempt in made] == [*(2**n - 1 for n in range(1, 15)), 30_000]
    assert made[-1].nap_ms == 13_617


def test_poll200_tries_first_and_then_every_200_ms() -> None:
    assert times("poll200", GuestSize(402 * GIB)) == list(range(0, 30_001, 200))
    assert len(times("poll200", limit_ms=3000)) == 16


def test_poll200_cuts_its_last_nap_too() -> None:
    assert times("poll200", limit_ms=500) == [0, 200, 400, 500]


@pytest.mark.parametrize("name", ["poll200", "backoff-uncapped", "backoff-adaptive"])
def test_a_limit_of_zero_leaves_one_attempt(name: str) -> None:
    assert times(name, limit_ms=0) == [0]


@pytest.mark.parametrize(
    ("ready_ms", "met_at_ms", "attempt"),
    [
        (0, 1, 1),
        (20, 31, 5),
        (520, 1023, 10),
        (1023, 1023, 10),
        (1024, 2047, 11),
        (2048, 3047, 12),
        (2050, 3047, 12),
        (105_000, 105_047, 114),
    ],
)
def test_adaptive_meets_the_socket_at_the_next_attempt(ready_ms: int, met_at_ms: int, attempt: int) -> None:
    made = plan(POLICIES["backoff-adaptive"], GuestSize(402 * GIB), ready_ms)

    assert (made.limit_ms, made.met_at_ms, made.attempt, made.greeted_at_ms) == (
        432_000,
        met_at_ms,
        attempt,
        met_at_ms,
    )
    assert len(made.attempts) == attempt


def test_4_tib_of_single_thread_preallocation_is_waited_for() -> None:
    assert plan(POLICIES["backoff-adaptive"], GuestSize(4096 * GIB), 3_251_800).met_at_ms == 3_252_047


@pytest.mark.parametrize("name", ["poll200", "backoff-uncapped", "backoff-adaptive"])
@pytest.mark.parametrize(
    ("ready_ms", "met"), [(29_999, True), (30_000, True), (30_001, False), (None, False)]
)
def test_the_attempt_at_the_limit_is_the_last(name: str, ready_ms: int | None, met: bool) -> None:
    made = plan(POLICIES[name], SMALL, ready_ms)

    assert made.met_at_ms == (30_000 if met else None)
    assert made.attempts[-1].at_ms == 30_000
    assert made.attempt == len(made.attempts) == len(set(made.attempts))


def test_80_gib_and_a_gpu_defeat_the_adaptive_limit_after_119_attempts() -> None:
    made = plan(POLICIES["backoff-adaptive"], GuestSize(80 * GIB, hostdevs=1), 277_000)

    assert (made.limit_ms, made.met_at_ms, made.attempt) == (110_000, None, 119)


def test_fdpass_connects_once_and_waits_for_ever() -> None:
    made = plan(POLICIES["fdpass"], GuestSize(80 * GIB, hostdevs=1), 277_000)

    assert made.limit_ms is None
    assert [(entry.at_ms, entry.nap_ms) for entry in made.attempts] == [(0, 0)]
    assert (made.met_at_ms, made.attempt, made.greeted_at_ms) == (0, 1, 277_000)


# what was measured: (GiB, host devices, NICs, seconds)
@pytest.mark.parametrize(
    ("gib", "hostdevs", "nics", "needed_s"),
    [
        (402, 0, 1, 105),
        (256, 0, 1, 131.2),
        (1024, 0, 1, 536.6),
        (4096, 0, 1, 3251.8),
        (120, 0, 1, 60),
        (60, 1, 0, 135),
        (65, 1, 0, 213),
        (70, 1, 0, 157),
        (80, 1, 0, 277),
        (96, 1, 0, 290),
        (512, 0, 0, 300),
        (0, 0, 17, 42),
        (0, 0, 20, 50),
        (0, 0, 25, 45),
        (256, 0, 0, 120),
        (128, 1, 0, 32.4),
        (800, 8, 0, 270),
        (16, 0, 0, 8.65),
        (4, 0, 80, 36),
    ],
)
def test_eventful_deadline_covers_every_measured_start(
    gib: int, hostdevs: int, nics: int, needed_s: float
) -> None:
    guest = GuestSize(gib * GIB, nics=nics, hostdevs=hostdevs)
    limit_ms = POLICIES["eventful"].limit_ms(guest)

    assert limit_ms is not None
    assert limit_ms >= 1.2 * needed_s * 1000


@pytest.mark.parametrize(
    ("guest", "limit_s"),
    [
        (GuestSize(512 * MIB), 30),
        (GuestSize(402 * GIB), 432),
        (GuestSize(80 * GIB, hostdevs=1), 380),
        (GuestSize(512 * MIB, nics=25), 80),
        (GuestSize(2 * GIB, nics=1, hostdevs=2), 30 + 2 + 2 + 6 + 60),
    ],
)
def test_eventful_deadline_is_the_documented_sum(guest: GuestSize, limit_s: int) -> None:
    assert POLICIES["eventful"].limit_ms(guest) == limit_s * 1000


@pytest.mark.parametrize(("ready_ms", "greeted_at_ms"), [(30_000, 30_000), (30_001, None), (None, None)])
def test_eventful_greeting_has_a_deadline(ready_ms: int | None, greeted_at_ms: int | None) -> None:
    made = plan(POLICIES["eventful"], SMALL, ready_ms)

    assert isinstance(made, Plan)
    assert (made.met_at_ms, made.greeted_at_ms, made.attempt) == (0, greeted_at_ms, 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [("backof-adaptive", "did you mean 'backoff-adaptive'?"), ("Zzz", "known are backoff-adaptive, ")],
)
def test_an_unknown_policy_names_the_nearest(name: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        policy(name)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "limit_ms"), [("fdpass", 5), ("poll200", -1), ("poll200", LIMIT_MS_MAX + 1)]
)
def test_a_limit_that_cannot_be_is_refused(name: str, limit_ms: int) -> None:
    with pytest.raises(InvalidArgument):
        policy(name, limit_ms)


@pytest.mark.parametrize("size", [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (1 << 51, 0, 0)])
def test_a_guest_that_cannot_be_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidArgument):
        GuestSize(*size)
