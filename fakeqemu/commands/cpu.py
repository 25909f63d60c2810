"""Virtual CPUs."""

from __future__ import annotations

from fakeqemu.model import model_of
from fakeqemu.qjson import remembered
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.model import Model
    from fakeqemu.profile import Profile
    from fakeqemu.qjson import Raw
    from fakeqemu.session import Session

__all__ = ["query_cpu_model_expansion", "query_cpus_fast", "query_hotpluggable_cpus", "query_iothreads"]

#: How far a CPU's thread id is from the process's: the main thread and QEMU's RCU and I/O threads come
#: before.
FIRST_THREAD = 3


@command("query-cpus-fast")
def query_cpus_fast(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The CPUs with their threads. A fake has no such threads: the numbers only look like it."""
    del session
    model = model_of(machine)
    return [
        {
            "thread-id": machine.pid + FIRST_THREAD + index,
            "props": model.cpu_props(index),
            "qom-path": model.cpu_path(index),
            "cpu-index": index,
            "target": model.target,
        }
        for index in range(model.cpus)
    ]


@command("query-hotpluggable-cpus")
def query_hotpluggable_cpus(machine: FakeQemu, session: Session) -> Raw:
    """The places for CPUs, the last one first; one that is taken has a path."""
    del session
    line = machine.line
    if line.machine in ("none", "microvm", "isapc"):
        raise CommandError("GenericError", "The feature 'query-hotpluggable-cpus' is not enabled")
    model = model_of(machine)
    # Machines of one shape give one answer: a thousand of them share its text.
    shape = (model.cpu_type, line.cpus, line.max_cpus, line.topology, bool(line.slots))
    return remembered(("query-hotpluggable-cpus", shape), lambda: _places(machine, model))


def _places(machine: FakeQemu, model: Model) -> list[dict[str, Any]]:
    places = []
    for index in reversed(range(machine.line.max_cpus)):
        place: dict[str, Any] = {
            "props": model.cpu_props(index),
            "vcpus-count": 1,
            "type": model.cpu_type,
        }
        if index < model.cpus:
            place["qom-path"] = model.cpu_path(index)
        places.append(place)
    return places


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


@command("query-iothreads")
def query_iothreads(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The I/O threads, with the defaults of their polling."""
    del session
    threads = [device for device in machine.line.objects.values() if device.kind == "iothread"]
    first = machine.pid + FIRST_THREAD + machine.line.cpus
    return [
        {
            "poll-shrink": int(thread.options.get("poll-shrink", 0)),
            "thread-id": first + index,
            "aio-max-batch": int(thread.options.get("aio-max-batch", 0)),
            "poll-grow": int(thread.options.get("poll-grow", 0)),
            "poll-max-ns": int(thread.options.get("poll-max-ns", 32768)),
            "id": thread.id,
        }
        for index, thread in enumerate(threads)
    ]
