"""Hundreds of generated commands, right and wrong, to a real QEMU and to the schema check: the same words.

A command that the visitors find nothing wrong with is not compared: what it does is no matter of schema.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from fakeqemu.facts.profile import profile_named
from fakeqemu.facts.realqemu import Qemu
from fakeqemu.protocol.qjson import encode, parse
from fakeqemu.protocol.schema import check
from fakeqemu.registry import CommandError
from tests.helpers.processes import QEMU

pytestmark = pytest.mark.real_qemu

#: Values that are seldom right.
ODD: list[Any] = [
    None, True, 1, -1, 1.5, "x", "", [], {}, ["x"], {"x": 1}, 1 << 63, (1 << 64) - 1, -(1 << 63), 256, 65536,
    1 << 32, -129, "None", 300, 5.0, "5", "on",
]  # fmt: skip
#: What would end or change the QEMU that is asked, whatever its arguments; or takes any argument.
SKIPPED = frozenset(
    {
        "quit", "system_reset", "system_powerdown", "qmp_capabilities", "migrate", "migrate-incoming", "stop",
        "cont", "x-exit-preconfig", "human-monitor-command", "device_add", "blockdev-reopen", "inject-nmi",
        "watchdog-set-action", "set-action",
    }
)  # fmt: skip
#: What the visitors say begins, or ends, like this.
VISITORS = ("Invalid parameter type for '", "' is unexpected", "' is missing", "' does not accept value '")
COMMANDS = 700


class Generator:
    """Draws arguments from the types of a profile."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.profile = profile_named("x86_64")
        self.types = self.profile.arguments["types"]
        self.wrong = 0.1

    def value(self, kind: str, depth: int) -> Any:  # noqa: PLR0911 - one for each kind of type
        if self.chance.random() < self.wrong:
            return self.chance.choice(ODD)
        if kind.startswith("["):
            return [self.value(kind[1:-1], depth + 1) for _ in range(self.chance.choice([0, 1, 1, 2]))]
        if "int" in kind:
            return self.chance.choice([0, 1, 100, -1, 255, 256, 70000, 1 << 31, 1 << 32, 1 << 63])
        plain = {
            "string": ["x", ""], "number": [0, 1.5], "boolean": [True, False], "null": [None], "any": ODD,
        }  # fmt: skip
        if kind in plain:
            return self.chance.choice(plain[kind])
        made = self.types[kind]
        if "enum" in made:
            return self.chance.choice([*made["enum"], "nope"])
        if "alternate" in made:
            return self.value(self.chance.choice(made["alternate"]), depth + 1)
        return self.members(kind, depth)

    def members(self, kind: str, depth: int) -> dict[str, Any]:
        made, found = self.types[kind], {}
        for name, of, optional in made["members"]:
            likely = (0.3 if depth < 4 else 0.02) if optional else 1 - self.wrong / 3
            if self.chance.random() < likely:
                found[name] = self.value(of, depth + 1)
        tag = made.get("tag")
        if tag and isinstance(found.get(tag), str) and found[tag] in made["variants"]:
            found |= self.members(made["variants"][found[tag]], depth)
        if self.chance.random() < self.wrong / 2:
            found[self.chance.choice(["bogus", "zz", "aa"])] = 1
        shuffled = list(found.items())
        self.chance.shuffle(shuffled)
        return dict(shuffled)

    def command(self) -> tuple[str, dict[str, Any]]:
        self.wrong = self.chance.choice([0.02, 0.1, 0.3])
        name = self.chance.choice(sorted(self.profile.commands.keys() - SKIPPED))
        return name, self.members(self.profile.commands[name], 0)


@pytest.mark.slow
def test_generated_commands_are_refused_in_the_same_words():
    generator = Generator(seed=7)
    compared = 0
    with Qemu(QEMU, "pc") as real:
        for _ in range(COMMANDS):
            name, arguments = generator.command()
            mine = None
            try:
                check(generator.profile, name, parse(encode(arguments)))
            except CommandError as error:
                mine = {"class": error.kind, "desc": error.desc}
            if mine is None and not name.startswith("query-"):
                continue
            theirs = json.loads(real.client().ask(name, arguments)).get("error")
            if mine is not None or (theirs is not None and any(mark in theirs["desc"] for mark in VISITORS)):
                assert mine == theirs, (name, arguments)
                compared += 1
    assert compared > 150
