"""Descriptors over a monitor: getfd and its kin."""

from __future__ import annotations

from fakeqemu.descriptors import descriptors_of
from fakeqemu.registry import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["add_fd", "closefd", "getfd", "query_fdsets", "remove_fd"]


@command("getfd", takes=True)
def getfd(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Keep the descriptor that came with this message under a name."""
    descriptors_of(machine).keep(session, arguments["fdname"])


@command("closefd", takes=True)
def closefd(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Close a named descriptor."""
    descriptors_of(machine).drop(session, arguments["fdname"])


@command("add-fd", takes=True)
def add_fd(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> dict[str, int]:
    """Put the descriptor that came with this message into a set."""
    return descriptors_of(machine).add(session, arguments.get("fdset-id"), arguments.get("opaque"))


@command("remove-fd", takes=True)
def remove_fd(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Take descriptors out of a set."""
    del session
    descriptors_of(machine).remove(arguments["fdset-id"], arguments.get("fd"))


@command("query-fdsets")
def query_fdsets(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """All sets."""
    del session
    return descriptors_of(machine).sets() if "descriptors" in machine.parts else []
