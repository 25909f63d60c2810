"""The QOM tree as managers walk it: recorded shapes, with the machine's own values in them.

Knows paths, absolute and partial, and how QEMU lists properties (class by class, then the object's own, in
GLib's order, all from the back). Must not know what a property is good for. Sources: qom/object.c, qom/qom-
qmp-cmds.c of QEMU 7.2.
"""

from __future__ import annotations

from fakeqemu.glib import hash_order
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry

__all__ = ["View", "children", "not_found", "resolve", "view_of"]

#: What a container lists before its children.
_TYPE = ["type", "string"]
#: How deep a tree is searched for a partial path.
_DEPTH = 12


def not_found(path: str) -> CommandError:
    """There is no such object."""
    return CommandError("DeviceNotFound", f"Device '{path}' not found")


class View:
    """An object as it is looked at: its kind, its properties as recorded, and what the machine changed.

    Attributes:
        path: where it is.
        kind: its QOM type.
        entries: [name, type, value, error] each, the last two only where they are known.
        owner: the device or user object it is, or is a part of.
    """

    __slots__ = ("entries", "kind", "names", "owner", "path", "registry")

    def __init__(
        self,
        registry: Registry,
        path: str,
        kind: str,
        entries: list[Any],
        *,
        owner: Object | None = None,
        names: tuple[str, str] | None = None,
    ) -> None:
        self.registry, self.path, self.kind, self.entries, self.owner = registry, path, kind, entries, owner
        #: What stands for the object's own path and id in the recording.
        self.names = names

    def listed(self) -> list[tuple[str, str]]:
        """Names and types, in QEMU's order."""
        names, entries = self.names, _as_it_came(self) or self.entries
        if names is None:
            return [(entry[0], entry[1]) for entry in entries]
        return [(own_name(entry[0], names[1]), entry[1]) for entry in entries]

    def common(self) -> list[Any] | None:
        """The entries, where they are listed as recorded and so alike in all machines; else None."""
        nameless = self.names is not None and not self.names[1]
        return self.entries if nameless and _as_it_came(self) is None else None

    def entry(self, name: str) -> Any:
        """The recorded entry of a property, or None."""
        if self.names is None:
            return next((entry for entry in self.entries if entry[0] == name), None)
        found = _index(self.entries).get(name)
        if found is not None:
            return found
        ident = self.names[1]
        if not ident or not name.startswith(ident):
            return None
        return _index(self.entries).get(f"x{name[len(ident) :]}")

    def get(self, name: str) -> Any:
        """The value of a property.

        Raises:
            CommandError: there is no such property, or it cannot be read.
        """
        entry = self.entry(name)
        if entry is None:
            raise CommandError("GenericError", f"Property '{self.kind}.{name}' not found")
        if name == "type":
            return self.kind
        from fakeqemu.hardware.values import live_value

        known, value = live_value(self, name)
        if known:
            return value
        if entry[1].startswith("child<"):
            return f"{self.path.rstrip('/')}/{name}"
        if len(entry) > 3:
            raise CommandError("GenericError", self.own(entry[3]))
        if len(entry) > 2:
            from fakeqemu.hardware.facts import reinserted

            return reinserted(self.own(entry[2]))
        return {"bool": False, "str": "", "string": ""}.get(
            entry[1], "" if entry[1].startswith("link<") else 0
        )

    def fixed(self, name: str) -> Any:
        """The record of a property's value where that is a structure, alike in all machines; else None."""
        from fakeqemu.hardware.values import live_value

        entry = self.entry(name)
        if entry is None or len(entry) != 3 or type(entry[2]) not in (dict, list):
            return None
        return None if live_value(self, name)[0] else entry[2]

    def own(self, value: Any) -> Any:
        """A recorded value with the object's own path and id in it."""
        names = self.names
        if names is None or type(value) is not str or "$" not in value:
            return value
        value = value.replace("$", names[0])
        head, dot, tail = value.rpartition("/")
        return f"{head}{dot}{own_name(tail, names[1])}" if tail != value else value


def _as_it_came(view: View) -> Any:
    """What a PCI device lists that came later or behind a root port: its parts have another order there."""
    owner = view.owner
    if owner is None or owner.path != view.path or owner.room is None:
        return None
    way = "hot" if owner.hotplugged else ""
    if owner.room.kind == "PCIE" and owner.room.owner is not None:
        way = f"{way} express".strip()
    ways = view.registry.facts.get(f"listing {owner.kind}") if way else None
    return ways.get(way) if ways is not None else None


#: Recorded entries by name, for those that are large and asked for one by one; with them, so that they stay.
_indexes: dict[int, tuple[list[Any], dict[str, Any]]] = {}


def _index(entries: list[Any]) -> dict[str, Any]:
    """Entries of a recorded kind by name. Kinds are shared by all machines, so there are not many."""
    found = _indexes.get(id(entries))
    if found is None or found[0] is not entries:
        if len(_indexes) >= 1024:
            _indexes.clear()
        found = _indexes[id(entries)] = (entries, {entry[0]: entry for entry in entries})
    return found[1]


def own_name(name: str, ident: str | None) -> str:
    """A recorded name of a bus: devices were recorded under the id ``x``, which names their buses."""
    if ident is not None and (name == "x" or name.startswith(("x.", "x["))):
        return ident + name[1:]
    return name


def container(
    registry: Registry, path: str, kinds: dict[str, str], order: tuple[str, ...] | None = None
) -> View:
    """A container with these children; ``order`` is that in which GLib walks them."""
    walked = order if order is not None else hash_order(kinds)
    listed = [[name, f"child<{kinds[name]}>"] for name in reversed(walked)]
    return View(registry, path, "container", [_TYPE, *listed])


def view_of(registry: Registry, path: str) -> View:
    """The object at a canonical path.

    Raises:
        CommandError: DeviceNotFound.
    """
    found = look(registry, path)
    if found is None:
        raise not_found(path)
    return found


def look(registry: Registry, path: str) -> View | None:
    """The object at a canonical path, or None."""
    if path == "/":
        return _root(registry)
    top = path.split("/")
    if top[1] == "machine":
        return _machine(registry, path, top)
    if top[1] == "objects":
        return _object(registry, path, top) if registry.objects or len(top) > 2 else None
    if top[1] == "chardevs":
        return _chardev(registry, path, top)
    from fakeqemu.hardware.board import board_view

    return board_view(registry, path)


def _root(registry: Registry) -> View:
    """What stands at the top: as recorded, as far as it is there."""
    from fakeqemu.hardware.board import board_tree

    recorded = board_tree(registry).get("")
    names = (
        [entry[0] for entry in recorded[1]]
        if recorded is not None
        else ["type", "objects", "machine", "chardevs"]
    )
    if "objects" not in names and registry.objects:
        names.insert(1, "objects")
    there = {"chardevs": bool(registry.machine.line.chardevs), "objects": bool(registry.objects)}
    kinds = {"type": "string", "machine": f"child<{registry.machine_kind}>"}
    entries = [[name, kinds.get(name, "child<container>")] for name in names if there.get(name, True)]
    return View(registry, "/", "container", entries)


def _machine(registry: Registry, path: str, top: list[str]) -> View | None:
    if path in ("/machine/peripheral", "/machine/peripheral-anon"):
        held = registry.listed[top[2]]
        kinds = {name: thing.kind for name in held if (thing := registry.at(f"{path}/{name}")) is not None}
        return container(registry, path, kinds, tuple(kinds))
    if len(top) > 3 and top[2] in ("peripheral", "peripheral-anon"):
        thing = registry.at("/".join(top[:4]))
        return None if thing is None else part_of(registry, thing, path)
    from fakeqemu.hardware.board import board_view

    return board_view(registry, path)


def part_of(registry: Registry, thing: Object, path: str) -> View | None:
    """A device, a CPU or a user object, or a part below it, as its kind was recorded."""
    shapes = registry.shapes(thing.kind)
    relative = path[len(thing.path) + 1 :]
    if not shapes:
        if relative:
            return None
        return View(registry, path, thing.kind, bare_entries(registry, thing), owner=thing)
    ident = thing.id if thing.id is not None else ""
    for where, (kind, entries) in shapes.items():
        if where == relative or (where and own_path(where, ident) == relative):
            shown = thing.kind if kind == "$kind" else kind
            return View(registry, path, shown, entries, owner=thing, names=(thing.path, ident))
    return None


def own_path(where: str, ident: str | None) -> str:
    """A recorded relative path, with the object's own id in it."""
    return "/".join(own_name(part, ident) for part in where.split("/"))


_DEVICE = (["type", "string"], ["parent_bus", "link<bus>"], ["realized", "bool", True],
           ["hotplugged", "bool", False], ["hotpluggable", "bool", True])  # fmt: skip


def bare_entries(registry: Registry, thing: Object) -> list[Any]:
    """What is known of a kind that could not be recorded in full: what every device has, and its options."""
    entries: list[Any] = list(_DEVICE) if not thing.path.startswith("/objects/") else [_TYPE]
    types, defaults = registry.machine.profile.properties(thing.kind)
    for name, kind in types.items():
        entries.append([name, kind, defaults[name]] if name in defaults else [name, kind])
    known = {entry[0] for entry in entries}
    entries += [[name, "str"] for name in thing.options if name not in known]
    return entries


def _object(registry: Registry, path: str, top: list[str]) -> View | None:
    if len(top) == 2:
        names = tuple(registry.listed["objects"])
        return container(registry, path, {name: registry.objects[name].kind for name in names}, names)
    thing = registry.objects.get(top[2])
    return None if thing is None else part_of(registry, thing, path)


def _chardev(registry: Registry, path: str, top: list[str]) -> View | None:
    from fakeqemu.chardevs import chardevs_of

    chardevs = chardevs_of(registry.machine).all
    if len(top) == 2:
        return container(registry, path, {name: f"chardev-{it.kind}" for name, it in chardevs.items()})
    if len(top) == 3 and top[2] in chardevs:
        kind = f"chardev-{chardevs[top[2]].kind}"
        own = [["addr", "SocketAddress"], ["connected", "bool"]] if kind == "chardev-socket" else []
        return View(registry, path, kind, [_TYPE, *own])
    return None


# -- paths --------------------------------------------------------------------------------------------------


def resolve(registry: Registry, path: str) -> tuple[View | None, bool]:
    """The object at a path, and whether the path was ambiguous.

    An absolute path is followed name by name, links included; a partial one is looked for in the whole tree.
    """
    if path.startswith("/"):
        names = [part for part in path.split("/") if part]
        # Most paths are canonical; the others lead over links.
        return look(registry, "/" + "/".join(names)) or _follow(registry, "/", names), False
    parts = [part for part in path.split("/") if part]
    if not parts:
        return None, True
    found: View | None = None
    for root in _search(registry, "/", parts, 0):
        if found is not None and found.path != root.path:
            return None, True
        found = root
    return found, False


def _follow(registry: Registry, where: str, parts: list[str]) -> View | None:
    view = look(registry, where)
    for part in parts:
        if view is None:
            return None
        entry = view.entry(part)
        if entry is None:
            return None
        if entry[1].startswith("child<"):
            view = look(registry, f"{view.path.rstrip('/')}/{part}")
        elif entry[1].startswith("link<"):
            try:
                target = view.get(part)
            except CommandError:
                return None
            view = look(registry, target) if target else None
        else:
            return None
    return view


def _search(registry: Registry, where: str, parts: list[str], depth: int) -> Iterator[View]:
    """Objects below one at which a partial path leads somewhere (object_resolve_partial_path)."""
    found = _follow(registry, where, parts) if _may_begin(registry, where, parts[0]) else None
    if found is not None:
        yield found
    if depth < _DEPTH:
        for name in children(registry, where):
            yield from _search(registry, f"{where.rstrip('/')}/{name}", parts, depth + 1)


def _may_begin(registry: Registry, where: str, name: str) -> bool:
    view = look(registry, where)
    return view is not None and view.entry(name) is not None


def children(registry: Registry, where: str) -> list[str]:
    """Names of an object's children."""
    view = look(registry, where)
    if view is None:
        return []
    return [name for name, kind in view.listed() if kind.startswith("child<")]


def walk(registry: Registry, where: str, hear: Callable[[str], None]) -> None:
    """Every path below one."""
    for name in children(registry, where):
        path = f"{where.rstrip('/')}/{name}"
        hear(path)
        walk(registry, path, hear)
