"""One object of the machine: a device, a CPU, a bus, a user object or a container.

Knows its kind, its place in the tree and what differs from its type's defaults. Must not know other objects'
rules.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Object"]


class Object:
    """A node of the QOM tree.

    Attributes:
        kind: the QOM type, as in ``device_add driver=...`` with aliases resolved.
        id: the user's name for it, or None.
        path: canonical QOM path.
        parent: the object that has it as a child; None for the root and for what has been taken out.
        options: what the user gave (``driver`` and ``id`` left out), as given.
        values: properties whose values differ from the type's.
        bus: id of the bus it sits on, or None.
        hotplugged: whether it came after the start.
    """

    __slots__ = ("bus", "hotplugged", "id", "kind", "options", "parent", "path", "values")

    def __init__(
        self, kind: str, ident: str | None, path: str, parent: Object | None, options: dict[str, Any]
    ) -> None:
        self.kind, self.id, self.path, self.parent, self.options = kind, ident, path, parent, options
        self.values: dict[str, Any] = {}
        self.bus: str | None = None
        self.hotplugged = False

    @property
    def properties(self) -> dict[str, str]:
        """Names and types of its properties."""
        return {}
