"""A recorded QOM tree: what objects a machine has before the guest runs, and what they say.

Knows the shape in which `fakeqemu.facts.record` writes it: ``types`` (lists of properties that objects
share), and each object's path with its type, the number of its list, and its values in the list's order.
Must not know the machine. Nothing in here may be changed: every machine of the program shares it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ABSENT", "QomView"]

#: Stands for the value of a property that could not be read, or is no recorded fact.
ABSENT = "\0"


class QomView:
    """The tree of one machine type.

    Args:
        data: as recorded.
    """

    __slots__ = ("_lists", "_objects")

    def __init__(self, data: dict[str, Any]) -> None:
        self._lists: list[list[str]] = data["lists"]
        self._objects: dict[str, list[Any]] = data["objects"]

    @property
    def paths(self) -> list[str]:
        """Every object, parents before children."""
        return list(self._objects)

    @property
    def first_cpu(self) -> str | None:
        """The path of the first CPU; None when the machine has none."""
        for path, (kind, _, _) in self._objects.items():
            if kind.endswith("-cpu"):
                return path
        return None

    def kind(self, path: str) -> str | None:
        """The type of an object; None when there is no such object."""
        found = self._objects.get(path)
        return None if found is None else found[0]

    def properties(self, path: str) -> dict[str, str]:
        """The properties of an object as ``qom-list`` lists them: name -> type."""
        names = self._lists[self._objects[path][1]]
        return dict(zip(names[::2], names[1::2], strict=True))

    def values(self, path: str) -> dict[str, Any]:
        """The values of an object as ``qom-get`` gives them; those that cannot be read are left out."""
        _, number, values = self._objects[path]
        names = self._lists[number][::2]
        return {name: value for name, value in zip(names, values, strict=True) if value != ABSENT}
