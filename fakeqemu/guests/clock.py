"""The hardware clock: what QEMU says when the guest sets it.

Knows hw/rtc/mc146818rtc.c and its like of QEMU 7.2. Must not know why it was set.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu

__all__ = ["hardware_clock_set"]


def hardware_clock_set(machine: FakeQemu, offset_s: int) -> None:
    """The guest has set the clock: how many seconds it is now before the host's."""
    machine.emit("RTC_CHANGE", {"offset": offset_s, "qom-path": _path(machine)})


def _path(machine: FakeQemu) -> str:
    """Where the board has its clock."""
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.tree import look

    where = "/machine/unattached"
    unattached = look(registry_of(machine), where)
    for name, kind in unattached.listed() if unattached is not None else ():
        if kind.removeprefix("child<").rstrip(">") in _CLOCKS:
            return f"{where}/{name}"
    return "/machine/rtc"


_CLOCKS = ("mc146818rtc", "pl031", "goldfish_rtc", "spapr-rtc")
