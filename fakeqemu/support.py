"""What the fake can do, counted from its own code: commands modelled, recorded or refused, and events.

Knows the register of commands, the profiles and the package's source text. Must not know the machine. A tool:
never on the start-up path.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from fakeqemu.facts.profile import Profile
from fakeqemu.registry import load

__all__ = ["MODELLED", "RECORDED", "REFUSED", "commands", "events_sent"]

#: The machine has state for it, and carries it out.
MODELLED = "modelled"
#: The reply is the one that the real QEMU of the profile gave when it was recorded.
RECORDED = "recorded"
#: CommandNotFound, although the real QEMU has it.
REFUSED = "refused"


def commands(profile: Profile) -> dict[str, str]:
    """How each command of a profile's QEMU is answered, in alphabetical order."""

    def answered(name: str) -> str:
        if load(name) is not None:
            return MODELLED
        known = profile.recorded(name) is not None or profile.refusal(name) is not None
        return RECORDED if known else REFUSED

    return {name: answered(name) for name in sorted(profile.commands)}


def events_sent() -> set[str]:
    """The events that some line of the package sends: the names in capitals that it gives to the machine."""
    return {name for path in Path(__file__).parent.rglob("*.py") for name in _events_of(path)}


def _events_of(path: Path) -> Iterator[str]:
    """Every text constant in capitals that looks like an event's name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if text.isupper() and text.isascii() and text.replace("_", "").isalnum():
                yield text
