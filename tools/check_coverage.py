"""Hold the floors of branch coverage, room by room.

Reads the data that ``pytest --cov`` left, prints one line a room and exits with 1 when a room is below its
floor. The pure rooms (tables, engines, schedules) have the highest floors; those that talk to the host
the lowest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: path prefix -> percent of lines and branches together
FLOORS: dict[str, float] = {
    "virtsim/errors.py": 95,
    "virtsim/journal.py": 90,
    "virtsim/model/": 90,
    "virtsim/states/": 95,
    "virtsim/wire/": 95,
    "virtsim/host/": 80,
    "virtsim/qemu/": 85,
    "virtsim/api/": 85,
    "virtsim/sim/": 80,
    "virtsim/report/": 85,
    "virtsim/cli/": 70,
    "virtsim/testing/": 70,
    "fakeqemu/": 75,
}


def percent(files: dict[str, dict[str, dict[str, int]]], prefix: str) -> float:
    """Covered lines and branches of all files under a prefix, in percent."""
    covered = total = 0
    for name, entry in files.items():
        if name.startswith(prefix):
            summary = entry["summary"]
            covered += summary["covered_lines"] + summary["covered_branches"]
            total += summary["num_statements"] + summary["num_branches"]
    return 100.0 * covered / total if total else 100.0


def main() -> int:
    """Combine the data, print the table, say which floors do not hold."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "coverage.json"
        subprocess.run(
            [sys.executable, "-m", "coverage", "combine", "-q"], cwd=ROOT, check=False, capture_output=True
        )
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(out)], cwd=ROOT, check=True)
        files = json.loads(out.read_text(encoding="utf-8"))["files"]
    low = []
    for prefix, floor in FLOORS.items():
        value = percent(files, prefix)
        mark = "" if value >= floor else f"  below its floor of {floor:g} %"
        print(f"coverage {prefix:<22} {value:6.2f} %{mark}")
        if mark:
            low.append(prefix)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
