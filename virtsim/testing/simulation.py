"""One function to try something out: a world on the virtual clock, a connection, and your coroutine.

Knows how a world is put up. Must not know what your coroutine does with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from virtsim import api
from virtsim.sim.domains import domain_document
from virtsim.sim.grammar import DomainSpec
from virtsim.sim.load import compile_script
from virtsim.sim.loop import run
from virtsim.sim.units import parse_duration_ns
from virtsim.sim.world import Options, World

__all__ = ["Simulation", "simulate"]

T = TypeVar("T")


class Simulation:
    """What your coroutine is given.

    Attributes:
        connection: the library; every domain's QEMU is a fake.
        records: the journal so far: dicts with ``t`` (ns), ``actor``, ``kind`` and more.
    """

    def __init__(self, world: World, connection: api.Connection) -> None:
        self.connection = connection
        self.records: list[dict[str, Any]] = world.journal.records
        self._world = world

    async def define(self, name: str, **spec: Any) -> api.Domain:
        """Define a domain with the keys of a scenario: ``define("huge", memory="402GiB", hugepages="1GiB")``.

        Raises:
            ValueError: an unknown key, or a value that is not possible.
            VirtsimError: the library refuses the definition.
        """
        xml = domain_document(name, DomainSpec.model_validate(spec), Path.cwd())
        self._world.introduce([name])
        return await self.connection.defineXML(xml)

    def kill(self, name: str, number: int) -> None:
        """Send a signal to the QEMU of a domain, as an administrator would.

        Raises:
            ProcessLookupError: it has none.
        """
        self._world.signal_guest(name, number)

    def now_ms(self) -> float:
        """Virtual milliseconds since the begin."""
        return self._world.now_ns() / 1e6

    def events(self) -> list[tuple[str, ...]]:
        """The events so far: (domain, event, detail)."""
        return [
            (record["actor"], record["event"], *([record["detail"]] if record.get("detail") else []))
            for record in self.records
            if record["kind"] == "event"
        ]


def simulate(
    story: Callable[[Simulation], Awaitable[T]],
    *,
    policy: api.Policy | str = "eventful",
    fake: Mapping[str, Sequence[Any]] | Sequence[Any] = (),
    seed: str = "0",
    end: str = "2h",
) -> T:
    """Run a coroutine function on the virtual clock and return what it returns.

    Nothing outside is touched: no process, file or socket is made. What is still running at the end is
    gone with the world.

    Args:
        story: called with the simulation.
        policy: how starts wait for the monitor: a name, or ``virtsim.api.policy(name, limit_ms)``.
        fake: rules of the fakes' scripts, for all domains or by name; the same rules as in a scenario.
        seed: root of all randomness and identifiers.
        end: the end of time, with a unit.

    Raises:
        ValueError: a rule, the policy's name or the end is not possible.
        SimDeadlock, SimLivelock, EndOfTime: the story cannot end; the text says where each task waits.
        Exception: whatever the story raises.
    """
    groups = fake if isinstance(fake, Mapping) else {"*": fake}
    scripts = {name: compile_script(list(rules)) for name, rules in groups.items()}
    world = World(Options(), seed, scripts, None)
    chosen = api.policy(policy) if isinstance(policy, str) else policy
    end_ns = parse_duration_ns(end)

    async def main() -> T:
        async with world.opened() as context:
            connection = await api.Connection.open(context, policy=chosen)
            try:
                return await story(Simulation(world, connection))
            finally:
                await connection.close()

    return run(main(), end_ns=end_ns)
