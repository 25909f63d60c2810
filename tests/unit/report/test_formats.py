"""JUnit XML, results.json, the trace and the Markdown summary."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from lxml import etree

from tests.helpers.journals import Story, crowd, huge_start, limit_failure, write_story
from virtsim.report import write_report
from virtsim.report.figures import RunFigures
from virtsim.report.junit import render_junit
from virtsim.report.read import Source
from virtsim.report.results import render_results
from virtsim.report.scenarios import scenario_figures
from virtsim.report.summary import render_summary
from virtsim.report.trace import trace_events, write_trace

STRICT = etree.XMLSchema(etree.parse(Path(__file__).parents[2] / "gold" / "junit-strict.xsd"))


def run_of(*stories: Story) -> RunFigures:
    return RunFigures(tuple(scenario_figures(source_of(story)) for story in stories))


def source_of(story: Story) -> Source:
    return Source(story.identity, tuple(story.journal.records))


def nasty() -> Story:
    story = Story("n/asty", 'x ]]> & < " \x00 \ud800 \x1b[31m', {"vm`|": 1}, replay="virtsim run 'a`b'")
    story.expect("1", "a | `b` <i>\n", ["\x01"], "</failure>")
    return story.end("failed", "two\nlines | <b>")


# -- JUnit


def test_junit_of_every_outcome_is_valid() -> None:
    outcomes = ("passed", "failed", "error", "skipped", "interrupted")
    stories = [Story(f"a/{outcome}", outcome, {}).end(outcome, "why") for outcome in outcomes]
    tree = etree.fromstring(render_junit(run_of(*stories, huge_start(), limit_failure(), nasty())))

    STRICT.assertValid(tree)
    assert (tree.get("tests"), tree.get("failures"), tree.get("errors")) == ("8", "3", "2")
    verdicts = [[child.tag for child in case] for case in tree.iter("testcase")]
    assert verdicts == [[], ["failure"], ["error"], ["skipped"], ["error"], [], ["failure"], ["failure"]]


def test_junit_says_what_failed_and_how_to_see_it_again() -> None:
    tree = etree.fromstring(render_junit(run_of(limit_failure())))
    (suite,) = tree
    (failure,) = tree.iter("failure")

    assert suite.get("file") == "scenarios/020-monitor/80-gib-gpu.yaml"
    assert suite.get("time") == "120.200"
    assert {item.get("name"): item.get("value") for item in tree.iter("property")}[
        "policy"
    ] == "backoff-adaptive"
    assert failure.text is not None
    assert "1: state of gpu\n  expected RUNNING\n  seen     SHUTOFF" in failure.text
    assert failure.text.endswith("replay: virtsim run scenarios/020-monitor/80-gib-gpu.yaml --seed 1")
    assert next(tree.iter("testcase")).get("classname") == "scenarios.020-monitor.80-gib-gpu"


# -- results.json


def test_results() -> None:
    document = json.loads(render_results(run_of(huge_start(), limit_failure())))

    assert document["schema"] == "virtsim/results@1"
    assert document["counts"] == {"error": 0, "failed": 1, "interrupted": 0, "skipped": 0, "passed": 1}
    good, bad = document["scenarios"]
    assert (good["outcome"], good["attempts"], good["elapsed_ns"]) == ("passed", 114, 105_247_000_000)
    assert bad["expectations"] == {
        "met": 1,
        "failed": [{"step": "1", "what": "state of gpu", "expected": "RUNNING", "actual": "SHUTOFF"}],
    }


# -- the trace


@pytest.mark.parametrize(
    "story", [huge_start(), limit_failure(), crowd(5, alike=False)], ids=lambda s: s.identity
)
def test_a_trace_is_what_perfetto_reads(story: Story) -> None:
    out = io.StringIO()
    write_trace(out, [trace_events(source_of(story), 1)])
    events = json.loads(out.getvalue())["traceEvents"]

    open_slices: dict[tuple, int] = {}
    for event in events:
        assert {"ph", "name", "pid", "tid", "ts"} <= set(event)
        assert event["ts"] >= 0
        key = (event["pid"], event.get("cat"), str(event.get("id2")), event["name"])
        if event["ph"] == "b":
            assert key not in open_slices
            open_slices[key] = event["ts"]
        elif event["ph"] == "e":
            assert open_slices.pop(key) <= event["ts"]
    assert open_slices == {}
    # An arrow's two ends both lie on a slice of the thread.
    anchors = {(event["pid"], event["ts"]) for event in events if event["ph"] == "X"}
    ends = Counter(event["id"] for event in events if event["ph"] in "sf")
    assert set(ends.values()) <= {2}
    assert all((event["pid"], event["ts"]) in anchors for event in events if event["ph"] in "sf")
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert len(names) == len({record["actor"] for record in story.journal.records})


def test_a_trace_has_slices_of_every_sort_and_arrows() -> None:
    events = list(trace_events(source_of(huge_start()), 1))

    assert {event["cat"] for event in events if event["ph"] == "b"} == {
        "api", "job", "nap", "qmp", "state", "step", "wait",
    }  # fmt: skip
    arrows = {event["name"] for event in events if event["ph"] == "s"}
    assert arrows == {"API call to QMP command", "QMP command to event"}
    resumed = next(event for event in events if event["ph"] == "i" and event["name"] == "RESUME")
    assert resumed["ts"] == 105_047_000


def test_many_domains_of_one_course_share_a_process(tmp_path: Path) -> None:
    write_story(tmp_path, crowd(100, alike=True))
    events = json.loads(write_report(tmp_path, tmp_path / "steps.md")["trace"].read_text())["traceEvents"]

    assert [event["args"]["name"] for event in events if event["name"] == "process_name"] == [
        "run (090-crowd/all-at-once)",
        "vm-0 and 99 like it (090-crowd/all-at-once)",
    ]


# -- summary.md


def test_a_summary_puts_failures_first() -> None:
    text = render_summary(run_of(huge_start(), limit_failure()))

    assert "**1 passed, 1 failed** of 2 scenarios, 225.447 s (3 min 45 s) on the runs' own clocks" in text
    assert "* 1: state of gpu: expected `RUNNING`, seen `SHUTOFF`" in text
    assert "| ✅ passed | 402 GiB of 1 GiB hugepages | 1 | 114 | 105.247 s |" in text


def test_a_summary_is_inert() -> None:
    text = render_summary(run_of(nasty()))

    assert "<b>" not in text
    assert "\\<b\\>" in text
    assert "seen `</failure>`" in text  # a code span: shown, not read
    assert "`` virtsim run 'a`b' ``" in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 3


def test_a_summary_of_nothing() -> None:
    assert "no scenarios" in render_summary(RunFigures(()))


def test_a_summary_of_a_huge_run_stays_small() -> None:
    story = limit_failure()
    figures = scenario_figures(source_of(story))

    assert len(render_summary(RunFigures((figures,) * 5_000)).encode()) < 200_000
