"""The same conversations with the real QEMU 7.2 and with fakeqemu: no difference that is not explained."""

from __future__ import annotations

import json

import pytest

from tests.helpers import known
from tests.helpers.corpus import Schema, made, written
from tests.helpers.differential import Conversation, differences, hold
from tests.helpers.processes import QEMU, fake_argv

pytestmark = pytest.mark.real_qemu
_PARTS = 8


def unexplained(conversation: Conversation) -> list[str]:
    entries = known.load()
    found = []
    real = hold([QEMU], conversation)
    fake = hold(fake_argv(), conversation)
    for message, place, left, right in differences(real, fake):
        name = known.command_of(message)
        if not any(entry.fits(conversation.name, name, place) for entry in entries):
            found.append(f"{json.dumps(message)[:160]}: {place}: {left!r:.300} / {right!r:.300}")
    return found


@pytest.mark.parametrize("conversation", list(written()), ids=lambda conversation: conversation.name)
def test_what_people_wrote(conversation):
    assert unexplained(conversation) == []


@pytest.mark.parametrize("part", range(_PARTS))
def test_what_follows_from_the_schema(part):
    quiet = ("-S", "-nodefaults", "-display", "none", "-machine", "none")
    asked = hold([QEMU], Conversation("schema", quiet, [{"execute": "query-qmp-schema"}]))
    schema = Schema(asked[-1].reply["return"])
    conversation = list(made(schema))[part]
    assert len(conversation.lines) > 50
    assert unexplained(conversation) == []
