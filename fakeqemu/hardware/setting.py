"""``qom-set``: what may be set while the machine is there, and what follows.

Knows the setters of QEMU 7.2 that managers use, and the words with which the others refuse. Must not know
commands.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.tree import View

__all__ = ["assign"]

_JSON: dict[str, tuple[str, type]] = {
    "bool": ("boolean", bool),
    "string": ("string", str),
    "str": ("string", str),
}
_INTEGERS = (
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "size",
    "uint64_t",
)
#: Read-only wherever they are.
_FIXED = ("type", "parent_bus", "hotplugged", "hotpluggable", "opened", "legacy-addr", "loaded", "connected")
#: Properties of devices that may be set although the device is realized.
_LATE = (
    "bootindex", "drive", "guest-stats-polling-interval", "requested-size", "realized",
    "acpi-index", "attached",
)  # fmt: skip


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def assign(view: View, name: str, value: Any) -> None:
    """Set a property.

    Raises:
        CommandError: there is none of that name, it cannot be set, or not to this.
    """
    entry = view.entry(name)
    if entry is None:
        raise _error(f"Property '{view.kind}.{name}' not found")
    kind: str = entry[1]
    if name in _FIXED or kind.startswith("child<") or name == "guest-stats":
        owner = view.kind
        if name == "guest-stats" and "virtio-backend" in view.registry.shapes(view.kind):
            owner = view.registry.shapes(view.kind)["virtio-backend"][0]
        raise _error(f"Property '{owner}.{name}' is not writable")
    if name == "guest-stats-polling-interval":
        _whole(name, value)
        from fakeqemu.hardware.balloon import set_interval

        set_interval(view.registry, value)
        return
    device = any(it[0] == "hotpluggable" for it in view.entries)
    if device and name not in _LATE:
        raise _error(_realized(view, name))
    _typed(view, name, kind, value)
    owner_ = view.owner
    if name == "requested-size" and owner_ is not None and owner_.kind.startswith("virtio-mem"):
        from fakeqemu.hardware.memory import resize

        resize(view.registry, owner_, value)
        return
    if name == "memory-encryption":
        raise _error(f"No such memory encryption object '{value}'")
    view.registry.changed[view.path, name] = value


def _realized(view: View, name: str) -> str:
    """A property of a device that is realized stays as it is."""
    owner = view.owner
    shapes = view.registry.shapes(view.kind)
    backend = shapes.get("virtio-backend")
    who = f"anonymous device (type '{view.kind}')"
    if owner is not None and owner.path == view.path:
        from fakeqemu.hardware.checks import _OWN

        behind = backend is not None and name not in _OWN and any(it[0] == name for it in backend[1])
        if behind and backend is not None:
            who = f"anonymous device (type '{backend[0]}')"
        elif owner.id is not None:
            who = f"device '{owner.id}' (type '{view.kind}')"
    return f"Attempt to set property '{name}' on {who} after it was realized"


def _whole(name: str, value: Any) -> None:
    if type(value) is not int:
        raise _error(f"Invalid parameter type for '{name}', expected: integer")


def _typed(view: View, name: str, kind: str, value: Any) -> None:
    """The value against the property's type, as its setter reads it."""
    if kind in _INTEGERS:
        _whole(name, value)
        if view.kind == "iothread" and not 0 <= value < 1 << 63:
            raise _error(f"{name} value must be in range [0, {(1 << 63) - 1}]")
        if kind.startswith("uint") and value < 0:
            raise _error(f"Parameter '{name}' expects {kind.removesuffix('_t')}")
        return
    textual = kind == "OnOffAuto" or kind.startswith("link<")
    word, wanted = ("string", str) if textual else _JSON.get(kind, ("", object))
    if not isinstance(value, wanted):
        raise _error(f"Invalid parameter type for '{name}', expected: {word}")
    if kind == "OnOffAuto" and value not in ("auto", "on", "off"):
        raise _error(f"Parameter '{name}' does not accept value '{value}'")
    if kind.startswith("link<") and isinstance(value, str) and value:
        from fakeqemu.hardware.tree import not_found, resolve

        if resolve(view.registry, value)[0] is None:
            raise not_found(value)
