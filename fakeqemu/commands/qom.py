"""QEMU's object model: the paths that managers walk, and what they read and set there."""

from __future__ import annotations

from fakeqemu.protocol.qjson import Raw, encode, remembered
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.hardware.tree import View
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "device_list_properties",
    "qom_get",
    "qom_list",
    "qom_list_properties",
    "qom_list_types",
    "qom_set",
]


def _seen(machine: FakeQemu, path: str, *, ambiguous: bool) -> View:
    """The object at a path.

    Raises:
        CommandError: there is none; ``ambiguous`` says whether the command tells two from none.
    """
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.tree import not_found, resolve

    view, many = resolve(registry_of(machine), path)
    if view is None:
        if many and ambiguous:
            raise CommandError("GenericError", f"Path '{path}' is ambiguous")
        raise not_found(path)
    return view


@command("qom-list", takes=True)
def qom_list(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Raw:
    """The properties and children of an object."""
    del session
    view = _seen(machine, arguments["path"], ambiguous=True)
    common = view.common()
    return _told(view) if common is None else _once(common, lambda: _told(view))


def _once(record: Any, make: Callable[[], Raw]) -> Raw:
    """The reply that belongs to a record, which is the same in all machines."""
    found = _common.get(id(record))
    if found is None or found[0] is not record:
        if len(_common) >= 256:
            _common.clear()
        found = _common[id(record)] = (record, make())
    return found[1]


#: The replies about what is alike in all machines, such as a CPU's hundreds of features; with the records
#: themselves, so that these stay.
_common: dict[int, tuple[Any, Raw]] = {}


def _told(view: View) -> Raw:
    listed = tuple(view.listed())
    return remembered(("qom-list", listed), lambda: [{"name": name, "type": kind} for name, kind in listed])


@command("qom-get", takes=True)
def qom_get(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Any:
    """The value of a property."""
    del session
    view, name = _seen(machine, arguments["path"], ambiguous=False), arguments["property"]
    fixed = view.fixed(name)
    return view.get(name) if fixed is None else _once(fixed, lambda: Raw(encode(view.get(name))))


@command("qom-set", takes=True)
def qom_set(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Set a property."""
    del session
    from fakeqemu.hardware.setting import assign

    assign(_seen(machine, arguments["path"], ambiguous=False), arguments["property"], arguments["value"])


@command("qom-list-types", takes=True)
def qom_list_types(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Raw | list[Any]:
    """The types of the program, or those that descend from one; to list them, every module is loaded."""
    del session
    machine.parts.setdefault("modules", set()).add("*")
    recorded = machine.profile.recorded("qom-list-types", arguments)
    if recorded is not None:
        return recorded
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.checks import is_a

    wanted = arguments.get("implements")
    # Abstract types are listed where they are asked for, and only then.
    plain = {"abstract": True} if arguments.get("abstract") else {}
    every = machine.profile.value("qom-list-types", plain) or []
    if wanted is None:
        return list(every)
    registry = registry_of(machine)
    return [entry for entry in every if is_a(registry, entry["name"], wanted)]


@command("device-list-properties", takes=True)
def device_list_properties(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Raw:
    """The properties of a device model, as recorded."""
    del session
    name, profile = arguments["typename"], machine.profile
    recorded = profile.recorded("device-list-properties", {"typename": name})
    if recorded is not None:
        return recorded
    every = {entry["name"] for entry in profile.value("qom-list-types", {"abstract": True}) or ()}
    if name not in every:
        raise CommandError("DeviceNotFound", f"Device '{name}' not found")
    raise CommandError("GenericError", "Parameter 'typename' expects a non-abstract device type")


@command("qom-list-properties", takes=True)
def qom_list_properties(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Raw | list[Any]:
    """The properties of a type, as recorded; of a device that was recorded in parts only, what it lists."""
    del session
    name = arguments["typename"]
    recorded = machine.profile.recorded("qom-list-properties", arguments)
    if recorded is not None:
        return recorded
    from fakeqemu.hardware import registry_of

    if name not in registry_of(machine).parents() and name != "object":
        raise CommandError("DeviceNotFound", f"Class '{name}' not found")
    return _listed(machine, name)


def _listed(machine: FakeQemu, name: str) -> list[dict[str, Any]]:
    """What an object of a type lists before it is put to use: its properties without its parts."""
    from fakeqemu.hardware import registry_of

    entries = machine.profile.value("device-list-properties", {"typename": name}) or []
    words = {entry["name"]: entry["description"] for entry in entries if "description" in entry}
    shapes = registry_of(machine).shapes(name)
    listed = shapes[""][1] if shapes else [["type", "string"], *([it["name"], it["type"]] for it in entries)]
    found = []
    for key, kind, *_ in listed:
        if not kind.startswith("child<") or key in ("virtio-backend", "xhci-core"):
            described = {"description": words[key]} if key in words else {}
            found.append({"name": key, **described, "type": kind})
    return found
