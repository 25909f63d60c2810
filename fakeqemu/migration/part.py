"""What a machine keeps about migration: `migration_of`.

Knows the state that outlives one migration. Must not know how one goes on.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu

__all__ = ["Migration", "migration_of"]


class Migration:
    """The migration state of one machine."""

    __slots__ = ("capabilities",)

    def __init__(self) -> None:
        self.capabilities: set[str] = set()


def migration_of(machine: FakeQemu) -> Migration:
    """The migration state of a machine; made when first asked for."""
    found: Migration | None = machine.parts.get("migration")
    if found is None:
        found = machine.parts["migration"] = Migration()
    return found
