"""The page: self-contained, inert whatever a journal says, of sensible size, and the same each time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.helpers.journals import Story, crowd, huge_start, limit_failure, write_story
from virtsim.report import FILES, ReportError, write_report
from virtsim.report.figures import RunFigures
from virtsim.report.page import render_page
from virtsim.report.read import Source
from virtsim.report.scenarios import scenario_figures

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "'\"><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "\u2028\u2029\x00\ud800",
    "]]>&lt;b&gt;",
]


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text of every script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._script = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._script = tag == "script"
        if self._script:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._script = False

    def handle_data(self, data):
        if self._script:
            self.scripts[-1] += data


@pytest.fixture(autouse=True)
def no_step_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def page_of(*stories: Story) -> str:
    return render_page(
        RunFigures(
            tuple(scenario_figures(Source(story.identity, tuple(story.journal.records))) for story in stories)
        )
    )


def hostile_story(word: str) -> Story:
    story = Story(
        f"h/{word}", word, {word: 1}, about=word, source=word, seed=word, clock=word, hypervisor=word,
        policy=word, version=word, replay=word,
    )  # fmt: skip
    story.note("step.begin", "run", step=word, verb=word, target=word, line=1)
    call = story.begin_call(word, word)
    story.note("state", word, state=word, reason=word)
    story.note("event", word, event=word, detail=word)
    story.note("fault", word, rule=word, action=word)
    story.note("attempt", word, n=1, nap_ns=1, errno=word)
    story.note("socket", word, path=word, what=word)
    story.note("qmp.command", word, id=word, name=word, args={word: [word]}, call=call)
    story.note("spawn", word, pid=1, argv=[word])
    story.note("api.return", word, call=call, api=word, error={"code": word, "text": word})
    story.note("step.end", "run", step=word, outcome=word, elapsed_ns=1, error=word)
    story.expect(word, word, word, [word])
    story.note("leftovers", "run", processes=[word], files=word, sockets={word: word}, fds=[], tasks=[])
    story.note("end", "run", outcome="failed", message=word)
    return story


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_inert(word: str) -> None:
    honest, hostile = Elements(page_of(hostile_story("plain"))), Elements(page_of(hostile_story(word)))

    # The words change no element and no attribute's name, only texts.
    assert [(tag, set(attrs)) for tag, attrs in hostile.tags] == [
        (tag, set(attrs)) for tag, attrs in honest.tags
    ]
    assert not any(name.startswith("on") for _, attrs in hostile.tags for name in attrs)
    hrefs = [attrs["href"] or "" for tag, attrs in hostile.tags if tag == "a"]
    assert not any(href.startswith("javascript") for href in hrefs)
    # The page's own script is the same, and the data still is JSON.
    assert hostile.scripts[-1] == honest.scripts[-1]
    assert [json.loads(data)["marks"] for data in hostile.scripts[:-1]]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    elements = Elements(page_of(huge_start(), limit_failure()))

    assert not any("src" in attrs or tag == "link" for tag, attrs in elements.tags)
    hrefs = {attrs["href"] for tag, attrs in elements.tags if tag == "a"}
    assert all(not re.match(r"[a-z]+:|//", href or "") for href in hrefs)
    policy = next(attrs["content"] for tag, attrs in elements.tags if attrs.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy


def test_failed_scenarios_are_open_and_the_others_are_not() -> None:
    elements = Elements(page_of(huge_start(), limit_failure()))
    folds = {
        attrs["data-outcome"]: "open" in attrs
        for _, attrs in elements.tags
        if attrs.get("class") == "scenario"
    }

    assert folds == {"passed": False, "failed": True}


def test_a_thousand_domains_make_a_small_page() -> None:
    assert len(page_of(crowd(1000, alike=True)).encode()) < 200_000
    assert len(page_of(crowd(1000, alike=False)).encode()) < 600_000


@pytest.mark.parametrize(
    ("story", "times"),
    [(crowd(100, alike=False), 500), (limit_failure(), 3_000), (Story("x", "x", {}).end(), 30_000)],
    ids=["wide", "failed", "many"],
)
def test_a_page_stays_below_five_megabytes(story: Story, times: int) -> None:
    figures = scenario_figures(Source("x", tuple(story.journal.records)))
    page = render_page(RunFigures((figures,) * times))

    assert 1_000_000 < len(page.encode()) < 5_000_000
    assert '"origin"' in page or not figures.domains  # some timelines are there


def test_failures_are_shown_in_full_before_anything_else() -> None:
    good = scenario_figures(Source("good", tuple(huge_start().journal.records)))
    bad = scenario_figures(Source("bad", tuple(limit_failure().journal.records)))
    page = render_page(RunFigures((*(good,) * 10_000, bad)))

    assert '<td data-title="What">state of gpu</td>' in page
    assert "more scenarios in" in page


def test_nothing_depends_on_where_or_when(tmp_path: Path) -> None:
    for name in ("one", "two"):
        for story in (huge_start(), limit_failure(), crowd(40, alike=False)):
            write_story(tmp_path / name, story)
    one, two = write_report(tmp_path / "one"), write_report(tmp_path / "two")

    assert set(one) == set(FILES)
    for key, path in one.items():
        assert path.read_bytes() == two[key].read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir() if path.is_file()) == sorted(
        FILES.values()
    )


def test_bad_journals_are_notes_on_the_page(tmp_path: Path) -> None:
    write_story(tmp_path, huge_start(), cut=5)
    for name, content in {
        "empty": "",
        "foreign": "hello\n",
        "old": '{"kind":"header","schema":"x@0"}\n',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal.jsonl").write_text(content)
    page = write_report(tmp_path)["html"].read_text()

    assert "the journal ends before the scenario does" in page
    assert "the journal is empty" in page
    assert "not a journal record" in page
    assert "expected a journal of version virtsim/journal@1" in page


def test_a_folder_without_journals(tmp_path: Path) -> None:
    assert "No journals lie in this folder" in write_report(tmp_path)["html"].read_text()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="nowhere: no such folder"):
        write_report(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()

    with pytest.raises(ReportError, match=r"index\.html"):
        write_report(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_the_step_summary_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_story(tmp_path, huge_start())
    told, asked = tmp_path / "told.md", tmp_path / "asked.md"
    told.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(told))
    summary = write_report(tmp_path)["summary"].read_text()
    write_report(tmp_path, asked)

    assert told.read_text() == "before\n" + summary
    assert asked.read_text() == summary
