"""What a CPU model is made of: as recorded, with the properties that were given on top.

Knows the recorded expansions of a profile, and the texts of target/*/cpu*.c of QEMU 7.2 for wrong properties.
Must not know the machine. Properties that follow from others (ARM's ``sve`` lengths, features that another
one implies) are not computed: what was given is set, nothing else.
"""

from __future__ import annotations

from fakeqemu.qjson import in_order
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.profile import Profile
    from fakeqemu.qjson import Raw

__all__ = ["expansion"]

_COMMAND = "query-cpu-model-expansion"
_NAMES = {bool: "boolean", int: "integer", str: "string"}
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
    return {"model": {"name": model["name"], "props": props}}


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
