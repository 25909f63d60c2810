"""What a message says, changed: members replaced, left out, added, or spelt otherwise.

Knows messages of JSON lines: replies, events, greetings. Must not know when one is changed. What is no JSON
object stays as it is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random
    from typing import Any

__all__ = ["RESHAPES", "reshaped", "respelt"]

#: Words of a rule about what a message says.
RESHAPES = frozenset({"extra", "id", "lie", "omit", "reply", "respell"})
#: What a message is about: the member in which the paths of a rule begin.
_BODIES = ("return", "error", "data", "QMP")
#: Members that no client has heard of.
_EXTRA: dict[str, Any] = {"x-fakeqemu-extra": {"since": "99.0", "values": [None, True, 1.5, ""]}}
_MISSING = object()


def reshaped(data: bytes, do: dict[str, Any], chance: Callable[[], Random]) -> bytes:
    """A line with its message as the rule's words want it.

    Args:
        data: the line, with its end.
        do: the rule's words.
        chance: where ``respell`` draws from.
    """
    import json

    from fakeqemu.protocol.qjson import encode

    line = data.rstrip(b"\r\n")
    mark = line[:1] if line[:1] == b"\xff" else b""  # guest-sync-delimited
    try:
        message = json.loads(line[len(mark) :])
    except (ValueError, RecursionError):
        return data
    if not isinstance(message, dict):
        return data
    _change(message, do)
    text = respelt(message, chance()) if "respell" in do else encode(message)
    return mark + text.encode("ascii", "replace") + data[len(line) :]


def _change(message: dict[str, Any], do: dict[str, Any]) -> None:
    """Change what a message says, and its id."""
    body = next((name for name in _BODIES if name in message), None)
    if body is None and ("lie" in do or "extra" in do) and "event" in message:
        body, message["data"] = "data", {}
    if body == "return" and "reply" in do:
        message[body] = do["reply"]
    if body is not None:
        holder = {"": message[body]}
        for path, value in do.get("lie", {}).items():
            _replace(holder, path, value)
        for path in do.get("omit", ()):
            _replace(holder, path, _MISSING)
        if "extra" in do:
            _add(holder[""], _EXTRA if do["extra"] is True else do["extra"])
        message[body] = holder[""]
    if "id" in do:
        message.pop("id", None)
        if do["id"] != "none":
            message["id"] = do["id"]


def _replace(holder: dict[str, Any], path: str, value: Any) -> None:
    """Replace, add or (when the value is missing) remove what a path leads to; a path to nothing adds it."""
    places: list[tuple[Any, Any]] = [(holder, "")]
    for step in path.split("."):
        places = [place for owner, key in places for place in _inside(owner, key, step, value)]
    for owner, key in reversed(places):
        if value is _MISSING:
            if isinstance(owner, list):
                del owner[key]
            else:
                owner.pop(key, None)
        else:
            owner[key] = value


def _inside(owner: Any, key: Any, step: str, value: Any) -> Iterator[tuple[Any, Any]]:
    """The places that a step of a path leads to, from one place."""
    node = owner.get(key, _MISSING) if isinstance(owner, dict) else owner[key]
    if node is _MISSING and value is not _MISSING:
        node = owner[key] = {}
    if isinstance(node, list):
        if step == "*":
            yield from ((node, index) for index in range(len(node)))
        elif step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(node):
            yield node, int(step)
    elif isinstance(node, dict):
        if step == "*":
            yield from ((node, name) for name in list(node))
        else:
            yield node, step
    elif node is not _MISSING and value is not _MISSING:
        node = owner[key] = {}
        yield node, step


def _add(node: Any, members: dict[str, Any]) -> None:
    """Add members to an object, and to every object of a list."""
    for item in node if isinstance(node, list) else [node]:
        if isinstance(item, dict):
            item.update(members)


def respelt(node: Any, chance: Random) -> str:
    """The same JSON in other words: members in another order, escapes, white space. On one line."""
    from fakeqemu.protocol.qjson import encode

    if isinstance(node, dict):
        members = list(node.items())
        chance.shuffle(members)
        inner = ",".join(
            f"{_gap(chance)}{_text(key, chance)}:{respelt(value, chance)}" for key, value in members
        )
        return f"{{{inner}{_gap(chance)}}}"
    if isinstance(node, list):
        return f"[{','.join(_gap(chance) + respelt(value, chance) for value in node)}{_gap(chance)}]"
    if isinstance(node, str):
        return _text(node, chance)
    return encode(node)


def _gap(chance: Random) -> str:
    return ("", " ", "\t", "  ")[chance.randrange(4)]


def _text(text: str, chance: Random) -> str:
    from fakeqemu.protocol.qjson import encode

    if text.isascii() and text.isalnum() and chance.randrange(4) == 0:
        place = chance.randrange(len(text))
        return f'"{text[:place]}\\u{ord(text[place]):04x}{text[place + 1 :]}"'
    return encode(text)
