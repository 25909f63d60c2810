"""Throw anything at every door of the fake, for as long as you like.

``python tools/fuzz.py --minutes 60`` goes round the targets (qmp, agent, people, ctl, migration, argv,
script, deeds and server) and prints each new way to fail once, with the seed that shows it again: ``python
tools/fuzz.py --again qmp/0/123``. It also watches the process's memory, which must not grow. Exit status 1
when something failed.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.helpers.fuzzing import TARGETS, replay  # noqa: E402 - the tree comes first

#: Throws in a turn of one target.
TURN = 500
#: Growth of the process, in KiB, from one round of all targets to the next that counts; the first rounds
#: fill caches.
GROWTH_KIB = 4096
WARM = 3


def resident_kib() -> int:
    """Memory of this process that is in RAM, in KiB."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0])


def place_of(error: BaseException) -> str:
    """Where in the fake it failed."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if "/fakeqemu/" in frame.filename] or list(frames)
    frame = inside[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


def main(argv: list[str]) -> int:
    """Fuzz until the time is over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", default="0", help="another one throws other things")
    parser.add_argument("--again", metavar="TARGET/SEED", help="one throw, with its traceback")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args(argv)
    if options.again:
        replay(options.again.partition("/")[0], options.again)
        return 0
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    end = time.monotonic() + options.minutes * 60  # noqa: TID251 - a tool for people
    seen: dict[str, int] = {}
    sizes: list[int] = []
    number = turn = 0
    while time.monotonic() < end:  # noqa: TID251
        for target in options.targets or TARGETS:
            for _ in range(TURN):
                number += 1
                failure = thrown(target, f"{target}/{options.seed}/{number}")
                if failure is not None:
                    if failure[0] not in seen:
                        print(f"{failure[0]}\n    {failure[1]}", flush=True)
                    seen[failure[0]] = seen.get(failure[0], 0) + 1
                if time.monotonic() >= end:  # noqa: TID251
                    break
        turn += 1
        gc.collect()
        sizes.append(resident_kib())
    grown = sizes[-1] - sizes[WARM] if len(sizes) > 2 * WARM else 0
    print(
        f"{number} throws, {len(seen)} ways to fail, {sizes[-1]} KiB, grown by {grown} KiB since round {WARM}"
    )
    return 1 if seen or grown > GROWTH_KIB else 0


def thrown(target: str, seed: str) -> tuple[str, str] | None:
    """Throw once; where it failed and how to see it again, or None."""
    try:
        replay(target, seed)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return f"{target}: {place_of(error)}", f"--again {seed}: {' '.join(str(error).split())[:200]}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
