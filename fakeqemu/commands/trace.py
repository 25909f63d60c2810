"""Trace events: the recorded names, and which of them are on. Nothing is ever traced.

Knows qmp_trace_event_get_state and its like (trace/qmp.c of QEMU 7.2). Must not know what an event is about.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["trace_event_get_state", "trace_event_set_state"]


class Tracing:
    """The events that are on: by name, for one vCPU or (-1) for all of them."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on: set[tuple[str, int]] = set()

    def enabled(self, name: str, cpu: int | None) -> bool:
        """Whether it is on for that vCPU; for any, when none is named."""
        if cpu is None:
            return any(one == name for one, _ in self.on)
        return not self.on.isdisjoint(((name, cpu), (name, -1)))

    def change(self, name: str, cpu: int | None, cpus: int, *, enable: bool, each: bool) -> None:
        """Switch it; one that knows vCPUs keeps a state for each."""
        numbers = [-1] if not each else list(range(cpus)) if cpu is None else [cpu]
        for number in numbers:
            if enable:
                self.on.add((name, number))
            else:
                self.on.discard((name, number))

    def saved(self) -> Any:
        """Traces belong to the process: nothing moves."""
        return None

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Nothing came with the guest."""
        del machine, value


def _tracing(machine: FakeQemu) -> Tracing:
    found = machine.parts.get("tracing")
    if found is None:
        found = machine.parts["tracing"] = Tracing()
    tracing: Tracing = found
    return tracing


def _chosen(machine: FakeQemu, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a name or pattern, after QEMU's checks."""
    cpu = arguments.get("vcpu")
    if cpu is not None and not 0 <= cpu < machine.line.cpus:
        raise CommandError("GenericError", f"invalid vCPU index {cpu & 0xFFFFFFFF}")
    name = arguments["name"]
    events = machine.profile.value("trace-event-get-state", {"name": "*"}) or []
    if "*" in name:
        from fnmatch import fnmatchcase

        # GLib's patterns know no brackets.
        pattern = name.replace("[", "[[]")
        events = [event for event in events if fnmatchcase(event["name"], pattern)]
    else:
        events = [event for event in events if event["name"] == name]
        if not events:
            raise CommandError("GenericError", f'unknown event "{name}"')
        if cpu is not None and not events[0]["vcpu"]:
            raise CommandError("GenericError", f'event "{name}" is not vCPU-specific')
    return [event for event in events if cpu is None or event["vcpu"]]


@command("trace-event-get-state", takes=True)
def trace_event_get_state(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> list[dict[str, Any]]:
    """Whether events are on."""
    del session
    tracing = _tracing(machine)
    cpu = arguments.get("vcpu")
    return [
        {**event, "state": "enabled"} if tracing.enabled(event["name"], cpu) else event
        for event in _chosen(machine, arguments)
    ]


@command("trace-event-set-state", takes=True)
def trace_event_set_state(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Switch events on or off."""
    del session
    chosen = _chosen(machine, arguments)
    if not arguments.get("ignore-unavailable"):
        for event in chosen:
            if event["state"] == "unavailable":
                raise CommandError("GenericError", f'event "{event["name"]}" is disabled')
    tracing = _tracing(machine)
    for event in chosen:
        if event["state"] != "unavailable":
            tracing.change(
                event["name"], arguments.get("vcpu"), machine.line.cpus,
                enable=arguments["enable"], each=event["vcpu"],
            )  # fmt: skip
