"""What a device's properties must be: types, references, and the demands of single models.

Knows hw/core/qdev-properties*.c and the string visitor of QEMU 7.2, through which every value of device_add
goes, and the ``realize`` of models that managers plug. Must not know buses.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.objects import Object
    from fakeqemu.hardware.registry import Registry

__all__ = ["check_id", "check_properties", "check_wanted", "identifier"]

#: Bounds of whole numbers, and what QEMU calls their type.
_BOUNDS = {
    "uint8": (0, 0xFF), "uint16": (0, 0xFFFF), "uint32": (0, 0xFFFFFFFF), "uint64": (0, 0xFFFFFFFFFFFFFFFF),
    "int8": (-0x80, 0x7F), "int16": (-0x8000, 0x7FFF), "int32": (-0x80000000, 0x7FFFFFFF),
    "int64": (-(1 << 63), (1 << 63) - 1), "int": (-(1 << 63), (1 << 63) - 1),
}  # fmt: skip
_ENUMS = {
    "OnOffAuto": ("auto", "on", "off"),
    "BlockdevOnError": ("report", "ignore", "enospc", "stop", "auto"),
    "FdcDriveType": ("144", "288", "120", "none", "auto"),
    "BiosAtaTranslation": ("auto", "none", "lba", "large", "rechs"),
    "LostTickPolicy": ("discard", "delay", "slew"),
    "PCIELinkSpeed": ("2_5", "5", "8", "16"),
    "PCIELinkWidth": ("1", "2", "4", "8", "12", "16", "32"),
    "MultiFDCompression": ("none", "zlib", "zstd"),
}
_FLAGS = ("on", "yes", "true", "y", "off", "no", "false", "n")
#: What every device lists and nobody may set here.
_FIXED = ("type", "parent_bus", "realized", "hotplugged", "hotpluggable", "legacy-addr")


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def identifier(name: object) -> bool:
    """id_wellformed(): a letter, then letters, digits, ``-``, ``.`` and ``_``."""
    if not isinstance(name, str) or not name or not name.isascii() or not name[0].isalpha():
        return False
    return all(sign.isalnum() or sign in "-._" for sign in name)


def check_id(registry: Registry, options: dict[str, Any]) -> str | None:
    """The id of a device to come, or None.

    Raises:
        CommandError: it is malformed or taken.
    """
    ident = options.get("id")
    if ident is None:
        return None
    ident = text_of(ident)
    if not identifier(ident):
        raise _error("Parameter 'id' expects an identifier")
    if registry.device(ident) is not None:
        raise _error(f"Duplicate device ID '{ident}'")
    return ident


def text_of(value: Any) -> str:
    """A value as the string that device_add makes of it (qdict_to_qemuopts)."""
    if value is True:
        return "on"
    if value is False:
        return "off"
    return str(value)


def check_properties(registry: Registry, thing: Object) -> None:
    """Each option against the property of that name, in order.

    Raises:
        CommandError: there is no such property, or the value is none of its type.
    """
    shapes = registry.shapes(thing.kind)
    types = property_types(registry, thing)
    backend = {entry[0] for entry in shapes["virtio-backend"][1]} if "virtio-backend" in shapes else set()
    for name in thing.options:
        if name not in types or name in _FIXED:
            if name in _FIXED and name in types:
                raise _error(f"Property '{thing.kind}.{name}' is not writable")
            raise _error(f"Property '{thing.kind}.{name}' not found")
        owner = shapes["virtio-backend"][0] if name in backend and name not in _OWN else thing.kind
        _check_one(registry, thing, owner, name, types[name])


#: Properties of a virtio device that the function in front of it has too.
_OWN = ("addr", "multifunction", "vectors", "bootindex")


def property_types(registry: Registry, thing: Object) -> dict[str, str]:
    """Names and types of what may be set on a device of that kind."""
    shapes = registry.shapes(thing.kind)
    if shapes:
        return {entry[0]: entry[1] for entry in shapes[""][1] if not entry[1].startswith("child<")}
    return registry.machine.profile.properties(thing.kind)[0] or _Anything()


class _Anything(dict[str, str]):
    """Of a model that nobody has recorded, every property is taken."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "str"


def _check_one(registry: Registry, thing: Object, owner: str, name: str, kind: str) -> None:
    """One option against its property; ``owner`` is what QEMU says the property belongs to."""
    text = text_of(thing.options[name])
    if name == "addr" and kind == "int32":
        from fakeqemu.hardware.slots import devfn_of

        good = devfn_of(text) not in (None, -1)
    elif name == "devno":
        good = _device_number(text)
    elif kind.startswith("link<"):
        _check_link(registry, name, kind[5:-1], text)
        return
    elif kind in ("str", "string"):
        _check_text(registry, owner, name, text)
        return
    else:
        _check_plain(name, kind, text)
        return
    if not good:
        raise _error(f"Property '{owner}.{name}' doesn't take value '{text}'")


def _check_plain(name: str, kind: str, text: str) -> None:
    """Flags, numbers, sizes and words of a set."""
    if kind == "bool":
        if text not in _FLAGS:
            raise _error(f"Parameter '{name}' expects 'on' or 'off'")
    elif kind in _BOUNDS:
        _check_number(name, kind, text)
    elif kind == "size":
        _check_size(name, text)
    elif kind in _ENUMS and text not in _ENUMS[kind]:
        raise _error(f"Parameter '{name}' does not accept value '{text}'")


def number(text: str) -> int | None:
    """A whole number as strtoull takes it with base 0; None when it is none."""
    digits = text.strip().lower()
    negative = digits.startswith("-")
    digits = digits.lstrip("+-") if digits[:1] in ("+", "-") else digits
    try:
        if digits.startswith("0x"):
            value = int(digits, 16)
        elif len(digits) > 1 and digits[0] == "0":
            value = int(digits, 8)
        elif digits.isascii() and digits.isdigit():
            value = int(digits)
        else:
            return None
    except ValueError:
        return None
    return -value if negative else value


def _check_number(name: str, kind: str, text: str) -> None:
    value = number(text)
    if value is None:
        raise _error(f"Parameter '{name}' expects integer")
    least, most = _BOUNDS[kind]
    if not least <= value <= most:
        raise _error(f"Parameter '{name}' expects {kind}_t")


def _check_size(name: str, text: str) -> int:
    from fakeqemu.cmdline.keyval import OptionError, size

    try:
        amount = size(text, name)
    except OptionError:
        raise _error(f"Parameter '{name}' expects size") from None
    if name in (
        "logical_block_size",
        "physical_block_size",
        "min_io_size",
        "opt_io_size",
        "discard_granularity",
    ):
        if not amount or (name == "discard_granularity" and amount == 0xFFFFFFFF):
            return amount
        if not 512 <= amount <= 2097152:
            raise _error(f"Property .{name} doesn't take value {amount} (minimum: 512, maximum: 2097152)")
        if amount & (amount - 1) and name.endswith("block_size"):
            raise _error(f"Property .{name} doesn't take value '{amount}', it's not a power of 2")
    return amount


def _check_link(registry: Registry, name: str, wanted: str, text: str) -> None:
    found = registry.objects.get(text) or registry.find(text)
    if found is None:
        raise CommandError("DeviceNotFound", f"Device '{text}' not found")
    if not is_a(registry, found.kind, wanted):
        raise _error(f"Invalid parameter type for '{name}', expected: {wanted}")


def is_a(registry: Registry, kind: str, wanted: str) -> bool:
    """Whether a type is, or comes from, another; what the profile does not know passes by its name."""
    if kind == wanted:
        return True
    parents = registry.parents()
    at: str | None = kind
    for _ in range(16):
        if at is None:
            return False
        if at == wanted:
            return True
        at = parents.get(at)
    return False


def _device_number(text: str) -> bool:
    """``fe.0.0001``: the number of a channel device (hw/s390x/css.c)."""
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):
        return False
    values = [number(f"0x{part}") for part in parts]
    return all(
        value is not None and 0 <= value <= most
        for value, most in zip(values, (0xFE, 3, 0xFFFF), strict=True)
    )


def _check_text(registry: Registry, owner: str, name: str, text: str) -> None:
    from fakeqemu.hardware import world

    machine = registry.machine
    there = {
        "drive": world.has_drive, "chardev": world.has_chardev, "netdev": world.has_netdev,
        "audiodev": world.has_audiodev,
    }.get(name)  # fmt: skip
    if there is not None and not (name == "drive" and not text) and not there(machine, text):
        raise _error(f"Property '{owner}.{name}' can't find value '{text}'")
    if name == "chardev" and world.chardev_user(registry, text):
        raise _error(f"Property '{owner}.{name}' can't take value '{text}': Device '{text}' is in use")
    if name == "netdev" and any(it.options.get("netdev") == text for it in registry.devices()):
        raise _error(f"Property '{owner}.{name}' can't take value '{text}', it's in use")
    if name in ("mac", "perm_mac"):
        parts = text.replace("-", ":").split(":")
        if len(parts) != 6 or any(len(part) != 2 or number(f"0x{part}") is None for part in parts):
            raise _error(f"Property '{owner}.{name}' doesn't take value '{text}'")


# -- the demands of single models ---------------------------------------------------------------------------


def check_wanted(registry: Registry, thing: Object) -> None:
    """What a model asks for before it works (its ``realize``).

    Raises:
        CommandError: in the model's own words.
    """
    from fakeqemu.hardware.demands import DEMANDS

    for start, check in DEMANDS:
        if thing.kind.startswith(start):
            check(registry, thing)
            break
    else:
        refusal = (registry.facts.get("refusals") or {}).get(thing.kind)
        if refusal and not thing.options and refusal[1] != "?" and not _about_places(refusal[1]):
            raise CommandError(refusal[0], refusal[1].replace("(null)", thing.id or "(null)"))
    _boot_index(registry, thing)


def _about_places(text: str) -> bool:
    return (
        text.startswith(("No '", "Bus '", "PCI:", "Only one", "Parameter 'driver'", "Device '"))
        or " on " in text
    )


def _boot_index(registry: Registry, thing: Object) -> None:
    wanted = thing.options.get("bootindex")
    if wanted is None:
        return
    value = number(text_of(wanted))
    if value is None or value < 0:
        return
    for other in registry.devices():
        if number(text_of(other.values.get("bootindex", other.options.get("bootindex", -1)))) == value:
            raise _error(f"The bootindex {value} has already been used")
