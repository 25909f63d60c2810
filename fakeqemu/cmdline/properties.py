"""Are the properties right that a command line gives to machine, CPU, devices, objects and networks?

Knows the recorded properties of a profile, and the texts of qom/object.c, qdev-properties.c and the visitors
of QEMU 7.2. Must not know what a property does. Imported only for properties that are not among the usual
ones (`fakeqemu.cmdline.options.USUAL_PROPERTIES`): to look one up costs a look into the profile.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.cmdline.argv import CommandLine
    from fakeqemu.cmdline.parts import Device
    from fakeqemu.facts.profile import Profile

__all__ = ["check_cpu", "check_device", "check_machine_options", "check_member"]

_BOOLS = ("on", "off", "yes", "no", "true", "false", "y", "n")
#: What every device has, whether or not it is listed.
_ALWAYS = frozenset(("id", "bus", "driver", "realized", "hotplugged", "help", "type", "failover_pair_id"))


def check_machine_options(line: CommandLine, profile: Profile) -> None:
    """The properties of ``-machine``."""
    kind = f"{line.machine}-machine"
    listed = profile.value("qom-list-properties", {"typename": kind})
    if listed is None:
        return
    types = {entry["name"]: entry["type"] for entry in listed}
    for key, value in line.machine_options.items():
        name = "memory-backend" if key == "memory-backend" else key
        if name == "accel":
            continue
        if name not in types:
            raise line.error(f"Property '{kind}.{key}' not found")
        if types[name] == "bool" and value not in _BOOLS:
            raise line.error(f"Parameter '{key}' expects 'on' or 'off'")
        if types[name] == "OnOffAuto" and value not in ("on", "off", "auto"):
            raise line.error(f"Parameter '{key}' does not accept value '{value}'")


def check_cpu(line: CommandLine, profile: Profile) -> None:
    """The features of ``-cpu``: those of x86, whose properties are all listed."""
    words = line.last.get("cpu", "").split(",")
    if profile.arch not in ("x86_64", "i386"):
        return
    if line.cpu == "host" and line.accel != "kvm":
        raise line.error("CPU model 'host' requires KVM or HVF")
    kind = f"{line.cpu}-{profile.arch}-cpu"
    types = profile.properties(kind)[0]
    if not types:
        return
    for word in words[1:]:
        if word[:1] in "+-":
            if _feature(word[1:], types) is None:
                raise line.error(f"Property '{kind}.{word[1:]}' not found")
            continue
        key, equals, value = word.partition("=")
        value = value if equals else "on"
        name = _feature(key, types)
        given = f"can't apply global {kind}.{key}={value}: "
        if name is None:
            raise line.error(f"{given}Property '{kind}.{key}' not found")
        if types[name] in ("bool", "boolean") and value not in _BOOLS:
            raise line.error(f"{given}Parameter '{key}' expects 'on' or 'off'")


def _feature(key: str, types: dict[str, str]) -> str | None:
    """The property that a feature's name stands for."""
    if key in types:
        return key
    dashed = key.replace("_", "-")
    return dashed if dashed in types else None


def check_device(line: CommandLine, profile: Profile, device: Device) -> None:
    """The properties of a ``-device``: those of its recorded model."""
    types = profile.properties(device.kind)[0]
    if not types:
        return
    for key, value in device.options.items():
        if key in _ALWAYS or key.startswith("len-") or "." in key:
            continue
        if key not in types and f"{key}[0]" not in types:
            raise line.error(f"{device.text}: Property '{device.kind}.{key}' not found")
        if isinstance(value, str) and types.get(key) == "bool" and value not in _BOOLS:
            raise line.error(f"{device.text}: Parameter '{key}' expects 'on' or 'off'")


def check_member(line: CommandLine, profile: Profile, command: str, thing: Device, text: str) -> None:
    """The members of an ``-object`` or a ``-netdev``: those of its variant in the schema.

    Args:
        line: the command line.
        profile: the facts.
        command: ``object-add`` or ``netdev_add``.
        thing: what was read of the option.
        text: what QEMU says of an unknown one, with ``{}`` for its name.
    """
    types: dict[str, Any] = profile.arguments["types"]
    made = types[profile.commands[command]]
    variant = made["variants"].get(thing.kind)
    known = {name: optional for name, _, optional in made["members"]}
    if variant is not None:
        known |= {name: optional for name, _, optional in types[variant]["members"]}
    for key in thing.options:
        if key.partition(".")[0] not in known:
            raise line.error(f"{thing.text}: {text.format(key)}")
    for key, optional in known.items():
        if not optional and key not in thing.options and key not in ("id", "type", "qom-type"):
            raise line.error(f"{thing.text}: Parameter '{key}' is missing")
