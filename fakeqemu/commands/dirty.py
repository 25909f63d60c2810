"""How fast the guest writes to its memory: calc-dirty-rate, and limits for each CPU."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "calc_dirty_rate", "cancel_vcpu_dirty_limit", "query_dirty_rate", "query_vcpu_dirty_limit",
    "set_vcpu_dirty_limit",
]  # fmt: skip

SECOND = 1_000_000_000
MIB = 1 << 20
#: Pages of each GiB that are looked at (migration/dirtyrate.c).
SAMPLES, LEAST, MOST = 512, 128, 16384


class Measurement:
    """The last measurement of one machine."""

    __slots__ = ("mode", "period", "rate", "samples", "started", "status")

    def __init__(self) -> None:
        self.status, self.mode = "unstarted", "page-sampling"
        self.period = self.samples = self.started = self.rate = 0


def _of(machine: FakeQemu) -> Measurement:
    found: Measurement | None = machine.parts.get("dirty")
    if found is None:
        found = machine.parts["dirty"] = Measurement()
    return found


@command("calc-dirty-rate", takes=True)
def calc_dirty_rate(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Begin to measure: for so many seconds."""
    del session
    found = _of(machine)
    if found.status == "measuring":
        raise CommandError("GenericError", "the dirty rate is already being measured.")
    period = arguments["calc-time"]
    if not 1 <= period <= 60:
        raise CommandError("GenericError", "calc-time is out of range[1, 60].")
    mode = arguments.get("mode", "page-sampling")
    if "sample-pages" in arguments and mode != "page-sampling":
        raise CommandError("GenericError", "either sample-pages or dirty-ring can be specified.")
    samples = arguments.get("sample-pages", SAMPLES)
    if not LEAST <= samples <= MOST:
        raise CommandError("GenericError", f"sample-pages is out of range[{LEAST}, {MOST}].")
    if mode == "dirty-ring":
        text = "dirty ring is disabled, use sample-pages method or remeasure later."
        raise CommandError("GenericError", text)
    found.status, found.mode, found.period, found.rate = "measuring", mode, period, 0
    found.samples = samples if mode == "page-sampling" else 0
    found.started = machine.now_ns // SECOND
    machine.later(period * SECOND, lambda: _measured(machine, found))


def _measured(machine: FakeQemu, found: Measurement) -> None:
    from fakeqemu.migration.memory import PAGE
    from fakeqemu.migration.part import migration_of

    running = found.period * SECOND if machine.runstate == "running" else 0
    found.rate = migration_of(machine).memory.written(running) * PAGE // MIB // found.period
    found.status = "measured"


@command("query-dirty-rate")
def query_dirty_rate(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The measurement, in MiB a second once it is over."""
    del session
    found = _of(machine)
    value: dict[str, Any] = {
        "status": found.status, "start-time": found.started, "calc-time": found.period,
        "sample-pages": found.samples, "mode": found.mode,
    }  # fmt: skip
    if found.status == "measured":
        value["dirty-rate"] = found.rate
    return value


@command("set-vcpu-dirty-limit", takes=True)
def set_vcpu_dirty_limit(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Needs KVM's dirty ring, which no command line of the fake switches on."""
    del machine, session, arguments
    text = "dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'"
    raise CommandError("GenericError", text)


@command("cancel-vcpu-dirty-limit", takes=True)
def cancel_vcpu_dirty_limit(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """There is no limit to be cancelled."""
    del machine, session, arguments


@command("query-vcpu-dirty-limit")
def query_vcpu_dirty_limit(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """No CPU is limited."""
    del machine, session
    return []
