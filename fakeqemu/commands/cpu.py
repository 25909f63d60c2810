"""Virtual CPUs."""

from __future__ import annotations

from fakeqemu.qjson import remembered
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.profile import Profile
    from fakeqemu.qjson import Raw
    from fakeqemu.session import Session

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
    if line.machine in WITHOUT_PLACES or registry.arch in ("riscv64",):
        raise CommandError("GenericError", "The feature 'query-hotpluggable-cpus' is not enabled")
    # Machines of one shape give one answer: a thousand of them share its text.
    held = tuple([(cpu.place, cpu.path) for cpu in registry.cpus])
    shape = (registry.cpu_kind, line.max_cpus, line.topology, nodes_of(registry), held, registry.family)
    return remembered(("query-hotpluggable-cpus", shape), lambda: place_list(registry))


@command("query-cpu-model-expansion", takes=True)
def query_cpu_model_expansion(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> Raw | dict[str, Any]:
    """What a CPU model is made of: as recorded, with the properties that were given on top.

    ``base`` and ``host`` are ``max`` under TCG; other models have not been recorded.
    """
    del session
    profile = machine.profile
    recorded = profile.recorded("query-cpu-model-expansion", arguments)
    if recorded is not None:
        return recorded
    kind, name = arguments["type"], arguments["model"]["name"]
    given = arguments["model"].get("props") or {}
    if name != "base" and name not in profile.names("cpu"):
        raise CommandError("GenericError", f"CPU model '{name}' not found")
    full = _expansion(profile, "full", "max")
    for key in given:
        if key not in full["props"]:
            kind_of_cpu = f"{name}-{profile.facts['arch']}-cpu"
            raise CommandError("GenericError", f"Property '{kind_of_cpu}.{key}' not found")
    if name not in ("base", "host", "max"):
        raise CommandError("GenericError", f"the expansion of CPU model '{name}' has not been recorded")
    model = full if kind == "full" else _expansion(profile, "static", "max")
    return {"model": {"name": "base" if kind == "static" else name, "props": model["props"] | given}}


def _expansion(profile: Profile, kind: str, name: str) -> dict[str, Any]:
    found = profile.value("query-cpu-model-expansion", {"type": kind, "model": {"name": name}})
    model: dict[str, Any] = (found or {"model": {"props": {}}})["model"]
    return model
