"""Which integers a command takes, and what an alternate is called: asked of a real QEMU.

Its schema says ``int`` for every integer, and numbers for names.

Knows the texts of QEMU's visitors (qapi/qapi-visit-core.c, qobject-input-visitor.c). Must not know commands.
No command is carried out: every question has a mistake that the visitors find.
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

__all__ = ["Asker", "Prober"]

#: A member that no command has: complained of after all others.
_WRONG = "zz-no-such-member"
#: Commands whose arguments no generated visitor reads.
_UNREAD = ("device_add",)
_PLAIN: dict[str, Any] = {"string": "x", "number": 0, "boolean": True, "null": None, "any": 0}
_NARROW = re.compile(r"expects (u?int\d+)_t$")

#: How to get at a member: its name and its type, a variant (``#``, the case), an alternative (``=``).
_Step = tuple[str, str]


class Asker(Protocol):
    """What a client must be able to do."""

    def ask(self, command: str, arguments: dict[str, Any]) -> str:
        """The line of the reply."""
        raise NotImplementedError


class Prober:
    """Finds the kinds of the integers in what `fakeqemu.facts.record.compile_arguments` made.

    Args:
        client: asks the QEMU.
        arguments: changed in place: every ``integer`` becomes ``int8`` to ``int64`` or ``uint8`` to
            ``uint64``.
    """

    def __init__(self, client: Asker, arguments: dict[str, Any]) -> None:
        self._client = client
        self._types: dict[str, Any] = arguments["types"]
        self._commands: dict[str, str] = arguments["commands"]

    def run(self) -> None:  # noqa: C901 - one branch for each way that leads on
        """Ask about each integer once, on the first way that leads to it."""
        seen: set[str] = set()
        waiting: list[tuple[str, str, tuple[_Step, ...]]] = [
            (command, kind, ()) for command, kind in self._commands.items() if command not in _UNREAD
        ]
        while waiting:
            command, kind, path = waiting.pop(0)
            if kind in seen:
                continue
            seen.add(kind)
            made = self._types[kind]
            for member in made.get("members", ()):
                name, of, _ = member
                if of.strip("[]") == "integer":
                    member[1] = of.replace("integer", self._width(command, (*path, (name, of))))
                elif of.strip("[]") in self._types:
                    waiting.append((command, of.strip("[]"), (*path, (name, of))))
            if "alternate" in made:
                made["name"] = self._name(command, path)
            for number, of in enumerate(made.get("alternate", ())):
                if of == "integer":
                    made["alternate"][number] = self._alternative(command, path)
                elif of.strip("[]") in self._types:
                    waiting.append((command, of.strip("[]"), (*path, ("=", of))))
            for case, of in made.get("variants", {}).items():
                waiting.append((command, of, (*path, ("#", case))))

    def _width(self, command: str, path: tuple[_Step, ...]) -> str:
        """The kind of a member."""
        unsigned = "expects uint64" in self._complaint(command, path, "x")
        text = self._complaint(command, path, 1 << 63 if unsigned else 1 << 62)
        found = _NARROW.search(text)
        return found[1] if found is not None else "uint64" if unsigned else "int64"

    def _alternative(self, command: str, path: tuple[_Step, ...]) -> str:
        """The kind of an alternate's integer: a number is taken for it whatever its size."""
        text = self._complaint(command, (*path, ("=", "integer")), (1 << 64) - 1)
        found = _NARROW.search(text)
        return found[1] if found is not None else "uint64" if _WRONG in text else "int64"

    def _name(self, command: str, path: tuple[_Step, ...]) -> str:
        """The name of an alternate, which is told to whom gives what is none of its alternatives."""
        odd: tuple[Any, ...] = (None, [], 1, True, {}, "x")
        for value in odd:
            text = self._complaint(command, (*path, ("=", "any")), value)
            found = re.search(r"^Invalid parameter type for '.*', expected: ([A-Z]\w+)$", text)
            if found is not None:
                return found[1]
        return "alternate"

    def _complaint(self, command: str, path: tuple[_Step, ...], value: Any) -> str:
        """What is said of a command that has the value at the path."""
        arguments = self._build(self._commands[command], path, value) | {_WRONG: 1}
        reply = json.loads(self._client.ask(command, arguments))
        return str(reply.get("error", {}).get("desc", ""))

    def _build(self, kind: str, path: tuple[_Step, ...], value: Any) -> Any:
        """The least value of a type that has ``value`` at the path."""
        (name, of), rest = path[0], path[1:]
        if name == "#":
            made = self._types[kind]
            return self._least(kind, case=of) | self._build(made["variants"][of], rest, value)
        inner = self._build(of.strip("[]"), rest, value) if rest else value
        for _ in range(of.count("[")):
            inner = [inner]
        return inner if name == "=" else self._least(kind) | {name: inner}

    def _least(self, kind: str, case: str | None = None) -> Any:  # noqa: PLR0911 - one for each meta-type
        """The smallest good value of a type; of a union without its variant's members if a case is given."""
        if kind.startswith("["):
            return []
        made = self._types.get(kind)
        if made is None:
            return _PLAIN.get(kind, 0)
        if "enum" in made:
            return made["enum"][0]
        if "alternate" in made:
            # The plainest alternative: an object may hold itself.
            return self._least(min(made["alternate"], key=self._types.__contains__))
        tree = {name: self._least(of) for name, of, optional in made["members"] if not optional}
        if "tag" in made:
            tag = made["tag"]
            if case is not None:
                return tree | {tag: case}
            if tag in tree and tree[tag] in made["variants"]:
                return tree | self._least(made["variants"][tree[tag]])
        return tree
