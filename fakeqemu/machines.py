"""What a script says of the machine itself: its guest, its jobs, its disks, its migration, its slots.

Knows the words of ``at: start`` that the models behind the commands read. Must not know those models.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from fakeqemu.units import parse_duration_ns
from fakeqemu.values import Duration, Rate, Strict, Yes

__all__ = ["BlockWord", "Guest", "Jobs", "Migration", "Unplug"]


def _powerdown(value: object) -> int | str:
    if value == "ignore":
        return "ignore"
    try:
        return parse_duration_ns(value)
    except ValueError as error:
        raise PydanticCustomError("unit", "`ignore`, or a duration: {why}", {"why": str(error)}) from None


class Guest(Strict):
    """How the guest answers the power button, and how long it boots (a booting guest ignores it)."""

    powerdown: (
        Annotated[int | str, BeforeValidator(_powerdown), WithJsonSchema({"type": "string"})] | None
    ) = None
    boot: Duration | None = None


class Jobs(Strict):
    """How fast a job copies that has no limit of its own."""

    rate: Rate | None = None


class Migration(Strict):
    """The guest's memory as a migration sees it, and the way between the hosts."""

    bandwidth: Rate | None = None
    dirty: Rate | None = None


class BlockWord(Strict):
    """What the guest does to its disks."""

    write: Rate | None = None


class Unplug(Strict):
    """How the guest answers when a device is to be taken away."""

    after: Duration | None = None
    refuse: Yes | None = None

    @model_validator(mode="after")
    def _one(self) -> Unplug:
        if self.refuse and self.after is not None:
            raise PydanticCustomError(
                "unplug", "a guest that refuses is not waited for: only one of after, refuse"
            )
        return self
