"""User objects that come and go."""

from __future__ import annotations

from fakeqemu.registry import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["object_add", "object_del", "query_iothreads"]


@command("object-add", takes=True)
def object_add(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Make a user object."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.userobjects import add

    options = {name: value for name, value in arguments.items() if name not in ("qom-type", "id")}
    add(registry_of(machine), arguments["qom-type"], arguments["id"], options)


@command("object-del", takes=True)
def object_del(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Take a user object away."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.userobjects import delete

    delete(registry_of(machine), arguments["id"])


@command("query-iothreads")
def query_iothreads(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The I/O threads, with the settings of their polling."""
    del session
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.userobjects import iothreads

    return iothreads(registry_of(machine))
