"""Events that QEMU does not send more often than once a second.

Knows monitor/monitor.c of QEMU 7.2 (``monitor_qapi_event_conf``, ``monitor_qapi_event_queue_no_reenter``).
Must not know what the events mean. The first one goes out at once; of those within the next second the last
one is sent when the second is over, with the time at which it happened.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["LIMITED", "Limits", "limited"]

_SECOND_NS = 1_000_000_000
#: The events, and the member of their data that tells one stream of them from another.
LIMITED: dict[str, str | None] = {
    "RTC_CHANGE": None,
    "WATCHDOG": None,
    "BALLOON_CHANGE": None,
    "QUORUM_REPORT_BAD": "node-name",
    "QUORUM_FAILURE": None,
    "VSERPORT_CHANGE": "id",
    "MEMORY_DEVICE_SIZE_CHANGE": "qom-path",
}


class Limits:
    """The streams that have been heard of in the last second, each with what waits in it."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: dict[tuple[str, Any], str | None] = {}

    def saved(self) -> None:
        """Nothing of it moves with the guest."""

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Nothing was saved."""


def limited(
    machine: FakeQemu, event: str, data: dict[str, Any] | None, text: str, send: Callable[[str], None]
) -> None:
    """Send an event of `LIMITED` now, or keep it until its second is over.

    Args:
        machine: the machine.
        event: its name.
        data: its data.
        text: the whole message as it would go out now.
        send: sends a text to every monitor.
    """
    limits: Limits = machine.parts.setdefault("ratelimit", Limits())
    member = LIMITED[event]
    key = (event, (data or {}).get(member) if member is not None else None)
    if key in limits.waiting:
        limits.waiting[key] = text
        return
    limits.waiting[key] = None
    send(text)
    machine.later(_SECOND_NS, lambda: _over(machine, limits, key, send))


def _over(machine: FakeQemu, limits: Limits, key: tuple[str, Any], send: Callable[[str], None]) -> None:
    """A second has passed: what waited goes out and begins the next one."""
    text = limits.waiting.pop(key)
    if text is not None:
        limits.waiting[key] = None
        send(text)
        machine.later(_SECOND_NS, lambda: _over(machine, limits, key, send))
