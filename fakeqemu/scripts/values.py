"""The values of behaviour scripts: durations, sizes, rates, signals, and where a delay is drawn from.

Knows how a value is written. Must not know in which rule it stands: that is `fakeqemu.scripts.deeds` and
`fakeqemu.scripts.words`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from fakeqemu.scripts.units import parse_duration_ns, parse_rate, parse_size

__all__ = [
    "SIGNALS", "Delay", "Drawn", "Duration", "Exponential", "Ignorable", "Lognormal", "Normal", "Positive",
    "Rate", "Shaped", "SignalName", "Size", "Span", "Strict", "Yes", "chosen", "meant", "nearest", "signal",
]  # fmt: skip

#: The signals a rule may name.
SIGNALS = (
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
    "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGXCPU", "SIGSYS",
)  # fmt: skip


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that a mistyped one most probably meant, or None."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return close[0] if close else None


def meant(word: str, known: Sequence[str]) -> str:
    """What to add to a complaint about an unknown word: the word that was probably meant."""
    close = nearest(word, known)
    return f", did you mean {close!r}?" if close else ""


def _unit(parse: Callable[[object], int], example: str, pattern: str) -> Any:
    def read(value: object) -> int:
        try:
            return parse(value)
        except ValueError as error:
            raise PydanticCustomError("unit", "{why}", {"why": str(error)}) from None

    schema = {"type": ["string", "integer"], "examples": [example], "pattern": pattern}
    return Annotated[int, BeforeValidator(read), WithJsonSchema(schema)]


_DURATION = r"^\s*(0|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|min|h|d))+)\s*$"
Duration: Any = _unit(parse_duration_ns, "1500ms", _DURATION)
Size: Any = _unit(parse_size, "1GiB", r"^\s*[0-9]+(\.[0-9]+)? ?[A-Za-z]*\s*$")
Rate: Any = _unit(parse_rate, "3.83GiB/s", r"^\s*[0-9]+(\.[0-9]+)? ?[A-Za-z]+/s\s*$")


def _positive(value: object) -> int:
    ns = parse_duration_ns(value)
    if ns == 0:
        raise ValueError("a duration of nothing does nothing")
    return ns


Positive: Any = _unit(_positive, "1500ms", _DURATION)


def _true(value: object) -> bool:
    if value is not True:
        raise PydanticCustomError("true", "only `true` makes sense here; leave the word out otherwise")
    return True


Yes = Annotated[Literal[True], BeforeValidator(_true)]


def _span(value: object) -> int:
    """``true`` is for ever, written 0 in the compiled form."""
    return 0 if value is True else _positive(value)


Span: Any = Annotated[
    int,
    BeforeValidator(lambda value: _told(_span, value)),
    WithJsonSchema({"anyOf": [{"const": True}, {"type": "string", "examples": ["1500ms"]}]}),
]


def _told(read: Callable[[object], int], value: object) -> int:
    try:
        return read(value)
    except ValueError as error:
        raise PydanticCustomError("unit", "`true`, or a duration: {why}", {"why": str(error)}) from None


def signal(value: object) -> str:
    """The name of a signal that a rule may name."""
    if value in SIGNALS:
        return str(value)
    raise PydanticCustomError(
        "signal", "unknown signal {word}{hint}", {"word": repr(value), "hint": meant(str(value), SIGNALS)}
    )


def _ignorable(value: object) -> str:
    if value == "SIGKILL":
        raise PydanticCustomError("signal", "no process can ignore SIGKILL; `uninterruptible` delays it")
    return signal(value)


SignalName = Annotated[str, BeforeValidator(signal), WithJsonSchema({"enum": list(SIGNALS)})]
Ignorable = Annotated[
    str,
    BeforeValidator(_ignorable),
    WithJsonSchema({"enum": [name for name in SIGNALS if name != "SIGKILL"]}),
]


class Strict(BaseModel):
    """Base of every part of the grammar: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def chosen(**sorts: Any) -> Any:
    """A value whose sort is told by its look, so that a mistake in it is told once.

    Args:
        sorts: ``mapping``, ``list`` and ``plain``: what a value of that look is.
    """

    def look(value: object) -> str:
        if isinstance(value, Mapping) or (isinstance(value, BaseModel) and "mapping" in sorts):
            kind = "mapping"
        elif isinstance(value, Sequence) and not isinstance(value, str):
            kind = "list"
        else:
            kind = "plain"
        return kind if kind in sorts else next(iter(sorts))

    union: Any = None
    for tag, sort in sorts.items():
        member: Any = Annotated[sort, Tag(tag)]
        union = member if union is None else union | member
    return Annotated[union, Discriminator(look)]


_Number = Annotated[float, Field(gt=0, le=1000, strict=False, allow_inf_nan=False)]


class Normal(Strict):
    """The bell curve; what would be negative is 0."""

    mean: Duration
    sd: Duration


class Lognormal(Strict):
    """Most waits near the median, a few many times as long: round trips, disks."""

    median: Positive
    sigma: _Number


class Exponential(Strict):
    """Waits without memory: arrivals, failures."""

    mean: Positive


class Shaped(Strict):
    """A scale and a shape: of a Pareto distribution ``scale`` is the least wait, of Weibull's the typical."""

    scale: Positive
    shape: _Number


class Drawn(Strict):
    """A wait drawn from a distribution, with the seed of the run: exactly one of them."""

    uniform: Annotated[list[Duration], Field(min_length=2, max_length=2)] | None = Field(
        None, description="`[least, most]`: each as likely."
    )
    triangular: Annotated[list[Duration], Field(min_length=3, max_length=3)] | None = Field(
        None, description="`[least, likeliest, most]`."
    )
    choice: Annotated[list[Duration], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="One of these."
    )
    normal: Normal | None = Field(None, description="`{mean, sd}`: the bell curve, without what is negative.")
    lognormal: Lognormal | None = Field(
        None, description="`{median, sigma}`: most near the median, a few many times as long."
    )
    exponential: Exponential | None = Field(None, description="`{mean}`: waits without memory.")
    pareto: Shaped | None = Field(None, description="`{scale, shape}`: the least, and a heavy tail.")
    weibull: Shaped | None = Field(None, description="`{scale, shape}`: what wears out or dies young.")
    recorded: str | None = Field(
        None, description="A file of `fakeqemu measure` beside the script, or a shipped host's name."
    )
    min: Duration | None = Field(None, description="Never less than this.")
    max: Duration | None = Field(None, description="Never more than this.")

    @field_validator("recorded")
    @classmethod
    def _there(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None:
            from fakeqemu.scripts.delays import latency_path, load_latencies

            base = (info.context or {}).get("base") or os.curdir
            try:
                load_latencies(latency_path(name, base))
            except ValueError as error:
                raise PydanticCustomError("recorded", "{why}", {"why": str(error)}) from None
        return name

    @model_validator(mode="after")
    def _one(self) -> Drawn:
        kinds = [name for name in Drawn.model_fields if name not in ("min", "max")]
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("drawn", "exactly one of {words}", {"words": ", ".join(kinds)})
        for name in ("uniform", "triangular"):
            ends = getattr(self, name)
            if ends is not None and list(ends) != sorted(ends):
                raise PydanticCustomError("drawn", "`{word}` goes from small to large", {"word": name})
        if self.min is not None and self.max is not None and self.min > self.max:
            raise PydanticCustomError("drawn", "`min` is more than `max`")
        return self


#: A wait: fixed, or drawn.
Delay: Any = chosen(plain=Duration, mapping=Drawn)
