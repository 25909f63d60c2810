"""The watchers judge from records alone."""

from __future__ import annotations

from typing import Any

import pytest

from virtsim.sim.expect import Check, Failure, StepWindow, check_run, check_step
from virtsim.sim.grammar import RunExpect, StepExpect

MS = 10**6


def record(t_ms: int, kind: str, actor: str = "web", **fields: Any) -> dict[str, Any]:
    return {"t": t_ms * MS, "actor": actor, "kind": kind, **fields}


RECORDS = [
    record(0, "step.begin", "run", step="1", verb="start"),
    record(0, "api.call", call=7, api="virDomainCreate", step="1"),
    record(0, "api.call", "db", call=8, api="virDomainCreate", step="2"),
    record(0, "wait.begin", call=7, policy="backoff-adaptive", limit_ns=30_000 * MS, path="/s"),
    record(1, "attempt", call=7, n=1, nap_ns=MS, errno="ENOENT"),
    record(2, "attempt", "db", call=8, n=1, nap_ns=MS, errno="ENOENT"),
    record(3, "attempt", call=7, n=2, nap_ns=2 * MS, errno=None),
    record(3, "qmp.command", call=7, id="libvirt-1", name="qmp_capabilities"),
    record(3, "event", call=7, event="RESUMED", detail="UNPAUSED"),
    record(3, "event", "db", call=8, event="STARTED", detail="BOOTED"),
    record(3, "signal", pid=5, signal=0, delivered=True),
    record(3, "signal", pid=5, signal=15, delivered=True),
    record(4, "api.return", call=7, api="virDomainCreate"),
    record(5, "step.end", "run", step="1", outcome="passed", elapsed_ns=5 * MS),
]


def judge(
    expect: dict[str, Any], *, failures: dict[str, Failure] | None = None, real: bool = False
) -> list[Check]:
    window = StepWindow("1", ("web",), RECORDS, failures or {}, {"web": ("RUNNING", "BOOTED")})
    return list(check_step(StepExpect.model_validate(expect), window, real=real))


@pytest.mark.parametrize(
    "right",
    [
        {"state": "running", "reason": "booted"},
        {"elapsed": "4ms"},
        {"elapsed": {"min": "3ms", "max": "5ms"}},
        {"attempts": 2},
        {"attempts": ["1ms", "3ms"]},
        {"limit": "30s"},
        {"events": [["web", "RESUMED", "UNPAUSED"]]},
        {"qmp": ["qmp_capabilities"]},
        {"signals": [["SIGTERM", "3ms"]]},
    ],
)
def test_what_happened_is_as_expected(right: dict[str, Any]) -> None:
    checks = judge(right)

    assert checks
    assert all(check.ok for check in checks)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"state": "paused"}, "state: expected PAUSED, saw RUNNING"),
        ({"reason": "unpaused"}, "reason: expected UNPAUSED, saw BOOTED"),
        ({"elapsed": "5ms"}, "elapsed: expected 5ms, saw 4ms"),
        ({"elapsed": {"min": "5ms"}}, "elapsed: expected at least 5ms, saw 4ms"),
        ({"attempts": 3}, "attempts: expected 3, saw 2"),
        ({"attempts": ["1ms", "4ms"]}, "attempts: expected [1ms, 4ms], saw [1ms, 3ms]"),
        ({"limit": "none"}, "limit: expected none, saw 30s"),
        ({"events": []}, "events: expected none, saw web RESUMED/UNPAUSED"),
        ({"qmp": []}, "qmp: expected [], saw ['qmp_capabilities']"),
        ({"signals": [["SIGKILL", "3ms"]]}, "signals: expected SIGKILL at 3ms, saw SIGTERM at 3ms"),
        ({"error": {}}, "error: expected an error, saw success"),
    ],
)
def test_what_was_expected_and_seen_is_said(wrong: dict[str, Any], text: str) -> None:
    assert [str(check) for check in judge(wrong) if not check.ok] == [text]


def test_an_error_that_nobody_expected_is_a_failed_expectation() -> None:
    (check,) = judge({}, failures={"web": Failure("VIR_ERR_SYSTEM_ERROR", "no")})

    assert not check.ok
    assert str(check) == "outcome: expected success, saw VIR_ERR_SYSTEM_ERROR 'no'"


@pytest.mark.parametrize(
    ("expected", "ok"),
    [
        ({}, True),
        ({"code": "VIR_ERR_SYSTEM_ERROR"}, True),
        ({"code": "VIR_ERR_NO_DOMAIN"}, False),
        ({"text": "no such thing"}, True),
        ({"text": "no"}, False),
        ({"matches": "^no .* thing$"}, True),
        ({"matches": "^such"}, False),
    ],
)
def test_an_error_is_compared_by_code_text_or_pattern(expected: dict[str, Any], ok: bool) -> None:
    failures = {"web": Failure("VIR_ERR_SYSTEM_ERROR", "no such thing")}

    assert [check.ok for check in judge({"error": expected}, failures=failures)] == [ok]


@pytest.mark.parametrize(
    ("expected", "ok"),
    [
        ({"elapsed": "4ms"}, True),
        ({"elapsed": "15ms"}, False),
        ({"attempts": 3}, True),
        ({"attempts": 5}, True),
        ({"attempts": 6}, False),
        ({"attempts": ["1ms", "9ms"]}, True),
        ({"limit": "31s"}, False),
    ],
)
def test_exact_times_become_bounds_on_the_real_clock(expected: dict[str, Any], ok: bool) -> None:
    assert [check.ok for check in judge(expected, real=True)] == [ok]


def test_a_whole_run_is_judged_by_events_states_and_time() -> None:
    expect = RunExpect.model_validate(
        {
            "events": [["web", "RESUMED", "UNPAUSED"], ["db", "STARTED", "BOOTED"]],
            "event_counts": {"STARTED/BOOTED": 1, "STOPPED/FAILED": 0},
            "states": {"web": {"state": "running", "reason": "booted"}, "db": "shutoff"},
            "elapsed": "5ms",
        }
    )

    checks = list(
        check_run(
            expect, RECORDS, {"web": ("RUNNING", "BOOTED")}, {"web": ("web",), "db": ("db",)}, real=False
        )
    )

    assert [check for check in checks if not check.ok] == []
    assert len(checks) == 7
