"""Virtual CPUs."""

from __future__ import annotations

from fakeqemu.protocol.qjson import remembered
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.qjson import Raw
    from fakeqemu.protocol.session import Session

__all__ = ["query_cpu_model_expansion", "query_cpus_fast", "query_hotpluggable_cpus"]


@command("query-cpus-fast")
def query_cpus_fast(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The CPUs with the ids of their threads."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.cpus import fast_list

    return fast_list(registry_of(machine))


@command("query-hotpluggable-cpus")
def query_hotpluggable_cpus(machine: FakeQemu, session: Session) -> Raw:
    """The places for CPUs, the last one first; one that is taken has a path."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.cpus import WITHOUT_PLACES, nodes_of, place_list

    line = machine.line
    registry = registry_of(machine)
    if line.machine in WITHOUT_PLACES or registry.arch in ("riscv64", "aarch64"):
        raise CommandError("GenericError", "The feature 'query-hotpluggable-cpus' is not enabled")
    # Machines of one shape give one answer: a thousand of them share its text.
    held = tuple([(cpu.place, cpu.path) for cpu in registry.cpus])
    shape = (registry.cpu_kind, line.max_cpus, line.topology, nodes_of(registry), held, registry.family)
    return remembered(("query-hotpluggable-cpus", shape), lambda: place_list(registry))


@command("query-cpu-model-expansion", takes=True)
def query_cpu_model_expansion(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> Raw | dict[str, Any]:
    """What a CPU model is made of: as recorded, with the properties that were given on top."""
    del session
    from fakeqemu.facts.cpumodels import expansion

    return expansion(machine.profile, arguments)
