"""What a script says of the machine itself: its guest, its jobs, its disks, its migration, its slots.

Knows the words of ``at: start`` that the models behind the commands read. Must not know those models.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from fakeqemu.scripts.deeds import Error
from fakeqemu.scripts.units import parse_duration_ns
from fakeqemu.scripts.values import Duration, Rate, Size, Strict, Yes, chosen

__all__ = ["Agent", "AgentReply", "BlockWord", "Guest", "Jobs", "Migration", "Program", "Unplug"]

_Text = Annotated[str, Field(min_length=1)]


def _powerdown(value: object) -> int | str:
    if value == "ignore":
        return "ignore"
    try:
        return parse_duration_ns(value)
    except ValueError as error:
        raise PydanticCustomError("unit", "`ignore`, or a duration: {why}", {"why": str(error)}) from None


def _absent(value: object) -> bool:
    if value is not False:
        raise PydanticCustomError("agent", "`false`, or how it answers: {after: 5s, ...}")
    return False


_Absent = Annotated[bool, BeforeValidator(_absent), WithJsonSchema({"const": False})]


class AgentReply(Strict):
    """What the agent answers to a command: a value, or an error."""

    return_: Annotated[Any, Field(alias="return")] = None
    error: Error | None = None

    @model_validator(mode="after")
    def _one(self) -> AgentReply:
        if ("return_" in self.model_fields_set) == (self.error is not None):
            raise PydanticCustomError("agent", "exactly one of return, error")
        return self


class Agent(Strict):
    """How the guest's agent answers."""

    after: Duration | None = Field(None, description="So long after booting it opens its channel.")
    delay: Duration | None = Field(None, description="So long it takes over every command.")
    unresponsive: Yes | None = Field(None, description="It has its channel open and never answers.")
    disabled: list[_Text] | None = Field(None, description="Commands that are not allowed (qemu-ga's -b).")
    commands: dict[_Text, AgentReply] | None = Field(None, description="Answers instead of the model's own.")


class Program(Strict):
    """A program in the guest: what it says, and how it ends."""

    out: str | None = None
    err: str | None = None
    exitcode: Annotated[int, Field(ge=0, le=255)] | None = None
    signal: Annotated[int, Field(ge=1, le=64)] | None = None
    takes: Duration | None = None


class User(Strict):
    """Somebody who is logged in."""

    user: _Text
    domain: str | None = None
    login_time: Annotated[float | None, Field(alias="login-time", strict=False)] = None


class Interface(Strict):
    """A network interface as the guest sees it."""

    name: _Text
    mac: str | None = None
    addresses: list[_Text] | None = None


class Timezone(Strict):
    """Where the guest's clock is."""

    zone: str | None = None
    offset: Annotated[int, Field(ge=-86400, le=86400)] | None = None


class Guest(Strict):
    """The guest: how it boots, answers the power button, and what it is (a booting guest ignores it)."""

    powerdown: (
        Annotated[int | str, BeforeValidator(_powerdown), WithJsonSchema({"type": "string"})] | None
    ) = Field(None, description="It obeys the power button after so long; `ignore`: never.")
    boot: Duration | None = Field(None, description="So long it boots; until then it ignores the button.")
    log: list[str] | None = Field(None, description="The lines of its boot log, spread over the boot.")
    panic: Duration | None = Field(None, description="So long after it began to boot its kernel panics.")
    hang: Duration | None = Field(None, description="So long after it began to boot it hangs.")
    watchdog: Duration | None = Field(None, description="So long after it began to boot a watchdog fires.")
    agent: chosen(plain=_Absent, mapping=Agent) | None = Field(  # type: ignore[valid-type]  # made above
        None, description="Its agent: `false` for none, or how it answers."
    )
    hostname: _Text | None = Field(None, description="Its host name.")
    os: dict[str, str] | None = Field(None, description="Members of guest-get-osinfo: `pretty-name`, ...")
    files: dict[_Text, str] | None = Field(None, description="Files by path, with their contents.")
    users: list[User] | None = Field(None, description="Who is logged in: `user`, `domain`, `login-time`.")
    interfaces: list[Interface] | None = Field(
        None, description="Network interfaces: `name`, `mac`, `addresses` (`10.0.0.5/24`)."
    )
    exec: dict[_Text, Program] | None = Field(
        None, description="Programs by path: `out`, `err`, `exitcode`, `signal`, `takes`."
    )
    timezone: Timezone | None = Field(None, description="`zone` and `offset` in seconds.")


class Jobs(Strict):
    """How fast a job copies that has no limit of its own."""

    rate: Rate | None = Field(None, description="Bytes a second.")


class Migration(Strict):
    """The guest's memory as a migration sees it, and the way between the hosts."""

    used: Size | None = Field(None, description="Memory that is not zero once the guest has run.")
    dirty: Rate | None = Field(None, description="How fast a running guest writes to its memory.")
    working_set: Size | None = Field(None, description="Memory those writes go to; without it all of `used`.")
    bandwidth: Rate | None = Field(None, description="Of the link between the hosts; 10 Gbit/s without it.")
    scan: Rate | None = Field(None, description="How fast memory is looked through.")
    setup: Duration | None = Field(None, description="How long setting a migration up takes.")
    downtime: Duration | None = Field(None, description="How long the state of the devices takes.")


class BlockWord(Strict):
    """What the guest does to its disks."""

    read: Rate | None = Field(None, description="How fast a running guest reads each disk.")
    write: Rate | None = Field(None, description="How fast it writes.")


class Unplug(Strict):
    """How the guest answers when a device is to be taken away."""

    after: Duration | None = Field(None, description="It lets a device go after so long.")
    refuse: Yes | None = Field(None, description="It never does.")
    error: Yes | None = Field(None, description="It says no (DEVICE_UNPLUG_GUEST_ERROR).")

    @model_validator(mode="after")
    def _one(self) -> Unplug:
        if self.refuse and (self.after is not None or self.error):
            raise PydanticCustomError("unplug", "a guest that refuses says nothing: not with after, error")
        return self
