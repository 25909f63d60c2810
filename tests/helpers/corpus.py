"""Conversations for the differential comparison: made from the schema, and written by hand.

The made ones try each command of a schema without arguments, with an unknown one, with each required one
missing, with each one of a wrong type, and each enumeration with a value that it does not have. All of them
are refused before anything happens, so one machine can take them all. The written ones stand in
``tests/conformance/fakeqemu/corpus/*.jsonl``: a header, then ``COMMAND [ARGUMENTS]``, a whole message, or
``=`` and any text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.helpers.differential import Conversation

WRITTEN = Path(__file__).parents[1] / "conformance/fakeqemu/corpus"
#: Commands that take effect without arguments, or whose wrong arguments are not refused.
_ACTING = frozenset(
    (
        "quit", "system_reset", "system_powerdown", "system_wakeup", "stop", "cont", "inject-nmi",
        "qmp_capabilities", "migrate_cancel", "migrate-pause", "rtc-reset-reinjection", "nbd-server-stop",
        "x-exit-preconfig", "migrate-start-postcopy", "x-colo-lost-heartbeat", "display-reload",
        "announce-self",
    )
)  # fmt: skip
_QUIET = ("-S", "-nodefaults", "-display", "none", "-machine", "pc", "-accel", "tcg", "-no-shutdown")
_EXAMPLES: dict[str, Any] = {
    "string": "x", "int": 1, "number": 1, "boolean": True, "null": None, "object": {}, "array": [],
    "value": "x",
}  # fmt: skip
_WRONG: dict[str, Any] = {
    "string": 1, "int": "x", "number": "x", "boolean": "x", "null": 1, "object": 1, "array": 1,
}  # fmt: skip


class Schema:
    """A schema as ``query-qmp-schema`` returns it, by name."""

    def __init__(self, entities: list[dict[str, Any]]) -> None:
        self.entities = {entity["name"]: entity for entity in entities}
        self.commands = sorted(entity["name"] for entity in entities if entity["meta-type"] == "command")

    def members(self, command: str) -> list[dict[str, Any]]:
        """The arguments of a command."""
        found: list[dict[str, Any]] = self.entities[self.entities[command]["arg-type"]].get("members", [])
        return found

    def kind(self, name: str) -> str:
        """What JSON a type is, or enum, alternate, object, array."""
        entity = self.entities[name]
        return str(entity["json-type"] if entity["meta-type"] == "builtin" else entity["meta-type"])

    def example(self, name: str, depth: int = 0) -> Any:
        """A value that the type takes."""
        entity = self.entities[name]
        kind = entity["meta-type"]
        if kind == "enum":
            return entity["values"][0]
        if kind == "alternate":
            return self.example(entity["members"][0]["type"], depth)
        if kind == "object" and depth < 4:
            made = {
                member["name"]: self.example(member["type"], depth + 1)
                for member in entity["members"]
                if "default" not in member
            }
            variants = {variant["case"]: variant["type"] for variant in entity.get("variants", ())}
            variant = variants.get(made.get(entity.get("tag")))
            return made | (self.example(variant, depth + 1) if variant is not None else {})
        return _EXAMPLES[self.kind(name)]


def refusals(schema: Schema, command: str) -> Iterator[dict[str, Any]]:
    """Wrong uses of a command."""
    members = schema.members(command)
    required = {
        member["name"]: schema.example(member["type"]) for member in members if "default" not in member
    }
    yield {"execute": command, "arguments": required | {"nonsense": 1}}
    if required:
        yield {"execute": command}
    for name in required:
        yield {
            "execute": command,
            "arguments": {key: value for key, value in required.items() if key != name},
        }
    for member in members:
        kind = schema.kind(member["type"])
        if kind == "enum":
            yield {"execute": command, "arguments": required | {member["name"]: "nonsense"}}
            yield {"execute": command, "arguments": required | {member["name"]: 1}}
        elif kind in _WRONG:
            yield {"execute": command, "arguments": required | {member["name"]: _WRONG[kind]}}
            if kind == "int":
                yield {"execute": command, "arguments": required | {member["name"]: 1.5}}
        elif kind == "alternate":
            yield {"execute": command, "arguments": required | {member["name"]: [1]}}


def made(schema: Schema) -> Iterator[Conversation]:
    """The conversations that follow from the schema: a slice of the commands each."""
    for part in range(8):
        lines: list[Any] = []
        for command in schema.commands[part::8]:
            if command in _ACTING or command.startswith("x-"):
                continue
            lines += refusals(schema, command)
        yield Conversation(f"made {part}", _QUIET, lines)


def written() -> Iterator[Conversation]:
    """The conversations that people wrote: a header, then a message a line."""
    for path in sorted(WRITTEN.glob("*.jsonl")):
        head, *lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
        document = json.loads(head)
        yield Conversation(
            path.stem, document["argv"].split(), [_message(line) for line in lines],
            [words if isinstance(words, list) else words.split() for words in document.get("files", ())],
        )  # fmt: skip


def _message(line: str) -> Any:
    name, _, arguments = line.partition(" ")
    if line.startswith(("{", "=")):
        return line.removeprefix("=") if line.startswith("=") else json.loads(line)
    return {"execute": name, **({"arguments": json.loads(arguments)} if arguments else {})}
