"""The monitor for people: `execute` takes a line and returns what QEMU would print.

Knows hmp-commands.hx of QEMU 7.2. Must not know how the line came: through ``human-monitor-command`` or on a
character device (`fakeqemu.human.console`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session
    from fakeqemu.registry import Deferred

__all__ = ["execute"]


def execute(machine: FakeQemu, line: str, session: Session | None = None) -> str | Deferred:
    r"""Carry a line out.

    Args:
        machine: the machine.
        line: as it was typed, without its newline.
        session: the monitor whose descriptors the line may name.

    Returns:
        What is printed, newlines as QEMU writes them (``\n``), or a `fakeqemu.registry.Deferred` of it.
    """
    from fakeqemu.human.table import run

    printed = run(machine, session, line)
    return printed.replace("\r\n", "\n") if isinstance(printed, str) else printed
