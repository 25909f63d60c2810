"""Descriptors that monitors were given: by name (getfd), and in sets (add-fd).

Knows monitor/fds.c of QEMU 7.2. Must not know what the descriptors are good for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu
    from fakeqemu.session import Session

__all__ = ["Descriptors", "descriptors_of"]


class Descriptors:
    """The descriptors of one machine."""

    __slots__ = ("named", "sets")

    def __init__(self) -> None:
        #: By monitor, then by name.
        self.named: dict[int, dict[str, int]] = {}
        #: Number of the set -> its descriptors.
        self.sets: dict[int, list[tuple[int, str | None]]] = {}

    def take(self, session: Session, name: str) -> int | None:
        """Hand out a named descriptor, which is forgotten; a number stands for itself."""
        found = self.named.get(session.conn, {}).pop(name, None)
        if found is None and name.isdigit():
            return int(name)
        return found


def descriptors_of(machine: FakeQemu) -> Descriptors:
    """The descriptors of a machine; made when first asked for."""
    found: Descriptors | None = machine.parts.get("descriptors")
    if found is None:
        found = machine.parts["descriptors"] = Descriptors()
    return found
