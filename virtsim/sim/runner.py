"""Runs scenarios: puts up the world, lets the stage play, draws the curtain, and writes the journal.

Knows the order of a run and how each way of ending is called. Must not know how a result is shown.
"""

from __future__ import annotations

import asyncio
import shlex
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import virtsim
from virtsim import api
from virtsim.journal import SCHEMA
from virtsim.sim.emulator import emulator_version
from virtsim.sim.expect import Check
from virtsim.sim.leftovers import Leftovers, open_descriptors
from virtsim.sim.load import Loaded
from virtsim.sim.loop import EndOfTime, SimDeadlock, SimForbidden, SimLivelock
from virtsim.sim.loop import run as run_virtual
from virtsim.sim.stage import Stage, StopError
from virtsim.sim.world import MissingError, Options, World, accelerator, find_emulator, find_fake

__all__ = ["Outcome", "Result", "died", "interrupted", "run_scenario", "skip_reason"]

#: passed: all as expected. failed: something was not. error: virtsim itself is broken. skipped: does not
#: apply.
Outcome: TypeAlias = Literal["passed", "failed", "error", "skipped", "interrupted"]

#: Virtual time the curtain may take beyond the scenario's end of time.
CURTAIN_NS = 3600 * 10**9
#: Real time the curtain may take before what is left is killed with the run directory.
CURTAIN_REAL_S = 120.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a scenario went.

    Attributes:
        id: its name in the report.
        name: its title.
        file: where it stands.
        outcome: see `Outcome`.
        message: why, if it did not pass; several lines are possible.
        failed: the expectations that were not met.
        clock_ns: how long it took on its own clock.
        replay: the command that runs it again.
        traceback: of an internal error.
    """

    id: str
    name: str
    file: str
    outcome: Outcome
    message: str = ""
    failed: tuple[Check, ...] = ()
    clock_ns: int = 0
    replay: str = ""
    traceback: str = ""


def skip_reason(loaded: Loaded, options: Options) -> str | None:
    """Why a scenario does not apply to a clock and hypervisor; None if it does."""
    scenario = loaded.scenario
    if options.clock not in scenario.clocks:
        return f"is for the {' and '.join(scenario.clocks)} clock"
    if options.hypervisor not in scenario.hypervisors:
        return f"is for {' and '.join(scenario.hypervisors)} as hypervisor"
    return None


def replay_command(loaded: Loaded, options: Options, seed: str) -> str:
    """The command that runs this scenario again in the same way."""
    return shlex.join(["virtsim", "run", loaded.file, *options.words(), "--seed", seed])


def interrupted(loaded: Loaded, options: Options) -> Result:
    """The result of a run that Ctrl-C ended."""
    seed = options.seed if options.seed is not None else loaded.scenario.seed
    return Result(
        id=loaded.id, name=loaded.scenario.name, file=loaded.file, outcome="interrupted",
        message="interrupted by the user", replay=replay_command(loaded, options, seed),
    )  # fmt: skip


def died(loaded: Loaded, options: Options) -> Result:
    """The result of a run whose process is gone."""
    seed = options.seed if options.seed is not None else loaded.scenario.seed
    return Result(
        id=loaded.id, name=loaded.scenario.name, file=loaded.file, outcome="error",
        message="one of the processes of --jobs died (killed, out of memory, or by code of the scenario)",
        replay=replay_command(loaded, options, seed),
    )  # fmt: skip


#: The QEMU that the fake is.
FAKE_VERSION = (7, 2)


@dataclass(slots=True)
class _Run:
    """One run while it goes on."""

    loaded: Loaded
    options: Options
    world: World
    emulator: str
    policy: api.Policy
    qemu_version: tuple[int, int] | None = FAKE_VERSION
    checks: list[Check] = field(default_factory=list)
    stopped: str = ""


def run_scenario(loaded: Loaded, options: Options, out: Path | None = None) -> Result:
    """Run one scenario to its end, whatever that is, and write ``<out>/<id>/journal.jsonl``.

    Args:
        loaded: the scenario.
        options: clock, hypervisor and so on.
        out: the report's folder; None writes nothing.

    Raises:
        KeyboardInterrupt: the user broke it off; the world was cleaned and the journal is complete.
        MissingError: this machine has no such hypervisor.
        OSError: the journal cannot be written.
    """
    emulator = _emulator(options) if skip_reason(loaded, options) is None else ""
    sink: IO[str] | None = None
    if out is not None:
        folder = out / loaded.id
        folder.mkdir(parents=True, exist_ok=True)
        # Line by line on the real clock: a run that is killed leaves what it has seen.
        buffering = 1 if options.clock == "real" else -1
        sink = (folder / "journal.jsonl").open("w", buffering, encoding="utf-8")
    try:
        return _run(loaded, options, emulator, sink)
    finally:
        if sink is not None:
            sink.close()


def _emulator(options: Options) -> str:
    if options.hypervisor == "qemu":
        return find_emulator(options.emulator)
    return find_fake() if options.clock == "real" else "/usr/bin/qemu-system-x86_64"


def _run(loaded: Loaded, options: Options, emulator: str, sink: IO[str] | None) -> Result:
    scenario = loaded.scenario
    seed = options.seed if options.seed is not None else scenario.seed
    world = World(options, seed, loaded.scripts, sink)
    replay = replay_command(loaded, options, seed)
    name = options.policy or scenario.policy.name
    # A policy of the command line that has no limit takes none from the scenario either.
    limited = api.policy(name).limit is not None
    policy = api.policy(name, scenario.policy.limit_ms if limited else None)
    world.note(
        "header", "run",
        schema=SCHEMA, version=virtsim.__version__,
        scenario={"id": loaded.id, "name": scenario.name, "about": scenario.about, "source": scenario.source,
                  "file": loaded.file},
        seed=seed, clock=options.clock, hypervisor=options.hypervisor, policy=policy.name,
        domains=[{"name": m.name, "memory_kib": m.memory_kib} for m in loaded.cast.members.values()],
        replay=replay,
    )  # fmt: skip
    run = _Run(loaded, options, world, emulator, policy)
    reason = skip_reason(loaded, options)
    if emulator and options.hypervisor == "qemu":
        run.qemu_version = emulator_version(emulator)
    outcome: Outcome = "error"
    message = trace = ""
    try:
        if reason is not None:
            outcome, message = "skipped", reason
        else:
            outcome, message = _act(run)
    except KeyboardInterrupt:
        outcome, message = "interrupted", "interrupted by the user"
        raise
    except MissingError:
        outcome, message = "error", "this machine lacks something"
        raise
    except Exception as error:  # noqa: BLE001  (a bug: the journal must end all the same, and the traceback be kept)
        root = _root(error)
        message, trace = (
            f"internal error: {type(root).__name__}: {root}",
            "".join(traceback.format_exception(error)),
        )
    finally:
        world.note("end", "run", outcome=outcome, **({"message": message} if message else {}))
    return Result(
        id=loaded.id, name=scenario.name, file=loaded.file, outcome=outcome, message=message,
        failed=tuple(check for check in run.checks if not check.ok), clock_ns=world.now_ns(), replay=replay,
        traceback=trace,
    )  # fmt: skip


def _act(run: _Run) -> tuple[Outcome, str]:
    """Play on the clock that was asked for."""
    end = run.loaded.scenario.end
    try:
        if run.options.clock == "virtual":
            run_virtual(_main(run), net=run.options.net, end_ns=end)
        else:
            _run_real(_main(run, end_s=end / 1e9))
    except (EndOfTime, SimDeadlock, SimLivelock, SimForbidden) as error:
        return "failed", f"the scenario cannot go on: {_first_stall(error)}"
    except TimeoutError as error:
        return "failed", str(error)
    failed = [check for check in run.checks if not check.ok]
    if run.stopped:
        return "failed", run.stopped
    if failed:
        return "failed", f"{len(failed)} of {len(run.checks)} expectations were not met"
    return "passed", ""


def _run_real(main: Coroutine[Any, Any, None]) -> None:
    """As asyncio.run: Ctrl-C cancels the main task, which then cleans up, and is raised afterwards."""
    with asyncio.Runner() as runner:
        runner.run(main)


def _first_stall(error: BaseException) -> BaseException:
    """The stall that came first: cleaning up after one may run into another."""
    found = error
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, EndOfTime | SimDeadlock | SimLivelock | SimForbidden):
            found = seen
        seen = seen.__context__
    return found


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _main(run: _Run, end_s: float | None = None) -> None:
    """The whole run inside the loop: open, play, curtain, leftovers."""
    fds = open_descriptors()
    task = asyncio.current_task()
    if task is not None:
        task.set_name("the scenario")  # what a report of a deadlock calls it
    async with run.world.opened() as context:
        run.world.introduce(list(run.loaded.cast.members))
        connection = await api.Connection.open(
            context,
            policy=run.policy,
            emulator=run.emulator,
            accel=accelerator(run.options),
            qemu_version=run.qemu_version,
        )
        stage = Stage(run.loaded, run.world, connection)
        run.checks = stage.checks
        try:
            await _play(stage, run, end_s)
        finally:
            await _curtain(stage, connection)
        left = Leftovers.look(run.world, context)
    # Descriptors are counted when the doors are closed.
    _judge_leftovers(run, stage, left.with_descriptors(fds, open_descriptors()))


async def _play(stage: Stage, run: _Run, end_s: float | None) -> None:
    try:
        async with asyncio.timeout(end_s):
            await stage.play()
    except StopError as stopped:
        run.stopped = str(stopped)
    except TimeoutError:
        run.stopped = f"end of time: the scenario was not over after {end_s:g} s"


async def _curtain(stage: Stage, connection: api.Connection) -> None:
    """Destroy what runs, undefine everything, close the connection."""
    try:
        async with asyncio.timeout(CURTAIN_REAL_S if stage.real else CURTAIN_NS / 1e9):
            await stage.clear()
    except TimeoutError:
        pass  # what is left will be found as a leftover
    finally:
        await connection.close()


def _judge_leftovers(run: _Run, stage: Stage, left: Leftovers) -> None:
    run.world.note("leftovers", "run", **left.fields())
    stage.judge(Check("leftovers", left.none, "none", left.words()))
