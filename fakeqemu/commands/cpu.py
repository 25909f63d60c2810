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
    from fakeqemu.qjson import Raw
    from fakeqemu.session import Session

__all__ = ["query_cpus_fast", "query_hotpluggable_cpus", "query_iothreads"]

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
