"""What happens inside the guest because a script says so.

Knows which function of the guest stands for which word. Must not know when.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu

__all__ = ["happen"]


def happen(machine: FakeQemu, word: str) -> None:
    """Let the guest do something of its own accord."""
    from fakeqemu import guest

    {"poweroff": guest.power_off, "reset": guest.reset, "panic": guest.panic}[word](machine)
