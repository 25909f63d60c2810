"""Schema as law: what the fake says must be what QEMU's own schema allows.

`check_reply` and `check_event` raise `AssertionError` for the first thing that the schema of a profile does
not allow: a member that is missing, unknown or of the wrong type, an enum value that is not there, a
variant's members. `enforce` makes every machine of the process that has no script to lie obey: `puppet` calls
it, so that every reply and event in every test with a puppet is checked.
"""

from __future__ import annotations

from typing import Any

from fakeqemu.facts.profile import Profile
from fakeqemu.machine import FakeQemu
from fakeqemu.protocol import dispatch
from fakeqemu.protocol.qjson import Raw, encode, parse

__all__ = ["check_event", "check_line", "check_reply", "enforce"]

#: Replies that have been found good, by command and text: what is recorded is looked at once.
_good: set[tuple[str, str]] = set()

#: JSON types of the schema's built-in types.
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "int": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),),
    "array": (list,), "object": (dict,),
}  # fmt: skip


def check_reply(profile: Profile, command: str, value: Any) -> None:
    """Check the value of a command's reply against its return type."""
    entity = profile.schema().get(command)
    assert entity is not None, f"{command} is no command of the profile"
    assert entity["meta-type"] == "command", f"{command} is no command of the profile"
    _value(profile.schema(), entity["ret-type"], value, f"reply to {command}")


def check_event(profile: Profile, name: str, data: dict[str, Any] | None) -> None:
    """Check an event's name and data."""
    entity = profile.schema().get(name)
    assert entity is not None, f"{name} is no event of the profile"
    assert entity["meta-type"] == "event", f"{name} is no event of the profile"
    _value(profile.schema(), entity["arg-type"], data or {}, f"event {name}")


def check_line(profile: Profile, message: Any, command: str | None) -> None:
    """Check a whole message: an event, a reply to ``command``, an error, or a greeting."""
    assert isinstance(message, dict), f"no object: {message!r}"
    if "event" in message:
        assert set(message) <= {"event", "data", "timestamp"}, f"members of an event: {sorted(message)}"
        assert set(message["timestamp"]) == {"seconds", "microseconds"}
        check_event(profile, message["event"], message.get("data"))
    elif "error" in message:
        assert set(message) <= {"error", "id"}
        assert set(message["error"]) == {"class", "desc"}, message["error"]
        classes = {"GenericError", "CommandNotFound", "DeviceNotActive", "DeviceNotFound", "KVMMissingCap"}
        assert message["error"]["class"] in classes, message["error"]
        assert isinstance(message["error"]["desc"], str)
    elif "return" in message:
        assert set(message) <= {"return", "id"}
        if command is not None:
            check_reply(profile, command, message["return"])
    else:
        assert set(message) == {"QMP"}, f"neither event nor reply: {sorted(message)}"


def enforce() -> None:
    """Check what every machine of this process says from now on; once is enough."""
    if dispatch._reply.__name__ == "lawful_reply":
        return
    reply, tell = dispatch._reply, FakeQemu.tell

    def lawful_reply(machine: FakeQemu, session: Any, request: Any, value: Any) -> None:
        text = value.text if type(value) is Raw else encode({} if value is None else value)
        if request.name in machine.profile.commands and (request.name, text) not in _good:
            check_reply(machine.profile, request.name, parse(text))
            if len(_good) < 10_000:
                _good.add((request.name, text))
        reply(machine, session, request, value)

    def lawful_tell(machine: FakeQemu, event: str, data: dict[str, Any] | None = None) -> None:
        if machine.script is None:
            check_event(machine.profile, event, data)
        tell(machine, event, data)

    dispatch._reply = lawful_reply
    FakeQemu.tell = lawful_tell  # type: ignore[method-assign]


def _value(schema: dict[str, Any], kind: str, value: Any, where: str) -> None:
    entity = schema[kind]
    meta = entity["meta-type"]
    if meta == "builtin":
        _builtin(entity, value, where)
    elif meta == "array":
        assert type(value) is list, f"{where}: expected array, found {value!r}"
        for index, element in enumerate(value):
            _value(schema, entity["element-type"], element, f"{where}[{index}]")
    elif meta == "enum":
        assert isinstance(value, str), f"{where}: expected string, found {value!r}"
        assert value in entity["values"], f"{where}: {value!r} is not of its enum"
    elif meta == "alternate":
        _alternate(schema, entity, value, where)
    else:
        assert type(value) is dict, f"{where}: expected object, found {value!r}"
        allowed = _members(schema, entity, value, where)
        extra = value.keys() - allowed
        assert not extra, f"{where}: unexpected {sorted(extra)}"


def _builtin(entity: dict[str, Any], value: Any, where: str) -> None:
    json_type = entity["json-type"]
    if json_type == "value":
        return
    assert type(value) in _KINDS[json_type], f"{where}: expected {json_type}, found {value!r}"
    if json_type == "int":
        assert -(1 << 63) <= value < 1 << 64, f"{where}: {value} is beyond 64 bits"


def _alternate(schema: dict[str, Any], entity: dict[str, Any], value: Any, where: str) -> None:
    wrong: list[str] = []
    for member in entity["members"]:
        try:
            _value(schema, member["type"], value, where)
        except AssertionError as error:
            wrong.append(str(error))
        else:
            return
    raise AssertionError(f"{where}: fits no alternative: {'; '.join(wrong)}")


def _members(schema: dict[str, Any], entity: dict[str, Any], value: dict[str, Any], where: str) -> set[str]:
    """Check the members an object type names; their names."""
    allowed = set()
    for member in entity["members"]:
        name = member["name"]
        allowed.add(name)
        if name in value:
            _value(schema, member["type"], value[name], f"{where}.{name}")
        else:
            assert "default" in member, f"{where}: {name} is missing"
    tag = entity.get("tag")
    if tag is not None and tag in value:
        for variant in entity["variants"]:
            if variant["case"] == value[tag]:
                allowed |= _members(schema, schema[variant["type"]], value, where)
    return allowed
