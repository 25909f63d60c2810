"""Runs scenarios one after the other or in several processes; a scenario is never split.

Knows processes of our own and Ctrl-C. Must not know what a scenario does.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from virtsim.sim.load import Loaded
from virtsim.sim.runner import Result, died, interrupted, run_scenario
from virtsim.sim.world import Options

__all__ = ["run_one", "run_parallel"]


def run_one(loaded: Loaded, options: Options, out: Path | None) -> Result:
    """Run a scenario in this process; Ctrl-C becomes the outcome "interrupted"."""
    try:
        return run_scenario(loaded, options, out)
    except KeyboardInterrupt:
        return interrupted(loaded, options)


def run_parallel(loaded: Sequence[Loaded], options: Options, out: Path | None, jobs: int) -> Iterator[Result]:
    """Run scenarios in several processes; results come in the order of the scenarios.

    Ctrl-C reaches every process (they share the terminal's group): those at work clean up and say
    "interrupted", nothing new is begun. A process that dies takes with it whatever was not done yet.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(loaded)), mp_context=context, initializer=_begin_quietly) as pool:
        futures = [pool.submit(_work, entry, options, out) for entry in loaded]
        try:
            for entry, future in zip(loaded, futures, strict=True):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    yield died(entry, options)
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _begin_quietly() -> None:
    """An idle worker has nothing to clean up and nothing to say about Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(loaded: Loaded, options: Options, out: Path | None) -> Result:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return run_one(loaded, options, out)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
