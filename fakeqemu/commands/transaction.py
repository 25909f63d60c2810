"""Several changes to disks at once."""

from __future__ import annotations

from fakeqemu.registry import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["transaction"]


@command("transaction", takes=True)
def transaction(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Carry out all actions or none."""
    del session
    from fakeqemu.block import graph_of
    from fakeqemu.block.transactions import run

    run(graph_of(machine), arguments["actions"], arguments.get("properties") or {})
