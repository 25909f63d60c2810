"""The monitor for people: `execute` takes a line and returns what QEMU would print.

Knows hmp-commands.hx of QEMU 7.2. Must not know how the line came: through ``human-monitor-command`` or on a
character device (`fakeqemu.human.console`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu

__all__ = ["execute"]


def execute(machine: FakeQemu, line: str) -> str:
    """Carry a line out; its output, with newlines as printed."""
    from fakeqemu.human.table import run

    return run(machine, line)
