"""The same code leaves the same trace in every process, whatever the hash seed, the addresses, the load."""

import asyncio
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from virtsim.sim import loop
from virtsim.sim.loop import run

ROOT = Path(__file__).resolve().parents[2]


def traces(variants: list[tuple[str, str, int]]) -> list[str]:
    """Start one process for each (hash seed, net, garbage) at once, which also is the load."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("trace_workload.py")), net, str(garbage)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, net, garbage in variants
    ]
    return [process.communicate(timeout=50)[0].strip() for process in processes]


@pytest.mark.slow
def test_one_trace_whatever_the_hash_seed_the_garbage_and_the_net() -> None:
    found = traces(
        [
            ("0", "memory", 0),
            ("1", "memory", 3),
            ("4242", "memory", 777),
            ("random", "memory", 50_000),
            ("0", "real", 0),
            ("random", "real", 991),
        ]
    )
    assert len(found[0].split()[0]) == 64
    assert set(found) == {found[0]}


def test_a_group_cancels_its_tasks_in_the_order_of_their_creation() -> None:
    # 200, not 20: the low bits of addresses survive randomisation, so small sets look deterministic.
    async def main() -> list[int]:
        cancelled: list[int] = []

        async def member(number: int) -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                cancelled.append(number)

        async def fail() -> None:
            await asyncio.sleep(1)
            raise LookupError

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(200):
                    group.create_task(member(number))
                group.create_task(fail())
        except* LookupError:
            pass
        return cancelled

    assert run(main()) == list(range(200))


def test_the_collector_comes_at_counted_callbacks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    # An abandoned generator in a cycle is closed by the collector: at a time that must be the run's own.
    def closed_at(allocations: int) -> list[float]:
        seen: list[float] = []

        async def numbers() -> Any:
            try:
                yield 1
            finally:
                seen.append(asyncio.get_running_loop().time())

        async def main() -> None:
            holder: list[Any] = [numbers()]
            holder.append(holder)
            await anext(holder[0])
            del holder
            for _ in range(2000):
                await asyncio.sleep(0.001)
                kept.extend([object()] for _ in range(allocations))

        kept: list[Any] = []
        threshold = gc.get_threshold()
        gc.set_threshold(100)
        try:
            run(main())
        finally:
            gc.set_threshold(*threshold)
        return seen

    monkeypatch.setattr(loop, "GC_CALLBACKS", 2000)
    first = closed_at(0)
    assert len(first) == 1
    assert 0.5 < first[0] < 2
    assert closed_at(7) == first


def test_names_and_hashes_do_not_remember_earlier_runs() -> None:
    async def main() -> list[tuple[str, int]]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(1)) for _ in range(3)]
        return [(task.get_name(), hash(task)) for task in tasks]

    assert run(main()) == run(main()) == [("task-2", 2), ("task-3", 3), ("task-4", 4)]
