"""Are these arguments right? As QEMU's generated visitors would say.

Knows the types that a profile holds (made from ``query-qmp-schema``) and the texts of qobject-input-visitor.c
of QEMU 7.2. Must not know commands.

The members of a type are visited in the schema's order; what is left over is complained about afterwards.
"""

from __future__ import annotations

from fakeqemu.protocol.qjson import in_order
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.facts.profile import Profile

__all__ = ["check"]

_NAMES = {bool: "boolean", str: "string", int: "integer", float: "number", dict: "object", list: "array"}
#: An alternate tries its members by JSON type.
_KINDS = {bool: "boolean", str: "string", int: "integer", float: "number", dict: "object", list: "array"}


def check(profile: Profile, command: str, arguments: dict[str, Any]) -> None:
    """Check a command's arguments.

    Raises:
        CommandError: with QEMU's class and text for the first thing that is wrong.
    """
    table = profile.arguments
    _object(table["types"], table["commands"][command], arguments, "")


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


def _visit(  # noqa: C901, PLR0912 - one branch for each kind of type
    types: dict[str, Any], kind: str, value: Any, path: str, leaf: str
) -> None:
    if kind.startswith("["):
        if type(value) is not list:
            raise _wrong(path, "array")
        for index, element in enumerate(value):
            _visit(types, kind[1:-1], element, f"{path}[{index}]", "null")
        return
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        if type(value) not in scalar:
            raise _wrong(path, kind)
        return
    if kind == "any":
        return
    if kind in _INTEGERS:
        _integer(kind, value, path, leaf)
        return
    made = types[kind]
    if "enum" in made:
        if type(value) is not str:
            raise _wrong(path, "string")
        if value not in made["enum"]:
            raise _fail(f"Parameter '{leaf}' does not accept value '{value}'")
    elif "alternate" in made:
        _alternate(types, made, value, path, leaf)
    else:
        if type(value) is not dict:
            raise _wrong(path, "object")
        _object(types, kind, value, f"{path}.")


_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,), "number": (int, float), "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
#: The kinds of integers, with the bits of each; ``integer`` is what an old profile says.
_INTEGERS = {
    "integer": 64, "int64": 64, "int32": 32, "int16": 16, "int8": 8, "uint64": 64, "uint32": 32, "uint16": 16,
    "uint8": 8,
}  # fmt: skip


def _integer(kind: str, value: Any, path: str, leaf: str) -> None:
    """qobject-input-visitor.c reads 64 bits, qapi-visit-core.c narrows them; negative passes for unsigned."""
    bits = _INTEGERS[kind]
    if kind.startswith("u"):
        if type(value) is not int or not -(1 << 63) <= value < 1 << 64:
            raise _fail(f"Parameter '{path}' expects uint64")
        fits = value % (1 << 64) < 1 << bits
    else:
        if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
            raise _wrong(path, "integer")
        fits = -(1 << bits - 1) <= value < 1 << bits - 1
    if not fits:
        raise _fail(f"Parameter '{leaf}' expects {kind}_t")


def _wrong(path: str, kind: str) -> CommandError:
    return _fail(f"Invalid parameter type for '{path}', expected: {kind}")


def _alternate(types: dict[str, Any], alternate: dict[str, Any], value: Any, path: str, leaf: str) -> None:
    for member in alternate["alternate"]:
        scalar = _SCALARS.get(member)
        if scalar is not None:
            fits = type(value) in scalar
        elif member in _INTEGERS:
            fits = type(value) is int
        elif member.startswith("["):
            fits = type(value) is list
        else:
            # Types are read when they are first named: `get` would not know this one yet.
            fits = type(value) is (str if "enum" in types[member] else dict)
        if fits:
            _visit(types, member, value, path, leaf)
            return
    raise _wrong(leaf, alternate.get("name", "alternate"))


def _object(types: dict[str, Any], kind: str, value: dict[str, Any], prefix: str) -> None:
    used: set[str] = set()
    _members(types, kind, value, prefix, used)
    left = value.keys() - used
    if left:
        from fakeqemu.glib import hash_order

        first = next(key for key in hash_order(in_order(tuple(value))) if key in left)
        raise _fail(f"Parameter '{prefix}{first}' is unexpected")


def _members(types: dict[str, Any], kind: str, value: dict[str, Any], prefix: str, used: set[str]) -> None:
    made = types[kind]
    for name, member, optional in made["members"]:
        used.add(name)
        if name in value:
            _visit(types, member, value[name], prefix + name, name)
        elif not optional:
            raise _fail(f"Parameter '{prefix}{name}' is missing")
    tag = made.get("tag")
    if tag is not None and tag in value:
        variant = made["variants"].get(value[tag])
        if variant is not None:
            _members(types, variant, value, prefix, used)
