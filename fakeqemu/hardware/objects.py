"""One object of the machine: a device, a CPU, a bus, a user object or a container.

Knows its kind, its place in the tree and what differs from its type's defaults. Must not know other objects'
rules.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.buses import Bus
    from fakeqemu.hardware.registry import Registry

__all__ = ["Object"]


class Object:
    """A node of the QOM tree.

    Attributes:
        kind: the QOM type, as in ``device_add driver=...`` with aliases resolved.
        id: the user's name for it, or None.
        path: canonical QOM path.
        parent: path of the object that has it as a child.
        options: what the user gave (``driver``, ``id`` and ``bus`` left out), as given.
        values: properties whose values differ from the type's.
        room: the bus it sits on, or None.
        place: its address there: PCI devfn, USB port, (channel, id, lun), port number, ...
        hotplugged: whether it came after the start.
        leaving: machine time until which a request to leave is under way (None: none is); -1 for no end.
    """

    __slots__ = (
        "hotplugged", "id", "kind", "leaving", "options", "parent", "path", "place", "registry", "room",
        "values",
    )  # fmt: skip

    def __init__(
        self, registry: Registry, kind: str, ident: str | None, path: str, options: dict[str, Any]
    ) -> None:
        self.registry, self.kind, self.id, self.path, self.options = registry, kind, ident, path, options
        self.parent = path.rpartition("/")[0] or "/"
        self.values: dict[str, Any] = {}
        self.room: Bus | None = None
        self.place: Any = None
        self.hotplugged = False
        self.leaving: int | None = None

    @property
    def bus(self) -> str | None:
        """Name of the bus it sits on."""
        return self.room.name if self.room is not None else None

    @property
    def properties(self) -> dict[str, str]:
        """Names and types of its properties and children, in QEMU's order of listing."""
        from fakeqemu.hardware.tree import view_of

        return dict(view_of(self.registry, self.path).listed())
