"""The verbs that are functions of the API: what a step does to one domain.

Knows which function each verb means. Must not know steps' order, targets or expectations.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from virtsim import api

if TYPE_CHECKING:
    from virtsim.sim.grammar import Step
    from virtsim.sim.stage import Stage

__all__ = ["VERBS"]


async def _define(stage: Stage, _: Step, name: str) -> None:
    stage.domains[name] = await stage.connection.defineXML(stage.document(name))


async def _create_xml(stage: Stage, step: Step, name: str) -> None:
    flags = api.CreateFlags.START_PAUSED if step.paused else 0
    stage.domains[name] = await stage.connection.createXML(stage.document(name), flags)


async def _start(stage: Stage, step: Step, name: str) -> None:
    domain = stage.domain(name)
    await (domain.createWithFlags(api.CreateFlags.START_PAUSED) if step.paused else domain.create())


async def _destroy(stage: Stage, step: Step, name: str) -> None:
    domain = stage.domain(name)
    await (domain.destroyFlags(api.DestroyFlags.GRACEFUL) if step.graceful else domain.destroy())


async def _undefine(stage: Stage, _: Step, name: str) -> None:
    await stage.domain(name).undefine()


async def _suspend(stage: Stage, _: Step, name: str) -> None:
    await stage.domain(name).suspend()


async def _resume(stage: Stage, _: Step, name: str) -> None:
    await stage.domain(name).resume()


async def _shutdown(stage: Stage, _: Step, name: str) -> None:
    await stage.domain(name).shutdown()


async def _reboot(stage: Stage, _: Step, name: str) -> None:
    await stage.domain(name).reboot()


async def _reset(stage: Stage, _: Step, name: str) -> None:
    await stage.domain(name).reset()


async def _stat(stage: Stage, _: Step, name: str) -> None:
    await stage.domain(name).memoryStats()


async def _dumpxml(stage: Stage, _: Step, name: str) -> None:
    await stage.domain(name).XMLDesc()


#: Verb -> what it does to one domain. Each raises VirtsimError as the API does.
VERBS: dict[str, Callable[[Stage, Step, str], Awaitable[None]]] = {
    "create_xml": _create_xml,
    "define": _define,
    "destroy": _destroy,
    "dumpxml": _dumpxml,
    "reboot": _reboot,
    "reset": _reset,
    "resume": _resume,
    "shutdown": _shutdown,
    "start": _start,
    "stat": _stat,
    "suspend": _suspend,
    "undefine": _undefine,
}
