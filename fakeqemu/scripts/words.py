"""The rules of behaviour scripts, as pydantic models: which sorts there are, and how a start goes.

Knows the rules and the words of ``at: start``. Must not know what a rule does (`fakeqemu.scripts.deeds`),
nor how mistakes are told or scripts are compiled: that is `fakeqemu.scripts.grammar`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    RootModel,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from fakeqemu.scripts.deeds import STEPS, TIMED, Do, fitting
from fakeqemu.scripts.machines import BlockWord, Guest, Jobs, Migration, Unplug
from fakeqemu.scripts.values import (
    Duration,
    Ignorable,
    Positive,
    Rate,
    Size,
    Strict,
    Yes,
    meant,
    nearest,
    signal,
)

__all__ = [
    "MATCHED",
    "Do",
    "FakeScript",
    "OnRule",
    "Path",
    "Rule",
    "StartRule",
    "TimedRule",
    "meant",
    "nearest",
    "presets",
    "sort_of",
]

Path = tuple[str | int, ...]

#: Steps where ``match:`` names something, and what it names there.
MATCHED: dict[str, str] = {
    "command": "a command",
    "reply": "a command",
    "event": "an event",
    "agent": "a command of the agent",
    "job": "`ID:STATUS`",
    "migration": "`setup`, `active`, `pass N`, `device`, `completed`, ...",
    "guest": "what the guest does",
    "signal": "a signal",
    "exit": "the exit status",
    "bind": "a character device",
    "listen": "a character device",
    "accept": "a character device",
    "greeting": "a character device",
    "eof": "a character device",
}
#: Steps where ``with:`` looks at what is said.
SAID = ("command", "reply", "event", "agent")


class Memory(Strict):
    """Time the start spends on guest memory: by rate, or by page. Delays everything that follows."""

    zeroing: Rate | None = Field(None, description="How fast the kernel zeroes the guest's memory.")
    per_page: Duration | None = Field(None, description="Or how long each page takes,")
    page: Size | None = Field(None, description="of this size.")

    @model_validator(mode="after")
    def _one_way(self) -> Memory:
        if (self.zeroing is None) == (self.per_page is None):
            raise PydanticCustomError("memory", "give either `zeroing` or `per_page` (with `page`)")
        if (self.per_page is None) != (self.page is None):
            raise PydanticCustomError("memory", "`per_page` and `page` belong together")
        if self.page == 0:
            raise PydanticCustomError("memory", "a page cannot be empty")
        return self


class Each(Strict):
    """Time the start spends on each device of a kind."""

    each: Duration = Field(description="So long for each of them.")


class Socket(Strict):
    """When and how the monitor socket shows up."""

    delay: Duration | None = Field(None, description="It is created so late.")
    never: Yes | None = Field(None, description="It never is.")
    listen_after: Duration | None = Field(None, description="It is there so long before anybody listens.")
    stale: Yes | None = Field(None, description="One of a dead predecessor lies there first.")
    mode: Annotated[int, Field(ge=0, le=0o777)] | None = Field(None, description="Its permission bits.")


class AcceptWord(Strict):
    """What becomes of a client that has connected: late, refused (listener closed), or never served."""

    delay: Duration | None = Field(None, description="The first client is served so late.")
    refuse: Yes | None = Field(None, description="The listener is closed: connecting is refused.")
    never: Yes | None = Field(None, description="Clients connect, and nobody ever serves them.")


class Greeting(Strict):
    """What the client hears first: late, nothing, or nonsense instead."""

    delay: Duration | None = Field(None, description="It comes so late.")
    never: Yes | None = Field(None, description="It never comes.")
    garbage: str | None = Field(None, description="This line comes instead.")


class StartRule(Strict):
    """How the start, the guest and the end of the process go."""

    at: Literal["start"]
    memory: Memory | None = Field(None, description="Time that the start spends on guest memory.")
    nics: Each | None = Field(None, description="Time that the start spends on network interfaces.")
    hostdevs: Each | None = Field(None, description="Time that the start spends on PCI host devices.")
    socket: Socket | None = Field(None, description="When and how the monitor's socket shows up.")
    accept: AcceptWord | None = Field(None, description="What becomes of a client that has connected.")
    greeting: Greeting | None = Field(None, description="What a client hears first.")
    linger: Duration | None = Field(
        None, description="So long the process stays in the process table after its sockets have closed."
    )
    ignore: list[Ignorable] | None = Field(None, description="Signals that do nothing.")
    uninterruptible: Duration | None = Field(
        None, description='So long no signal reaches the process, SIGKILL included ("D state").'
    )
    guest: Guest | None = Field(None, description="The guest.")
    jobs: Jobs | None = Field(None, description="How fast jobs are.")
    migration: Migration | None = Field(None, description="The guest's memory, and the way to other hosts.")
    block: BlockWord | None = Field(None, description="What the guest does to its disks.")
    unplug: Unplug | None = Field(None, description="How the guest lets devices go.")
    images: Literal["real", "imaginary"] | None = Field(
        None, description="Whether the files behind disks must be there; with a script they need not."
    )
    preset: str | None = Field(
        None, description="Words and rules of a known character; the script's own go before them."
    )
    profile: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="The recorded QEMU to answer like; else the program's name chooses it."
    )
    ctl: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Where the control socket listens; `{pid}` and `{name}` are filled in."
    )

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        known = presets()
        if name is not None and name not in known:
            raise PydanticCustomError(
                "preset", "unknown preset {word}{hint}; known: {known}",
                {"word": repr(name), "hint": meant(name, known), "known": ", ".join(known)},
            )  # fmt: skip
        return name

    @field_validator("profile")
    @classmethod
    def _recorded(cls, name: str | None) -> str | None:
        folder = FilePath(__file__).parents[1] / "facts" / "profiles"
        files = [path.name.removesuffix(".json.gz") for path in folder.glob("*.json.gz")]
        known = sorted({*files, *(file.partition("-")[0] for file in files)})
        there = name is not None and name.startswith("/") and FilePath(name).is_file()
        if name is not None and name not in known and not there:
            raise PydanticCustomError(
                "profile", "unknown profile {word}{hint}; known: {known}, or a file by its whole path",
                {"word": repr(name), "hint": meant(name, known), "known": ", ".join(known)},
            )  # fmt: skip
        return name

    @field_validator("ctl")
    @classmethod
    def _filled(cls, path: str | None) -> str | None:
        if path is not None:
            try:
                path.format(pid=1, name="vm")
            except (KeyError, IndexError, ValueError, AttributeError):
                raise PydanticCustomError("ctl", "only `{pid}` and `{name}` can be filled in") from None
        return path

    @model_validator(mode="after")
    def _something(self) -> StartRule:
        if len(self.model_fields_set) < 2:
            raise PydanticCustomError(
                "empty", "the rule does nothing: add {words}", {"words": _words(StartRule, "at")}
            )
        return self


class TimedRule(Strict):
    """Something that happens at a time after exec; with ``every`` again and again, ``count`` times in all."""

    at: Duration = Field(description="The time after exec.")
    every: Positive | None = Field(None, description="And again after each such time.")
    count: Annotated[int, Field(ge=1)] | None = Field(None, description="So many times in all.")
    do: Do = Field(description="What happens.")

    @model_validator(mode="after")
    def _fits(self) -> TimedRule:
        fitting(self.do, TIMED, "at a time")
        if self.count is not None and self.every is None:
            raise PydanticCustomError("count", "`count` needs `every`")
        return self


class OnRule(Strict):
    """Something that happens at a step.

    ``match`` picks (a name, ``*`` and ``?`` as in file names), ``with`` looks at what is said (these members
    with these values), ``skip`` lets the first few go by, ``count`` ends the rule, ``probability`` draws from
    the seed of the run.
    """

    on: Literal[tuple(STEPS)] = Field(description="The step.")  # type: ignore[valid-type]  # the table is the law
    match: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Only what is called so; `*`, `?` and `[a-c]` as in file names."
    )
    with_: Annotated[dict[str, Any] | None, Field(alias="with")] = Field(
        None, description="Only what says this: arguments or data with these members."
    )
    skip: Annotated[int, Field(ge=0)] = Field(0, description="Let the first so many go by.")
    count: Annotated[int, Field(ge=1)] | None = Field(None, description="Act so many times at most.")
    probability: Annotated[float, Field(ge=0, le=1, strict=False)] | None = Field(
        None, description="Act with this probability, drawn from the seed of the run."
    )
    when: Literal["before", "after"] = Field(
        "before", description="Whether the deed comes before the step or after it."
    )
    do: Do = Field(description="What happens.")

    @model_validator(mode="after")
    def _fits(self) -> OnRule:
        fitting(self.do, STEPS[self.on], f"on {self.on}")
        if self.match is not None and self.on not in MATCHED:
            raise PydanticCustomError("match", "`match` needs `on: {words}`", {"words": " or ".join(MATCHED)})
        if self.with_ is not None and self.on not in SAID:
            raise PydanticCustomError("with", "`with` needs `on: {words}`", {"words": " or ".join(SAID)})
        if self.on == "signal" and self.match is not None:
            signal(self.match)
        if "when" in self.model_fields_set and not _PLACED & self.do.model_fields_set:
            raise PydanticCustomError(
                "when", "`when` places {words}; none is there", {"words": " or ".join(sorted(_PLACED))}
            )
        return self


#: Deeds that may come before or after the step.
_PLACED = frozenset(
    {
        "close",
        "emit",
        "exit",
        "garbage",
        "guest",
        "io_error",
        "kill",
        "signal",
        "slow",
        "stall",
        "stop_reading",
    }
)


def sort_of(value: Any) -> str:
    """Which sort of rule it is: start, timed or on."""
    given: Any = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    if "on" in given:
        return "on"
    if given.get("at") == "start" or ("do" not in given and "at" not in given):
        return "start"
    return "timed"


#: One rule of a script.
Rule = Annotated[
    Annotated[StartRule, Tag("start")] | Annotated[TimedRule, Tag("timed")] | Annotated[OnRule, Tag("on")],
    Discriminator(sort_of),
]


class FakeScript(RootModel[list[Rule]]):
    """A behaviour script: rules in order."""


def presets() -> list[str]:
    """The characters that a script may begin with."""
    return sorted(path.stem for path in (FilePath(__file__).parent / "presets").glob("*.yaml"))


def _words(model: type[BaseModel], *without: str) -> str:
    return ", ".join(name for name in model.model_fields if name not in without)
