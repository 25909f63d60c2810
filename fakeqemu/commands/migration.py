"""Migration, as far as every start touches it: the capabilities."""

from __future__ import annotations

from fakeqemu.model import model_of
from fakeqemu.registry import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.qjson import Raw
    from fakeqemu.session import Session

__all__ = ["migrate_set_capabilities", "query_migrate_capabilities"]


@command("query-migrate-capabilities")
def query_migrate_capabilities(machine: FakeQemu, session: Session) -> Raw | list[dict[str, Any]] | None:
    """All capabilities; the recorded reply as long as none is switched on."""
    del session
    on = model_of(machine).capabilities
    if not on:
        return machine.profile.recorded("query-migrate-capabilities")
    known = machine.profile.value("query-migrate-capabilities")
    return [{"state": entry["capability"] in on, "capability": entry["capability"]} for entry in known]


@command("migrate-set-capabilities", takes=True)
def migrate_set_capabilities(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Switch capabilities on and off."""
    del session
    on = model_of(machine).capabilities
    for entry in arguments["capabilities"]:
        (on.add if entry["state"] else on.discard)(entry["capability"])
