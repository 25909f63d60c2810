"""What complete starts through the API cost: the 105 s domain on the virtual clock.

One start is: define, create (policy backoff-adaptive; 402 GiB of memory, the socket after 105 s: 114
attempts, 104 s of naps, the start-up conversation), destroy, undefine. Figures:

* starts per second on one core, best of ``--rounds`` runs of ``--starts`` starts, one after another; and the
  same of a domain that is defined once;
* memory per live domain: growth of what Python has allocated, and of the resident set, with
  ``--live`` domains up;
* how the cost of a start grows over ``--many`` starts of one connection.

Run: ``python benchmarks/api_starts.py [--json]``. Bounds: at least 500 starts/s, at most 100 KiB a
domain, growth at most 1.3; the exit status is 1 when one is missed and ``--check`` was given.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fakeqemu.scripts.grammar import compile_rules
from fakeqemu.scripts.script import Script
from virtsim.api import Connection, Context
from virtsim.host.chance import SeededChance
from virtsim.host.clock import SystemClock
from virtsim.sim.launcher import SimLauncher
from virtsim.sim.loop import run
from virtsim.sim.net import net_of

STARTS_PER_S_MIN = 500
KIB_PER_DOMAIN_MAX = 100
GROWTH_MAX = 1.3

XML = """<domain type='qemu'>
  <name>{name}</name>
  <memory unit='GiB'>402</memory>
  <memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices><memballoon model='virtio'/></devices>
</domain>
"""


class Bench:
    """A connection to simulated QEMUs whose socket comes after 105 s."""

    def __init__(self) -> None:
        script = Script.from_compiled(compile_rules([{"at": "start", "socket": {"delay": "105s"}}]))
        self.counts: dict[str, int] = {}
        files = net_of(asyncio.get_running_loop()).files  # type: ignore[attr-defined]
        files.make_dirs("/run/virtsim")
        self.context = Context(
            launcher=SimLauncher(script_for=lambda _: script, seed="0", files=files),
            files=files,
            wallclock=SystemClock(),
            chance=SeededChance("0"),
            run_dir="/run/virtsim",
        )

    async def open(self) -> Connection:
        """A connection with the policy that has to wait."""
        return await Connection.open(self.context, policy="backoff-adaptive")


async def one_start(connection: Connection, name: str) -> None:
    domain = await connection.defineXML(XML.format(name=name))
    await domain.create()
    await domain.destroy()
    await domain.undefine()


async def starts(count: int) -> list[float]:
    """Seconds of this processor for each hundred starts (the last one may be fewer)."""
    connection = await Bench().open()
    loop = asyncio.get_running_loop()
    await one_start(connection, "warm-up")
    virtual_s = loop.time()
    hundreds = []
    for first in range(0, count, 100):
        begin_s = time.process_time()
        for number in range(first, min(first + 100, count)):
            await one_start(connection, f"d{number}")
        hundreds.append(time.process_time() - begin_s)
    each_s = (loop.time() - virtual_s) / count
    if not 105.24 < each_s < 105.26:
        raise SystemExit(f"a start took {each_s:.3f} virtual s instead of 105.047 s and 0.2 s of destroy")
    await connection.close()
    return hundreds


async def restarts(count: int) -> float:
    """Seconds for starts and destroys of one domain that stays defined."""
    connection = await Bench().open()
    domain = await connection.defineXML(XML.format(name="again"))
    await domain.create()
    await domain.destroy()
    begin_s = time.process_time()
    for _ in range(count):
        await domain.create()
        await domain.destroy()
    taken_s = time.process_time() - begin_s
    await connection.close()
    return taken_s


async def live(count: int, used_kib: Callable[[], float]) -> float:
    """KiB for each domain that is up, with everything that belongs to it on both ends."""
    connection = await Bench().open()
    await one_start(connection, "warm-up")
    gc.collect()
    before = used_kib()
    domains = [await connection.defineXML(XML.format(name=f"d{n}")) for n in range(count)]
    await asyncio.gather(*(domain.create() for domain in domains))
    del domains
    gc.collect()
    each = (used_kib() - before) / count
    for domain in await connection.listAllDomains():
        await domain.destroy()
    await connection.close()
    return round(each, 1)


def memory(count: int) -> dict[str, float]:
    """What Python has allocated, and the resident set; in two runs, since tracing takes memory itself."""
    resident = run(live(count, resident_kib))
    tracemalloc.start()
    allocated = run(live(count, lambda: tracemalloc.get_traced_memory()[0] / 1024))
    tracemalloc.stop()
    return {"allocated_kib": allocated, "resident_kib": resident}


def resident_kib() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("no VmRSS in /proc/self/status")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    # First of all, while the process has nothing to give back: what is resident would hide in it.
    sizes = memory(options.live)
    best_s = min(sum(run(starts(options.starts))) for _ in range(options.rounds))
    again_s = min(run(restarts(options.starts)) for _ in range(options.rounds))
    # Other work on the machine makes hundreds slow, sometimes for seconds: the best of many at either end
    # tell what the code itself costs, and growth of the code cannot hide in a best.
    hundreds = run(starts(max(options.many, 200)))
    some = max(1, min(25, len(hundreds) // 2))
    first_s, last_s = min(hundreds[:some]), min(hundreds[-some:])
    return {
        "schema": "virtsim/bench-api-starts@1",
        "python": platform.python_version(),
        "starts_per_s": round(options.starts / best_s, 1),
        "ms_per_start": round(best_s / options.starts * 1000, 3),
        "starts_per_s_of_a_defined_domain": round(options.starts / again_s, 1),
        "live_domains": options.live,
        **sizes,
        "starts": len(hundreds) * 100,
        "ms_per_start_at_the_begin": round(first_s * 10, 3),
        "ms_per_start_at_the_end": round(last_s * 10, 3),
        "growth": round(last_s / first_s, 3),
    }


def verdicts(figures: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [
        (
            "complete starts per second",
            (
                f"{figures['starts_per_s']:.0f} (at least {STARTS_PER_S_MIN}); "
                f"{figures['starts_per_s_of_a_defined_domain']:.0f} where the domain is defined already"
            ),
            figures["starts_per_s"] >= STARTS_PER_S_MIN,
        ),
        (
            "memory per live domain",
            (
                f"{figures['allocated_kib']} KiB allocated, {figures['resident_kib']} KiB resident "
                f"(at most {KIB_PER_DOMAIN_MAX})"
            ),
            figures["allocated_kib"] <= KIB_PER_DOMAIN_MAX,
        ),
        (
            f"growth of the cost per start over {figures['starts']} starts",
            (
                f"x{figures['growth']} (at most x{GROWTH_MAX}): from "
                f"{figures['ms_per_start_at_the_begin']} to {figures['ms_per_start_at_the_end']} ms"
            ),
            figures["growth"] <= GROWTH_MAX,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--live", type=int, default=500)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="figures only, as JSON")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound is missed")
    options = parser.parse_args()
    figures = measure(options)
    rows = verdicts(figures)
    if options.json:
        print(json.dumps(figures))
    else:
        print(f"Python {figures['python']}, one core, virtual clock, memory net")
        for what, figure, ok in rows:
            print(f"{'ok  ' if ok else 'MISS'}  {what}: {figure}")
    return int(options.check and not all(ok for *_, ok in rows))


if __name__ == "__main__":
    sys.exit(main())
