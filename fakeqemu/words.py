"""The rules of behaviour scripts, as pydantic models: which sorts there are, and how a start goes.

Knows the rules and the words of ``at: start``. Must not know what a rule does (`fakeqemu.deeds`), nor how
mistakes are told or scripts are compiled: that is `fakeqemu.grammar`.
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

from fakeqemu.deeds import STEPS, TIMED, Do, fitting
from fakeqemu.machines import BlockWord, Guest, Jobs, Migration, Unplug
from fakeqemu.values import Duration, Ignorable, Positive, Rate, Size, Strict, Yes, meant, nearest, signal

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

    zeroing: Rate | None = None
    per_page: Duration | None = None
    page: Size | None = None

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

    each: Duration


class Socket(Strict):
    """When and how the monitor socket shows up."""

    delay: Duration | None = None
    never: Yes | None = None
    listen_after: Duration | None = None
    stale: Yes | None = None
    mode: Annotated[int, Field(ge=0, le=0o777)] | None = None


class AcceptWord(Strict):
    """What becomes of a client that has connected: late, refused (listener closed), or never served."""

    delay: Duration | None = None
    refuse: Yes | None = None
    never: Yes | None = None


class Greeting(Strict):
    """What the client hears first: late, nothing, or nonsense instead."""

    delay: Duration | None = None
    never: Yes | None = None
    garbage: str | None = None


class StartRule(Strict):
    """How the start, the guest and the end of the process go."""

    at: Literal["start"]
    memory: Memory | None = None
    nics: Each | None = None
    hostdevs: Each | None = None
    socket: Socket | None = None
    accept: AcceptWord | None = None
    greeting: Greeting | None = None
    linger: Duration | None = None
    ignore: list[Ignorable] | None = None
    uninterruptible: Duration | None = None
    guest: Guest | None = None
    jobs: Jobs | None = None
    migration: Migration | None = None
    block: BlockWord | None = None
    unplug: Unplug | None = None
    #: Whether the files behind disks must be there. In a made-up world (any script) they need not.
    images: Literal["real", "imaginary"] | None = None
    #: Rules and words of a known character; those of the script itself go before them.
    preset: str | None = None
    #: The recorded QEMU to answer like, instead of the one that the program's name chooses.
    profile: Annotated[str, Field(min_length=1)] | None = None
    #: Where the control socket listens: `{pid}` and `{name}` are filled in.
    ctl: Annotated[str, Field(min_length=1, max_length=200)] | None = None

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
        folder = FilePath(__file__).parent / "profiles"
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

    at: Duration
    every: Positive | None = None
    count: Annotated[int, Field(ge=1)] | None = None
    do: Do

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

    on: Literal[tuple(STEPS)]  # type: ignore[valid-type]  # the table is the law
    match: Annotated[str, Field(min_length=1)] | None = None
    with_: Annotated[dict[str, Any] | None, Field(alias="with")] = None
    skip: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(ge=0, le=1, strict=False)] | None = None
    when: Literal["before", "after"] = "before"
    do: Do

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
