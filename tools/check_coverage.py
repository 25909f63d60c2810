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

#: path prefix -> percent of lines and branches together. What a fake does in a process of its own is not seen
#: (it leaves by ``_exit``, and starts without site-packages): its driver, and the commands that the
#: comparisons with a real QEMU alone play, count as not run, so the floor of all of it is low.
FLOORS: dict[str, float] = {
    "virtsim/errors.py": 98,
    "virtsim/journal.py": 97,
    "virtsim/model/": 95,
    "virtsim/states/": 97,
    "virtsim/wire/": 96,
    "virtsim/host/": 93,
    "virtsim/qemu/": 89,
    "virtsim/api/": 92,
    "virtsim/sim/": 90,
    "virtsim/report/": 95,
    "virtsim/cli/": 90,
    "virtsim/testing/": 95,
    "fakeqemu/": 73,
    "fakeqemu/machine.py": 93,
    "fakeqemu/chardevs/": 80,
    "fakeqemu/cmdline/": 70,
    "fakeqemu/commands/": 78,
    "fakeqemu/ctl/": 93,
    "fakeqemu/facts/": 80,
    "fakeqemu/guests/": 71,
    "fakeqemu/migration/": 85,
    "fakeqemu/protocol/": 94,
    "fakeqemu/scripts/": 88,
    "fakeqemu/tools/": 81,
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
