"""What a machine keeps about migration: `migration_of`.

Knows the state that outlives one migration. Must not know how one goes on.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.migration.incoming import Incoming
    from fakeqemu.migration.memory import GuestMemory
    from fakeqemu.migration.outgoing import Outgoing

__all__ = ["Migration", "migration_of"]


class Migration:
    """The migration state of one machine.

    Attributes:
        capabilities: those that are switched on.
        parameters: those that were set, by name.
        memory: the model of the guest's memory.
        outgoing: the last migration away from here, or None.
        incoming: the one that this machine comes from, or None.
        unstarted: ``none`` or ``failed``: what the last attempt led to when it never became `outgoing`.
        error: why that attempt failed, or None when QEMU does not say.
    """

    __slots__ = (
        "_machine", "_memory", "capabilities", "error", "incoming", "outgoing", "parameters", "unstarted",
    )  # fmt: skip

    def __init__(self, machine: FakeQemu) -> None:
        self._machine = machine
        self._memory: GuestMemory | None = None
        self.capabilities: set[str] = set()
        self.parameters: dict[str, Any] = {}
        self.outgoing: Outgoing | None = None
        self.incoming: Incoming | None = None
        self.unstarted = "none"
        self.error: str | None = None

    @property
    def memory(self) -> GuestMemory:
        """The model of the guest's memory; made when first asked for."""
        if self._memory is None:
            from fakeqemu.migration.memory import GuestMemory

            self._memory = GuestMemory(self._machine)
        return self._memory

    def parameter(self, name: str) -> Any:
        """A parameter as it is set, or QEMU's default."""
        from fakeqemu.migration.parameters import DEFAULTS

        found = self.parameters.get(name)
        return DEFAULTS[name] if found is None else found

    def announce(self, status: str) -> None:
        """Send the event MIGRATION, if somebody asked for such events."""
        if "events" in self.capabilities:
            self._machine.emit("MIGRATION", {"status": status})

    def announce_pass(self, number: int) -> None:
        """Send the event MIGRATION_PASS, if somebody asked for such events."""
        if "events" in self.capabilities:
            self._machine.emit("MIGRATION_PASS", {"pass": number})

    def took_snapshot(self) -> None:
        """The state went into an image: query-migrate tells of it as of a migration (savevm)."""
        from fakeqemu.migration.outgoing import Outgoing
        from fakeqemu.migration.uri import Target

        self.unstarted, self.error = "none", None
        self.outgoing = Outgoing(self._machine, Target("fd", ""), None)
        self.outgoing.at_once()

    def saved(self) -> Any:
        """What moves with the guest: how much of its memory is not zero."""
        return {"nonzero": self.memory.nonzero}

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Take over what came with a guest."""
        del machine
        if isinstance(value, dict) and isinstance(value.get("nonzero"), int):
            self.memory.take_over(value["nonzero"])


def migration_of(machine: FakeQemu) -> Migration:
    """The migration state of a machine; made when first asked for."""
    found: Migration | None = machine.parts.get("migration")
    if found is None:
        found = machine.parts["migration"] = Migration(machine)
    return found
