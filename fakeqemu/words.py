"""The words of behaviour scripts, as pydantic models: what there is, and what each word means.

Knows the grammar. Must not know how mistakes are told or scripts are compiled: that is `fakeqemu.grammar`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from fakeqemu.units import parse_duration_ns, parse_rate, parse_size

__all__ = [
    "Do",
    "FakeScript",
    "OnRule",
    "Path",
    "Rule",
    "StartRule",
    "TimedRule",
    "meant",
    "nearest",
    "sort_of",
]

Path = tuple[str | int, ...]

#: The signals a rule may name.
SIGNALS = (
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
    "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGXCPU", "SIGSYS",
)  # fmt: skip

#: The named steps of an ``on:`` rule, and what may be done there.
STEPS: dict[str, tuple[str, ...]] = {
    "command": (
        "delay", "error", "drop", "garbage", "oversize", "reply", "emit", "guest", "close", "exit", "kill",
    ),
    "bind": ("delay", "exit", "kill"),
    "listen": ("delay", "exit", "kill"),
    "accept": ("delay", "close", "exit", "kill"),
    "greeting": ("delay", "drop", "garbage", "close", "exit", "kill"),
    "capabilities": (
        "delay", "error", "drop", "garbage", "oversize", "emit", "guest", "close", "exit", "kill",
    ),
    "signal": ("delay", "drop", "emit", "exit", "kill"),
    "eof": ("delay", "emit", "guest", "exit", "kill"),
}  # fmt: skip
#: What may be done at a time.
TIMED = ("emit", "guest", "close", "garbage", "exit", "kill")
#: Steps where ``match:`` names something: a command, a signal.
MATCHED = ("command", "signal")
#: A reply or a piece of garbage is at most this long: enough to overrun any client's 10 MiB.
MAX_OVERSIZE = 64 << 20


def _unit(parse: Callable[[object], int], example: str, pattern: str) -> Any:
    def read(value: object) -> int:
        try:
            return parse(value)
        except ValueError as error:
            raise PydanticCustomError("unit", "{why}", {"why": str(error)}) from None

    schema = {"type": ["string", "integer"], "examples": [example], "pattern": pattern}
    return Annotated[int, BeforeValidator(read), WithJsonSchema(schema)]


Duration: Any = _unit(parse_duration_ns, "1500ms", r"^\s*(0|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|min|h|d))+)\s*$")
Size: Any = _unit(parse_size, "1GiB", r"^\s*[0-9]+(\.[0-9]+)? ?[A-Za-z]*\s*$")
Rate: Any = _unit(parse_rate, "3.83GiB/s", r"^\s*[0-9]+(\.[0-9]+)? ?[A-Za-z]+/s\s*$")


def _true(value: object) -> bool:
    if value is not True:
        raise PydanticCustomError("true", "only `true` makes sense here; leave the word out otherwise")
    return True


Yes = Annotated[Literal[True], BeforeValidator(_true)]


def _signal(value: object) -> str:
    if value in SIGNALS:
        return str(value)
    raise PydanticCustomError(
        "signal", "unknown signal {word}{hint}", {"word": repr(value), "hint": meant(str(value), SIGNALS)}
    )


def _ignorable(value: object) -> str:
    if value == "SIGKILL":
        raise PydanticCustomError("signal", "no process can ignore SIGKILL; `uninterruptible` delays it")
    return _signal(value)


SignalName = Annotated[str, BeforeValidator(_signal), WithJsonSchema({"enum": list(SIGNALS)})]
Ignorable = Annotated[
    str,
    BeforeValidator(_ignorable),
    WithJsonSchema({"enum": [name for name in SIGNALS if name != "SIGKILL"]}),
]


class Strict(BaseModel):
    """Base of every part of the grammar: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
    #: Whether the files behind disks must be there. In a made-up world (any script) they need not.
    images: Literal["real", "imaginary"] | None = None

    @model_validator(mode="after")
    def _something(self) -> StartRule:
        if len(self.model_fields_set) < 2:
            raise PydanticCustomError(
                "empty", "the rule does nothing: add {words}", {"words": _words(StartRule, "at")}
            )
        return self


class Exit(Strict):
    """Leave with an exit status and last words."""

    code: Annotated[int, Field(ge=0, le=255)] = 1
    stderr: str | None = None


class KillWord(Strict):
    """Die by a signal, after last words."""

    signal: SignalName = "SIGKILL"
    stderr: str | None = None


class Emit(Strict):
    """An event, whether or not the machine would have sent one."""

    event: Annotated[str, Field(min_length=1)]
    data: dict[str, Any] | None = None


class Error(Strict):
    """An error reply."""

    class_: Annotated[
        Literal[
            "GenericError",
            "CommandNotFound",
            "DeviceNotActive",
            "DeviceNotFound",
            "KVMMissingCap",
            "MigrationExpected",  # of QEMUs before 1.2
        ],
        Field(alias="class"),
    ] = "GenericError"
    desc: str


class Do(Strict):
    """What a rule does. Several words act in the order delay, last words, effect."""

    delay: Duration | None = None
    error: Error | None = None
    drop: Yes | None = None
    garbage: str | None = None
    oversize: Size | None = None
    reply: Any = None
    emit: Emit | None = None
    guest: Literal["poweroff", "reset", "panic"] | None = None
    close: Yes | None = None
    exit: Exit | None = None
    kill: KillWord | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Do:
        given = self.model_fields_set
        if not given:
            raise PydanticCustomError("empty", "the rule does nothing: add {words}", {"words": _words(Do)})
        replies = sorted(given & {"error", "drop", "garbage", "oversize", "reply"})
        if len(replies) > 1:
            raise PydanticCustomError("replies", "only one of {words}", {"words": ", ".join(replies)})
        if {"exit", "kill"} <= given:
            raise PydanticCustomError("ends", "only one of exit, kill")
        if self.oversize is not None and not 2 <= self.oversize <= MAX_OVERSIZE:
            raise PydanticCustomError("oversize", "an oversize reply has 2 bytes to 64 MiB")
        return self


def _fitting(do: Do, allowed: Sequence[str], where: str) -> None:
    for word in Do.model_fields:
        if word in do.model_fields_set and word not in allowed:
            raise PydanticCustomError(
                "fitting", "`{word}` cannot be done {where}; there: {allowed}",
                {"word": word, "where": where, "allowed": ", ".join(allowed)},
            )  # fmt: skip


class TimedRule(Strict):
    """Something that happens at a time after exec."""

    at: Duration
    do: Do

    @model_validator(mode="after")
    def _fits(self) -> TimedRule:
        _fitting(self.do, TIMED, "at a time")
        return self


Step = Literal["command", "bind", "listen", "accept", "greeting", "capabilities", "signal", "eof"]


class OnRule(Strict):
    """Something that happens at a step.

    ``match`` picks (a name, ``*`` and ``?`` as in file names), ``skip`` lets the first few go by, ``count``
    ends the rule, ``probability`` draws from the seed of the run.
    """

    on: Step
    match: Annotated[str, Field(min_length=1)] | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(ge=0, le=1, strict=False)] | None = None
    when: Literal["before", "after"] = "before"
    do: Do

    @model_validator(mode="after")
    def _fits(self) -> OnRule:
        _fitting(self.do, STEPS[self.on], f"on {self.on}")
        if self.match is not None and self.on not in MATCHED:
            raise PydanticCustomError("match", "`match` needs `on: {words}`", {"words": " or ".join(MATCHED)})
        if self.on == "signal" and self.match is not None:
            _signal(self.match)
        if (
            "when" in self.model_fields_set
            and not {"exit", "kill", "close", "emit", "guest"} & self.do.model_fields_set
        ):
            raise PydanticCustomError("when", "`when` places exit, kill, close, emit or guest; none is there")
        return self


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


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that a mistyped one most probably meant, or None."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return close[0] if close else None


def meant(word: str, known: Sequence[str]) -> str:
    """What to add to a complaint about an unknown word: the word that was probably meant."""
    close = nearest(word, known)
    return f", did you mean {close!r}?" if close else ""


def _words(model: type[BaseModel], *without: str) -> str:
    return ", ".join(name for name in model.model_fields if name not in without)
