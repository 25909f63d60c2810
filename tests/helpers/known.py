"""The list of known differences between fakeqemu and the real QEMU, each with its reason."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "conformance/fakeqemu/known_differences.toml"


@dataclass
class Known:
    """One entry; `met` counts the differences that it explained."""

    where: str
    command: str
    place: str
    reason: str
    met: list[str] = field(default_factory=list)

    def fits(self, conversation: str, command: str, place: str) -> bool:
        return (
            fnmatchcase(conversation, self.where)
            and fnmatchcase(command, self.command)
            and re.search(self.place, place) is not None
        )


def load() -> list[Known]:
    """The entries of the file."""
    document = tomllib.loads(FILE.read_text())
    return [
        Known(entry.get("where", "*"), entry["command"], entry.get("place", ""), entry["reason"])
        for entry in document.get("difference", [])
    ]


def flow_places() -> list[str]:
    """Patterns of places in replies that may differ when a flow of virsh is played to both."""
    return [str(entry["place"]) for entry in tomllib.loads(FILE.read_text())["flow"]]


def command_of(message: Any) -> str:
    """What a message of a conversation is about."""
    return str(message.get("execute", message.get("exec-oob", "?"))) if isinstance(message, dict) else "text"
