"""The results of a run as JSON for other programs.

``results.json`` has the schema ``virtsim/results@1``; a later version of the format gets another number. All
times are whole nanoseconds on the scenario's own clock::

    {
      "schema": "virtsim/results@1",
      "counts": {"error": 0, "failed": 1, "interrupted": 0, "skipped": 0, "passed": 20},
      "scenarios": [
        {
          "id": "020-monitor/402-gib",        # the scenario's id
          "name": "402 GiB of 1 GiB pages",   # its title
          "outcome": "passed",                # a key of "counts"
          "message": "",                      # why, in words
          "problem": null,                    # what is wrong with the journal, else null
          "file": "scenarios/020-monitor/402-gib.yaml",
          "journal": "020-monitor/402-gib/journal.jsonl",
          "seed": "1", "clock": "virtual", "hypervisor": "fake", "policy": "backoff-adaptive",
          "version": "0.1.0",
          "replay": "virtsim run ...",
          "elapsed_ns": 105047000000,
          "records": 200,
          "attempts": 114,                    # of all domains
          "leftovers": [],                    # one text for each sort of thing left behind
          "expectations": {"met": 5, "failed": [{"step", "what", "expected", "actual"}]},
          "steps": [{"step", "verb", "target", "at_ns", "elapsed_ns": int|null, "outcome", "error"}],
          "domain_count": 1,
          "domains": [                        # domains of one course share an entry
            {"name", "twins": [names], "memory_kib": int|null, "state", "attempts",
             "waited_ns": int|null, "limit_ns": int|null, "errors": [texts]}
          ]
        }
      ]
    }
"""

from __future__ import annotations

import json
from typing import Any

from virtsim.report.figures import DomainFigures, RunFigures, ScenarioFigures

__all__ = ["SCHEMA", "render_results", "results_of"]

#: Name and version of the format.
SCHEMA = "virtsim/results@1"


def render_results(run: RunFigures) -> str:
    """The document as text."""
    return json.dumps(results_of(run), indent=1, ensure_ascii=False) + "\n"


def results_of(run: RunFigures) -> dict[str, Any]:
    """The document as plain values."""
    return {"schema": SCHEMA, "counts": run.counts, "scenarios": [_scenario(item) for item in run.scenarios]}


def _scenario(scenario: ScenarioFigures) -> dict[str, Any]:
    header = scenario.header
    return {
        "id": header.scenario,
        "name": header.title,
        "outcome": scenario.outcome,
        "message": scenario.message,
        "problem": scenario.problem or None,
        "file": header.file,
        "journal": scenario.journal,
        "seed": header.seed,
        "clock": header.clock,
        "hypervisor": header.hypervisor,
        "policy": header.policy,
        "version": header.version,
        "replay": header.replay,
        "elapsed_ns": scenario.elapsed_ns,
        "records": scenario.records,
        "attempts": scenario.attempts,
        "leftovers": list(scenario.leftovers),
        "expectations": {
            "met": len(scenario.expectations) - len(scenario.failures),
            "failed": [
                {"step": item.step, "what": item.what, "expected": item.expected, "actual": item.actual}
                for item in scenario.failures
            ],
        },
        "steps": [
            {
                "step": step.step,
                "verb": step.verb,
                "target": step.target,
                "at_ns": step.at_ns,
                "elapsed_ns": step.elapsed_ns,
                "outcome": step.outcome,
                "error": step.error,
            }
            for step in scenario.steps
        ],
        "domain_count": scenario.domain_count,
        "domains": [_domain(item) for item in scenario.domains],
    }


def _domain(domain: DomainFigures) -> dict[str, Any]:
    return {
        "name": domain.name,
        "twins": list(domain.twins),
        "memory_kib": domain.memory_kib,
        "state": domain.state,
        "attempts": domain.attempts,
        "waited_ns": domain.waited_ns,
        "limit_ns": domain.limit_ns,
        "errors": list(domain.errors),
    }
