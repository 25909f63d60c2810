"""JUnit XML of a run, as GitLab and Jenkins read it.

One ``testsuite`` for each scenario, holding its properties and one ``testcase``: the shape that the strict
``junit-10.xsd`` of Jenkins' xunit plugin accepts too (which knows neither ``properties`` nor ``file`` on a
testcase). Times are seconds on the run's own clock. Characters that XML 1.0 cannot hold were replaced when
the journal was read.
"""

from __future__ import annotations

from lxml import etree

from virtsim.report.figures import RunFigures, ScenarioFigures
from virtsim.report.units import cut

__all__ = ["render_junit"]

#: Letters of one message; GitLab cuts longer ones itself.
_LONGEST = 60_000

_NS_PER_MS, _MS_PER_S = 1_000_000, 1_000


def render_junit(run: RunFigures) -> bytes:
    """The whole document, UTF-8 with its declaration."""
    counts = run.counts
    root = etree.Element(
        "testsuites",
        {
            "name": "virtsim",
            "time": _seconds(run.elapsed_ns),
            "tests": str(len(run.scenarios)),
            "failures": str(counts["failed"]),
            "errors": str(counts["error"] + counts["interrupted"]),
        },
    )
    for index, scenario in enumerate(run.scenarios):
        _suite(root, scenario, index)
    etree.indent(root)
    text: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return text + b"\n"


def _suite(root: etree._Element, scenario: ScenarioFigures, index: int) -> None:
    header = scenario.header
    broken = scenario.outcome in {"error", "interrupted"}
    attributes = {
        "name": header.scenario,
        "id": str(index),
        "tests": "1",
        "failures": str(int(scenario.outcome == "failed")),
        "errors": str(int(broken)),
        "skipped": str(int(scenario.outcome == "skipped")),
        "time": _seconds(scenario.elapsed_ns),
    }
    if header.file:
        attributes["file"] = header.file
    suite = etree.SubElement(root, "testsuite", attributes)
    properties = etree.SubElement(suite, "properties")
    for name, value in (
        ("seed", header.seed),
        ("clock", header.clock),
        ("hypervisor", header.hypervisor),
        ("policy", header.policy),
        ("virtsim", header.version),
        ("source", header.source),
        ("journal", scenario.journal),
        ("replay", header.replay),
    ):
        if value:
            etree.SubElement(properties, "property", {"name": name, "value": value})
    case = etree.SubElement(
        suite,
        "testcase",
        {
            "name": header.title,
            "classname": "scenarios." + header.scenario.replace("/", "."),
            "time": _seconds(scenario.elapsed_ns),
        },
    )
    _verdict(case, scenario)


def _verdict(case: etree._Element, scenario: ScenarioFigures) -> None:
    tag = {"failed": "failure", "error": "error", "interrupted": "error", "skipped": "skipped"}.get(
        scenario.outcome
    )
    if tag is None:
        return
    first = next(iter(scenario.failures), None)
    message = scenario.message or (first.what if first is not None else scenario.outcome)
    verdict = etree.SubElement(case, tag, {"type": scenario.outcome, "message": cut(message, 500)})
    lines = [scenario.message] if scenario.message else []
    if scenario.problem and scenario.problem != scenario.message:
        lines.append(f"{scenario.journal}: {scenario.problem}")
    for item in scenario.failures:
        lines += [
            f"{item.step or 'whole run'}: {item.what}",
            f"  expected {item.expected}",
            f"  seen     {item.actual}",
        ]
    lines += [f"left behind: {item}" for item in scenario.leftovers]
    if scenario.header.replay:
        lines.append(f"replay: {scenario.header.replay}")
    verdict.text = cut("\n".join(lines), _LONGEST)


def _seconds(ns: int) -> str:
    """Seconds with three decimals, as surefire's pattern wants them."""
    seconds, ms = divmod(round(ns / _NS_PER_MS), _MS_PER_S)
    return f"{seconds}.{ms:03d}"
