"""From records to figures: waits, states, groups of like domains, and what is drawn of too much."""

from __future__ import annotations

import pytest

from tests.helpers.journals import MS, Story, crowd, huge_start, limit_failure
from virtsim.report.figures import ScenarioFigures
from virtsim.report.page import pack_timeline
from virtsim.report.read import Source
from virtsim.report.scenarios import MAX_TIMELINES, scenario_figures
from virtsim.report.timelines import MAX_ROWS
from virtsim.report.units import brief, cut, duration, long_duration, plural, size


def figures(story: Story, drop: int = 0) -> ScenarioFigures:
    records = story.journal.records
    return scenario_figures(Source(story.identity, tuple(records[: len(records) - drop])))


def test_a_long_start() -> None:
    scenario = figures(huge_start())
    (domain,) = scenario.domains
    assert domain.timeline is not None
    (wait,) = domain.timeline.waits

    assert (scenario.outcome, scenario.attempts, scenario.elapsed_ns) == ("passed", 114, 105_247 * MS)
    assert (domain.state, domain.waited_ns, domain.limit_ns) == (
        "SHUTOFF (DESTROYED)",
        105_047 * MS,
        432_000 * MS,
    )
    assert [attempt.at_ns // MS for attempt in wait.attempts[:5]] == [1, 3, 7, 15, 31]
    assert (wait.attempts[0].errno, wait.attempts[-1].errno) == ("ENOENT", "")
    assert domain.timeline.logarithmic
    states = [(span.label, span.begin_ns // MS) for span in domain.timeline.spans if span.lane == "state"]
    assert states == [
        ("PAUSED (STARTING_UP)", 0),
        ("RUNNING (BOOTED)", 105_047),
        ("SHUTOFF (DESTROYED)", 105_247),
    ]
    calls = [(span.label, span.tone, span.end_ns) for span in domain.timeline.spans if span.lane == "api"]
    assert calls == [("virDomainCreate", "ok", 105_047 * MS), ("virDomainDestroy", "ok", 105_247 * MS)]
    assert {mark.label for mark in domain.timeline.marks if mark.lane == "event"} == {
        "RESUMED",
        "STARTED",
        "STOPPED",
    }


def test_like_attempts_share_a_line() -> None:
    (domain,) = figures(huge_start()).domains
    assert domain.timeline is not None
    attempts = [row.text for row in domain.timeline.rows if row.kind == "attempt"]

    # Eleven growing naps, the run of 1000 ms, and the one that met the socket.
    assert len(attempts) == 13
    assert "attempts 12 to 113, the last at 104.047 s · nap 1 s · ENOENT" in attempts
    assert attempts[-1] == "attempt 114 · nap 1 s · connected"
    assert pack_timeline(domain.timeline)["waits"][0]["runs"][-2:] == [
        [3_047 * MS, 1_000 * MS, "ENOENT", 102],
        [105_047 * MS, 1_000 * MS, "", 1],
    ]


def test_a_failure() -> None:
    scenario = figures(limit_failure())
    (domain,) = scenario.domains

    assert [(item.what, item.expected, item.actual) for item in scenario.failures] == [
        ("state of gpu", "RUNNING", "SHUTOFF")
    ]
    assert domain.errors == ("error 38: monitor socket did not show up: No such file or directory",)
    assert scenario.steps[0].outcome == "failed"


def test_a_journal_that_ends_early_was_interrupted() -> None:
    scenario = figures(huge_start(), drop=12)

    assert (scenario.outcome, scenario.message) == (
        "interrupted",
        "the journal ends before the scenario does",
    )
    assert scenario.domains[0].timeline is not None
    assert any(span.end_ns is None for span in scenario.domains[0].timeline.spans)


def test_no_record_at_all() -> None:
    scenario = scenario_figures(Source("some/folder", (), "the journal is empty"))

    assert (scenario.outcome, scenario.header.title, scenario.domains) == ("error", "some/folder", ())


def test_an_unknown_outcome_is_an_error() -> None:
    assert figures(Story("x", "x", {}).end("splendid")).outcome == "error"


def test_domains_of_one_course_share_a_timeline() -> None:
    scenario = figures(crowd(1000, alike=True))

    assert (len(scenario.domains), scenario.domain_count, scenario.attempts) == (1, 1000, 5000)
    assert len(scenario.domains[0].twins) == 999


def test_too_many_courses_are_listed_without_timelines() -> None:
    scenario = figures(crowd(60, alike=False))

    assert scenario.domain_count == 60
    assert sum(domain.timeline is not None for domain in scenario.domains) == MAX_TIMELINES


def test_domains_in_trouble_are_drawn_first() -> None:
    story = crowd(60, alike=False)
    call = story.begin_call("vm-50", "virDomainSuspend")
    story.note("api.return", "vm-50", call=call, api="virDomainSuspend", error={"code": 55, "text": "no"})

    assert figures(story).domains[0].name == "vm-50"


def test_numbers_in_names_are_not_confused_with_times() -> None:
    story = Story("x", "x", {"1": 1, "2": 1})
    for name in ("1", "2"):
        story.at(int(name)).note("state", name, state="RUNNING", reason="BOOTED")

    assert [domain.twins for domain in figures(story.end()).domains] == [(), ()]


def test_a_domain_that_did_nothing_is_listed() -> None:
    scenario = figures(Story("x", "x", {"idle": 1 << 20}).end())

    assert [(domain.name, domain.timeline) for domain in scenario.domains] == [("idle", None)]


def test_the_table_is_capped() -> None:
    story = Story("x", "x", {"busy": 1})
    call = story.begin_call("busy", "virDomainGetInfo")
    for _ in range(MAX_ROWS):
        story.qmp("busy", "query-status", call)
    timeline = figures(story.end()).domains[0].timeline
    assert timeline is not None

    assert (len(timeline.rows), timeline.more_rows) == (MAX_ROWS, MAX_ROWS + 1)


def test_overlapping_calls_are_stacked() -> None:
    story = Story("x", "x", {"vm": 1})
    first = story.begin_call("vm", "virDomainCreate")
    second = story.at(5).begin_call("vm", "virDomainDestroy")
    story.at(9).note("api.return", "vm", call=first, api="virDomainCreate")
    story.at(10).note("api.return", "vm", call=second, api="virDomainDestroy")
    timeline = figures(story.end()).domains[0].timeline
    assert timeline is not None

    assert [(span.label, span.row) for span in timeline.spans] == [
        ("virDomainCreate", 0),
        ("virDomainDestroy", 1),
    ]


def test_a_job_that_is_refused_is_a_mark() -> None:
    story = Story("x", "x", {"vm": 1})
    job = {"job": "QUERY", "api": "remoteDispatchDomainGetInfo"}
    story.note("job", "vm", op="wait", held_by="monitor=remoteDispatchDomainCreate", **job)
    story.at(30_000).note("job", "vm", op="timeout", waited_ns=30_000 * MS, held_by="monitor=x", **job)
    timeline = figures(story.end()).domains[0].timeline
    assert timeline is not None

    assert [(mark.label, mark.tone) for mark in timeline.marks] == [
        ("QUERY wait", "warn"),
        ("QUERY timeout", "bad"),
    ]
    assert "waited 30 s" in timeline.marks[1].detail


@pytest.mark.parametrize(
    ("ns", "words"),
    [
        (0, "0 s"), (7, "7 ns"), (1_500, "1.5 µs"), (7 * MS, "7 ms"), (105_047 * MS, "105.047 s"),
        (3_252_047 * MS, "3,252.047 s"), (-5 * MS, "-5 ms"), (1_000_000_001, "1.000000001 s"),
    ],
)  # fmt: skip
def test_durations(ns: int, words: str) -> None:
    assert duration(ns) == words


def test_other_units() -> None:
    assert [brief(48_285_062), brief(1_999_999_999), brief(12)] == ["48.285 ms", "2 s", "12 ns"]
    assert long_duration(3_252_047 * MS) == "3,252.047 s (54 min 12 s)"
    assert long_duration(2 * 3600 * 10**9) == "7,200 s (2 h 0 min)"
    assert long_duration(119_999_999_999) == "120 s (2 min 0 s)"
    assert [size(512), size(402 << 20), size(4 << 30)] == ["512 KiB", "402 GiB", "4 TiB"]
    assert [plural(1, "domain"), plural(1000, "domain"), plural(2, "entry", "entries")] == [
        "1 domain", "1,000 domains", "2 entries",
    ]  # fmt: skip
    assert cut("abcdef", 3) == "abc… (3 more characters)"
