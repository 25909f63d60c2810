"""The stage: acts the steps of one scenario on a connection, and has every expectation judged.

Knows verbs, targets, background steps and the curtain. Must not know which clock or hypervisor is behind
the library.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from virtsim import api
from virtsim.errors import (
    HostError,
    InternalError,
    NoDomain,
    OperationError,
    OperationInvalid,
    OperationTimeout,
    VirtsimError,
)
from virtsim.journal import Record
from virtsim.sim.domains import with_files
from virtsim.sim.expect import Check, Failure, StepWindow, check_run, check_step
from virtsim.sim.grammar import Step
from virtsim.sim.load import Loaded
from virtsim.sim.loop import SimForbidden
from virtsim.sim.usercall import call_user_code
from virtsim.sim.verbs import VERBS
from virtsim.sim.words import SIGNALS
from virtsim.sim.world import CURRENT_STEP, World

__all__ = ["Stage", "StopError"]


class StopError(Exception):
    """The scenario cannot go on: a step failed that should not have."""


@dataclass(slots=True)
class _Acting:
    """One step that is under way."""

    number: str
    step: Step
    targets: tuple[str, ...]
    first: int
    failures: dict[str, Failure] = field(default_factory=dict)
    succeeded: int = 0
    returned: Any = None


class Stage:
    """What steps act on; user code that a step calls gets it as its argument.

    Attributes:
        connection: the library.
        domains: name -> domain, for those that were defined or created so far.
        records: the journal so far.
        checks: every expectation that was judged.
        real: whether the clock is the real one.
    """

    def __init__(self, loaded: Loaded, world: World, connection: api.Connection) -> None:
        self.connection = connection
        self.domains: dict[str, api.Domain] = {}
        self.records: list[Record] = world.journal.records
        self.checks: list[Check] = []
        self._loaded = loaded
        self._world = world
        self.real = world.options.clock == "real"
        self._background: dict[str, asyncio.Task[bool]] = {}
        self._began_ns = 0
        self._first_record = 0

    # -- for user code

    def now_ns(self) -> int:
        """The run's clock, nanoseconds since the begin of the first step."""
        return self._world.now_ns() - self._began_ns

    def domain(self, name: str) -> api.Domain:
        """The domain of that name. Raises NoDomain."""
        found = self.domains.get(name)
        if found is None:
            raise NoDomain(f"no domain with matching name '{name}'")
        return found

    def note(self, text: str) -> None:
        """Write a line of your own into the journal."""
        self._world.note("host", "run", op="note", detail=text)

    # -- the play

    async def play(self) -> None:
        """Act all steps and judge everything.

        Raises:
            StopError: a step failed unasked; what came before it was judged.
        """
        await self._define_the_rest()
        self._began_ns = self._world.now_ns()
        self._first_record = len(self.records)
        try:
            for number, step in enumerate(self._loaded.scenario.steps, 1):
                await self._begin(step, str(number))
            for label in list(self._background):
                await self._join(label)
        finally:
            await self._end_background()
        cast = self._loaded.cast
        watched = self.records[self._first_record :]
        for check in check_run(
            self._loaded.scenario.expect, watched, self._world.states, cast.instances, real=self.real
        ):
            self.judge(check)

    async def _define_the_rest(self) -> None:
        """Define the domains that no step defines or creates."""
        later = {name for step in _all_steps(self._loaded.scenario.steps) for name in step.define or ()}
        later |= {name for step in _all_steps(self._loaded.scenario.steps) for name in step.create_xml or ()}
        known = self._loaded.cast.expand(later)
        for name in self._loaded.cast.members:
            if name not in known:
                self.domains[name] = await self.connection.defineXML(self.document(name))

    def document(self, name: str) -> str:
        """The document of a domain of this scenario, for this run."""
        return with_files(self._loaded.cast.members[name].xml, real=self.real)

    def judge(self, check: Check, step: str = "") -> None:
        """Write a verdict down."""
        self.checks.append(replace(check, step=step))
        fields = {"what": check.what, "ok": check.ok, "expected": check.expected, "actual": check.actual}
        self._world.note("expect", "run", **({"step": step} if step else {}), **fields)

    # -- steps

    async def _begin(self, step: Step, number: str) -> None:
        if step.as_ is None:
            await self._act(step, number)
            return
        task = asyncio.get_running_loop().create_task(
            self._act(step, number), name=f"step {number} ({step.as_})"
        )
        self._background[step.as_] = task
        await asyncio.sleep(0)  # it begins before the next step does

    async def _join(self, label: str) -> None:
        task = self._background.pop(label, None)
        if task is None:
            return
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            self._background[label] = task
            raise
        task.result()

    async def _end_background(self) -> None:
        """Cancel what still runs and wait for it; what it ended in is in the journal."""
        tasks = list(self._background.values())
        self._background.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _act(self, step: Step, number: str) -> bool:
        """One step from its begin to the verdict on it; False when it ended in an error, expected or not.

        Raises:
            StopError: it failed unasked.
        """
        if step.at is not None:
            left = step.at - self.now_ns()
            if left > 0:
                await asyncio.sleep(left / 1e9)
        token = CURRENT_STEP.set(number)
        targets = tuple(self._loaded.cast.expand(step.targets))
        acting = _Acting(number, step, targets, len(self.records))
        place = {"target": ", ".join(step.targets)} if step.targets else {}
        line = self._line_of(number)
        self._world.note(
            "step.begin", "run", step=number, verb=step.verb, **place, **({"line": line} if line else {})
        )
        begin = self._world.now_ns()
        outcome = "interrupted"
        try:
            await self._perform(acting)
            outcome = "failed" if acting.failures and step.expect.error is None else "passed"
        finally:
            CURRENT_STEP.reset(token)
            failure = next(iter(acting.failures.values()), None)
            self._world.note(
                "step.end", "run", step=number, outcome=outcome, elapsed_ns=self._world.now_ns() - begin,
                **({"error": {"code": failure.code, "text": failure.text}} if failure else {}),
            )  # fmt: skip
        self._judge_step(acting)
        return not acting.failures

    def _judge_step(self, acting: _Acting) -> None:
        window = StepWindow(
            acting.number, acting.targets, self.records[acting.first :], acting.failures, self._world.states
        )
        checks = check_step(
            acting.step.expect, window, real=self.real, returned=acting.returned, succeeded=acting.succeeded
        )
        for check in checks:
            self.judge(check, acting.number)
        if acting.failures and acting.step.expect.error is None:
            raise StopError(
                f"step {acting.number} ({acting.step.verb}) failed: {next(iter(acting.failures.values()))}"
            )

    def _line_of(self, number: str) -> int | None:
        place: list[str | int] = ["steps"]
        for index, part in enumerate(number.split(".")):
            place += ["parallel"] if index else []
            place.append(int(part) - 1)
        return self._loaded.lines.get(tuple(place))

    async def _perform(self, acting: _Acting) -> None:
        step = acting.step
        verb = VERBS.get(step.verb)
        if verb is not None:
            await self._on_each(acting, lambda name: verb(self, step, name))
        elif step.wait is not None:
            await asyncio.sleep(step.wait / 1e9)
        elif step.wait_for is not None:
            within = step.wait_for.within
            state = step.wait_for.state
            await self._on_each(acting, lambda name: self._wait_for(name, state, within))
        elif step.kill is not None:
            number = SIGNALS[step.kill.signal]
            await self._on_each(acting, lambda name: self._kill(name, number))
        elif step.parallel is not None:
            inner = [
                self._act(part, f"{acting.number}.{index}") for index, part in enumerate(step.parallel, 1)
            ]
            acting.succeeded = sum(await self._all(inner))
        elif step.join is not None:
            for label in step.join:
                await self._join(label)
        else:
            await self._call(acting)

    async def _on_each(self, acting: _Acting, work: Callable[[str], Awaitable[None]]) -> None:
        """Do something to every target at once; an expected failure is written down, not raised."""

        async def one(name: str) -> None:
            try:
                await work(name)
            except VirtsimError as error:
                acting.failures[name] = Failure.of(error)

        if len(acting.targets) == 1:
            await one(acting.targets[0])
        else:
            await self._all([one(name) for name in acting.targets])
        acting.succeeded = len(acting.targets) - len(acting.failures)

    @staticmethod
    async def _all(work: Sequence[Any]) -> list[Any]:
        """Do several things at once; when one of them cannot go on the others are cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(item) for item in work]
        except* StopError as stopped:
            raise _first(stopped) from None
        return [task.result() for task in tasks]

    async def _call(self, acting: _Acting) -> None:
        try:
            acting.returned = await call_user_code(acting.step.call or "", self._loaded.folder, self)
        except VirtsimError as error:
            acting.failures[""] = Failure.of(error)
        except SimForbidden:
            raise
        except (Exception, SystemExit, GeneratorExit, asyncio.CancelledError) as error:
            # The user's code fails the step, not virtsim; but who cancels this task from outside means it.
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
            acting.failures[""] = Failure(type(error).__name__, f"{str(error) or 'no words'} ({place})")

    # -- what is not an API function

    async def _kill(self, name: str, number: int) -> None:
        """Signal a domain's process behind the library's back."""
        try:
            self._world.signal_guest(name, number)
        except ProcessLookupError:
            raise OperationInvalid("there is no QEMU to send a signal to") from None
        await asyncio.sleep(0)

    async def _wait_for(self, name: str, state: str, within: int | None) -> None:
        """Wait until the journal says that a domain is in a state.

        Raises:
            OperationTimeout: not ``within`` that time.
        """
        if self._world.states.get(name, ("SHUTOFF", ""))[0] == state:
            return
        reached = asyncio.get_running_loop().create_future()

        def listen(record: Record) -> None:
            is_it = record["kind"] == "state" and record["actor"] == name and record["state"] == state
            if is_it and not reached.done():
                reached.set_result(None)

        self._world.listeners.append(listen)
        try:
            async with asyncio.timeout(None if within is None else within / 1e9):
                await reached
        except TimeoutError:
            seen = self._world.states.get(name, ("SHUTOFF", ""))[0]
            raise OperationTimeout(f"the domain is {seen}, not {state}") from None
        finally:
            self._world.listeners.remove(listen)

    # -- the curtain

    async def clear(self) -> None:
        """Destroy whatever still runs and undefine everything, as often as it takes."""
        for _ in range(CURTAIN_ROUNDS):
            domains = await self.connection.listAllDomains()
            if not domains:
                return
            await asyncio.gather(*(self._clear_one(domain) for domain in domains))

    @staticmethod
    async def _clear_one(domain: api.Domain) -> None:
        try:
            if await domain.isActive():
                await domain.destroy()
            if await domain.isPersistent():
                await domain.undefine()
        except (OperationError, NoDomain, HostError, InternalError):
            await asyncio.sleep(0.1)  # it ended by itself, or is stuck: look again


#: How often the curtain looks again at a domain that could not be destroyed; each destroy waits for 40 s
#: or more.
CURTAIN_ROUNDS = 10


def _all_steps(steps: Sequence[Step]) -> list[Step]:
    return [found for step in steps for found in (step, *_all_steps(step.parallel or ()))]


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
