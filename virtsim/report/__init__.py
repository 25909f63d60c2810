"""Pages of a run: HTML, JUnit XML, JSON, a Perfetto trace and a Markdown summary, from journals only.

Knows the records of `virtsim.journal` and the formats that readers of a run want. Must not know who ran
the scenario, nor any clock, host or library object: the same journals give the same bytes.

Data first, pages second: `read` reads and checks journals, `figures` holds what a page can show,
`scenarios` and `timelines` compute it, and `page`, `junit`, `results`, `trace` and `summary` each write
one format. `write` puts the files into the run's folder.
"""

from __future__ import annotations

from virtsim.report.write import FILES, ReportError, find_journals, write_report

__all__ = ["FILES", "ReportError", "find_journals", "write_report"]
