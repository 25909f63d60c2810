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
    from fakeqemu.hardware import registry_of

    for path in _CLOCKS:
        found = registry_of(machine).find(path)
        if found is not None:
            return found.path
    return _CLOCKS[0]


#: Where the clock is: on pc, on q35.
_CLOCKS = ("/machine/rtc",)
