"""For every policy, limit and guest: the schedule is sound, and a plan is a prefix of it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from virtsim.qemu.schedules import POLICIES, GuestSize, attempts, plan, policy

polling = st.sampled_from([name for name, entry in POLICIES.items() if entry.naps is not None])
limits_ms = st.integers(0, 200_000)
guests = st.builds(GuestSize, st.integers(0, 200 * 1024 * 1024), st.integers(0, 100), st.integers(0, 16))


@given(polling, limits_ms)
def test_attempts_add_up_never_go_back_and_end_at_the_limit(name: str, limit_ms: int) -> None:
    made = list(attempts(policy(name, limit_ms), GuestSize(0)))

    assert [entry.at_ms for entry in made] == list(itertools.accumulate(entry.nap_ms for entry in made))
    assert all(a.at_ms < b.at_ms for a, b in itertools.pairwise(made))
    assert made[-1].at_ms == limit_ms


@given(polling, limits_ms)
def test_only_the_last_nap_is_cut(name: str, limit_ms: int) -> None:
    made = list(attempts(policy(name, limit_ms), GuestSize(0)))
    longer = list(attempts(policy(name, 2 * limit_ms + 10_000), GuestSize(0)))

    assert made[:-1] == longer[: len(made) - 1]
    assert made[-1].nap_ms <= longer[len(made) - 1].nap_ms


@given(st.integers(3, 5000))
def test_adaptive_makes_nine_attempts_more_than_its_limit_has_seconds(limit_s: int) -> None:
    made = list(attempts(policy("backoff-adaptive", limit_s * 1000), GuestSize(0)))

    assert len(made) == limit_s + 9
    assert made[-1].nap_ms == 953


@given(polling, guests, st.none() | st.integers(0, 400_000))
def test_a_plan_is_the_schedule_up_to_the_first_attempt_not_before_the_socket(
    name: str, guest: GuestSize, ready_ms: int | None
) -> None:
    every = list(attempts(POLICIES[name], guest))
    made = plan(POLICIES[name], guest, ready_ms)

    assert list(made.attempts) == every[: made.attempt]
    if made.met_at_ms is None:
        assert made.attempts == tuple(every)
        assert ready_ms is None or ready_ms > (made.limit_ms or 0)
    else:
        assert ready_ms is not None
        assert made.met_at_ms == made.attempts[-1].at_ms >= ready_ms
        assert all(entry.at_ms < ready_ms for entry in made.attempts[:-1])


@given(polling, limits_ms, st.lists(st.integers(0, 500), min_size=300, max_size=300))
def test_late_wake_ups_never_lead_past_the_limit_by_more_than_their_delay(
    name: str, limit_ms: int, delays_ms: list[int]
) -> None:
    countdown = policy(name, limit_ms).begin(GuestSize(0))
    now_ms = 0
    for delay_ms in delays_ms:
        nap_ms = countdown.nap_ms(now_ms)
        if nap_ms is None:
            assert now_ms >= limit_ms
            break
        assert 0 <= nap_ms <= max(0, limit_ms - now_ms)
        now_ms += nap_ms + delay_ms


@given(guests, guests)
def test_a_bigger_guest_is_never_given_less_time(one: GuestSize, other: GuestSize) -> None:
    both = GuestSize(one.memory_kib + other.memory_kib, one.nics + other.nics, one.hostdevs + other.hostdevs)
    for entry in POLICIES.values():
        limits = [entry.limit_ms(guest) for guest in (one, both)]
        assert limits == [None, None] or (limits[0] or 0) <= (limits[1] or 0)
