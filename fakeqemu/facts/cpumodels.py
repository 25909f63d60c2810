"""What a CPU model is made of: as recorded, with the properties that were given on top.

Knows the recorded expansions of a profile, and the texts of target/*/cpu*.c of QEMU 7.2 for wrong properties.
Must not know the machine. What was given is set, and on x86 its other names with it; properties that
follow from others (ARM's ``sve`` lengths, features that another one implies) are not computed.
"""

from __future__ import annotations

from fakeqemu.protocol.qjson import in_order
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.facts.profile import Profile
    from fakeqemu.protocol.qjson import Raw

__all__ = ["expansion"]

_COMMAND = "query-cpu-model-expansion"
_NAMES = {bool: "boolean", int: "integer", str: "string"}
#: Other names of x86 features (target/i386/cpu.c); an underscore may stand for each dash besides.
_ALIASES = {
    "xd": "nx", "i64": "lm", "sse3": "pni", "sse4-1": "sse4.1", "sse4_1": "sse4.1", "sse4-2": "sse4.2",
    "sse4_2": "sse4.2", "pclmuldq": "pclmulqdq", "ffxsr": "fxsr-opt", "kvm_steal_time": "kvm-steal-time",
}  # fmt: skip
_LEVELS = ("level", "xlevel", "xlevel2", "level-func7", "min-level", "min-xlevel")
#: As many features as only a whole model names.
_MANY = 200
#: The model that was asked for to hear what is said of a model that is not there.
_UNKNOWN = "nonesuch"


def expansion(profile: Profile, arguments: dict[str, Any]) -> Raw | dict[str, Any]:
    """The reply to ``query-cpu-model-expansion``.

    Raises:
        CommandError: QEMU refuses it, or has not been asked.
    """
    recorded = profile.recorded(_COMMAND, arguments)
    if recorded is not None:
        return recorded
    kind, name = arguments["type"], arguments["model"]["name"]
    bare = {"type": kind, "model": {"name": name}}
    _refused(profile, arguments, name)
    _refused(profile, bare, name)
    found = profile.value(_COMMAND, bare)
    given = arguments["model"].get("props")
    if found is None:
        _refused(profile, {"type": kind, "model": {"name": _UNKNOWN}}, name)
        raise CommandError("GenericError", f"the CPU model '{name}' is not defined")
    if given is None:
        given = {}
    if type(given) is not dict:
        if profile.arch not in ("x86_64", "i386"):
            raise CommandError("GenericError", "Invalid parameter type for 'props', expected: dict")
        given = {}
    _check(profile, name, given)
    model = found["model"]
    # Members that share a bucket of QEMU's hash table were written last in, first out.
    props = dict(reversed(model.get("props", {}).items()))
    props |= {key: value for key, value in given.items() if key in props}
    if given and profile.arch in ("x86_64", "i386"):
        for key in props:
            props[key] = props[_ALIASES.get(key, key.replace("_", "-") if "_" in key else key)]
        if name == "base" and kind == "full":
            props |= _levels(profile, given)
    return {"model": {"name": model["name"], "props": props}}


def _levels(profile: Profile, given: dict[str, Any]) -> dict[str, Any]:
    """How high CPUID goes for a set of features: as in the model that has just these, if there is one."""
    names = ["max", *(entry["name"] for entry in profile.value("query-cpu-definitions") or ())]
    for name in names:
        static = profile.value(_COMMAND, {"type": "static", "model": {"name": name}})
        if static is not None and static["model"]["props"] == given:
            full = profile.value(_COMMAND, {"type": "full", "model": {"name": name}})["model"]["props"]
            return {key: full[key] for key in _LEVELS if key in full}
    # No model's own set. Of many features, some are likely to be the highest one's.
    return _levels(profile, _static_of_max(profile)) if len(given) > _MANY else {}


def _static_of_max(profile: Profile) -> dict[str, Any]:
    found = profile.value(_COMMAND, {"type": "static", "model": {"name": "max"}})
    props: dict[str, Any] = found["model"]["props"] if found is not None else {}
    return props


def _refused(profile: Profile, question: dict[str, Any], name: str) -> None:
    refusal = profile.refusal(_COMMAND, question)
    if refusal is not None:
        raise CommandError(refusal["class"], refusal["desc"].replace(_UNKNOWN, name))


def _check(profile: Profile, name: str, given: dict[str, Any]) -> None:
    """The properties that were given, in the order in which QEMU sets them."""
    if not given:
        return
    full = profile.value(_COMMAND, {"type": "full", "model": {"name": name}})
    known: dict[str, Any] = full["model"].get("props", {}) if full is not None else {}
    for key in in_order(tuple(given)):
        if key not in known:
            text = f"Property '{name}-{profile.arch}-cpu.{key}' not found"
            if profile.arch in ("aarch64", "arm"):
                text = f"Parameter '{key}' is unexpected"
            raise CommandError("GenericError", text)
        wanted = _NAMES.get(type(known[key]))
        if wanted is not None and type(given[key]) is not type(known[key]):
            raise CommandError("GenericError", f"Invalid parameter type for '{key}', expected: {wanted}")
