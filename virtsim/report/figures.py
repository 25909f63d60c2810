"""What a report shows: frozen values, computed from journals, ready to be put on any page.

All times are nanoseconds on the run's clock, counted from the start of the scenario. All texts are printable.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "LANES",
    "OUTCOMES",
    "Attempt",
    "DomainFigures",
    "Expectation",
    "Header",
    "Mark",
    "Row",
    "RunFigures",
    "ScenarioFigures",
    "Span",
    "StepFigures",
    "Timeline",
    "Wait",
]

#: Outcomes of a scenario, the worst first: the order in which a report counts and lists them.
OUTCOMES = ("error", "failed", "interrupted", "skipped", "passed")

#: Lanes of a timeline from top to bottom: key and title.
LANES = {
    "state": "State",
    "api": "API calls",
    "job": "Jobs",
    "wait": "Monitor wait",
    "process": "Process",
    "qmp": "QMP",
    "event": "Events",
    "fault": "Faults",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the first record of a journal says about the run."""

    scenario: str
    title: str
    about: str = ""
    source: str = ""
    file: str = ""
    seed: str = ""
    clock: str = ""
    hypervisor: str = ""
    policy: str = ""
    version: str = ""
    replay: str = ""
    memory_kib: tuple[tuple[str, int | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation and what was seen; ``step`` is empty for one about the whole scenario."""

    step: str
    what: str
    ok: bool
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class StepFigures:
    """One step of the scenario; ``elapsed_ns`` is None when it did not end."""

    step: str
    verb: str
    target: str
    at_ns: int
    elapsed_ns: int | None
    outcome: str
    error: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to connect after a nap; ``errno`` is a name such as ENOENT, or empty if it connected."""

    at_ns: int
    nap_ns: int
    errno: str


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait for a monitor; ``end_ns`` is None when the journal ends before it does."""

    begin_ns: int
    end_ns: int | None
    policy: str
    limit_ns: int | None
    outcome: str
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted; ``end_ns`` is None when the journal ends before it does.

    ``row`` separates overlapping spans of a lane; ``tone`` is one of ok, busy, warn, bad, dim, info.
    """

    lane: str
    begin_ns: int
    end_ns: int | None
    label: str
    tone: str
    detail: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened; ``shape`` is one of dot, diamond, up, down, cross, flag, square."""

    lane: str
    at_ns: int
    label: str
    tone: str
    shape: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a domain's table: a record, or a run of like attempts."""

    at_ns: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything that a timeline draws.

    Attributes:
        origin_ns: zero of logarithmic time: the begin of the first monitor wait, else the first record.
        begin_ns, end_ns: first and last record.
        logarithmic: whether it opens in logarithmic time (early attempts would be one pixel otherwise).
        more_rows: records of the domain that the table leaves out.
    """

    origin_ns: int
    begin_ns: int
    end_ns: int
    logarithmic: bool
    waits: tuple[Wait, ...]
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    rows: tuple[Row, ...]
    more_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFigures:
    """One domain of a scenario.

    Attributes:
        state: its last state and reason, or empty.
        errors: texts of the API calls that failed.
        twins: other domains with the very same course at the very same times; they share this timeline.
        timeline: None for a domain whose timeline is not drawn.
    """

    name: str
    memory_kib: int | None
    state: str
    attempts: int
    waited_ns: int | None
    limit_ns: int | None
    errors: tuple[str, ...]
    records: int
    twins: tuple[str, ...] = ()
    timeline: Timeline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFigures:
    """One scenario.

    Attributes:
        folder: where its journal lies below the run's folder.
        outcome: one of `OUTCOMES`.
        message: why, in the runner's words, or what is wrong with the journal.
        problem: what is wrong with the journal, or empty.
        elapsed_ns: from the first to the last record on the run's clock.
        domains: those with a timeline first.
        domain_count: all domains, twins and those without a timeline included.
        leftovers: what was left behind, one text for each sort, empty if nothing.
    """

    folder: str
    header: Header
    outcome: str
    message: str
    problem: str
    elapsed_ns: int
    records: int
    expectations: tuple[Expectation, ...]
    steps: tuple[StepFigures, ...]
    domains: tuple[DomainFigures, ...]
    domain_count: int
    attempts: int
    leftovers: tuple[str, ...]

    @property
    def failures(self) -> tuple[Expectation, ...]:
        """The expectations that were not met."""
        return tuple(item for item in self.expectations if not item.ok)

    @property
    def journal(self) -> str:
        """The journal's path below the run's folder."""
        return "journal.jsonl" if self.folder == "." else f"{self.folder}/journal.jsonl"


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A whole run: its scenarios in the order of their folders."""

    scenarios: tuple[ScenarioFigures, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many scenarios had each of `OUTCOMES`."""
        found = [scenario.outcome for scenario in self.scenarios]
        return {outcome: found.count(outcome) for outcome in OUTCOMES}

    @property
    def elapsed_ns(self) -> int:
        """The scenarios' durations on their own clocks, added up."""
        return sum(scenario.elapsed_ns for scenario in self.scenarios)
