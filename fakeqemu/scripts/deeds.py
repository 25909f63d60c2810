"""What a rule may do: the words of ``do:``, and at which step each of them makes sense.

Knows the deeds of the grammar and their meaning. Must not know the rules around them
(`fakeqemu.scripts.words`) nor how a machine carries them out (`fakeqemu.scripts.effects`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from fakeqemu.scripts.values import (
    Delay,
    Duration,
    Positive,
    Rate,
    SignalName,
    Size,
    Span,
    Strict,
    Yes,
    chosen,
)

__all__ = [
    "GUEST",
    "STEPS",
    "TIMED",
    "Do",
    "Emit",
    "Error",
    "Exit",
    "KillWord",
    "Reorder",
    "Split",
    "fitting",
]

#: A reply or a piece of garbage is at most this long: enough to overrun any client's 10 MiB.
MAX_OVERSIZE = 64 << 20

_END = ("signal", "exit", "kill")
#: What can be done at any moment of a machine that runs.
_WORLD = ("emit", "guest", "io_error", "garbage", "close", "slow", "stop_reading", "stall", *_END)
#: What becomes of the bytes of a message.
_BYTES = ("duplicate", "reorder", "split", "corrupt", "truncate")
#: What becomes of what a message says.
_SENSE = ("lie", "omit", "extra", "respell")
_REPLY = ("delay", "error", "drop", "oversize", "reply", "id", *_SENSE, *_BYTES, *_WORLD)
_EARLY = ("delay", "stall", *_END)

#: The named steps of an ``on:`` rule, and what may be done there.
STEPS: dict[str, tuple[str, ...]] = {
    "exec": _EARLY,
    "bind": _EARLY,
    "listen": _EARLY,
    "ready": ("delay", "emit", "guest", *_EARLY[1:]),
    "accept": ("delay", "drop", "close", "slow", "stop_reading", *_EARLY[1:]),
    "greeting": (
        "delay", "drop", "garbage", "close", "slow", "stop_reading", *_SENSE, *_BYTES, *_EARLY[1:],
    ),
    "capabilities": _REPLY,
    "message": ("delay", "drop", "duplicate", *_WORLD),
    "command": _REPLY,
    "reply": _REPLY,
    "event": ("delay", "drop", *_SENSE, *_BYTES, *_WORLD),
    "agent": ("delay", "error", "drop", "reply", *_SENSE, *_WORLD),
    "job": ("delay", "error", "drop", *_WORLD),
    "migration": ("delay", "error", "drop", *_WORLD),
    "guest": ("delay", "drop", *_WORLD),
    "signal": ("delay", "drop", "emit", "guest", "close", "stall", *_END),
    "eof": ("delay", "drop", "emit", "guest", "stall", *_END),
    "exit": ("delay", "drop", "emit", "stall", "exit", "kill"),
}  # fmt: skip
#: What may be done at a time.
TIMED = _WORLD
#: What a guest may do of its own accord.
GUEST = (
    "poweroff", "reset", "panic", "crash-loaded", "hang", "suspend", "suspend-disk", "wakeup", "watchdog",
)  # fmt: skip


def _times(value: object) -> int:
    if value is True:
        return 1
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000:
        return value
    raise PydanticCustomError("times", "`true`, or a number from 1 to 1000")


Times = Annotated[
    int,
    BeforeValidator(_times),
    WithJsonSchema({"anyOf": [{"const": True}, {"type": "integer", "minimum": 1, "maximum": 1000}]}),
]


def _length(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_OVERSIZE:
        return value
    raise PydanticCustomError("length", "a number of bytes")


Length = Annotated[int, BeforeValidator(_length), WithJsonSchema({"type": "integer", "minimum": 0})]
#: The way to a member of a reply: ``status``, ``0.qdev``, ``*.inserted.ro`` (every item).
Members = Annotated[dict[Annotated[str, Field(min_length=1)], Any], Field(min_length=1)]


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
    after: Duration | None = None


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


class Reorder(Strict):
    """A message lets so many others go first, but waits no longer than ``within``."""

    after: Annotated[int, Field(ge=1, le=1000)] = 1
    within: Positive = 100_000_000


class Split(Strict):
    """A message leaves in pieces of ``size`` bytes, with a ``gap`` of time between two of them."""

    size: Annotated[int, Field(ge=1)] = 1
    gap: Duration = 0


class IoError(Strict):
    """A disk fails under the guest: BLOCK_IO_ERROR, and a stop where the device's policy says so."""

    device: Annotated[str, Field(min_length=1)] | None = None
    operation: Literal["read", "write"] = "write"
    nospace: Yes | None = None
    reason: str | None = None


class Do(Strict):
    """What a rule does. Several words act in the order delay, stall, last words, effect."""

    delay: Delay | None = Field(None, description="Wait so long first: a duration, or one that is drawn.")
    stall: Span | None = Field(
        None,
        description="The main loop hangs for so long, or for ever (`true`): nothing is answered or obeyed.",
    )
    error: Error | None = Field(None, description="Fail, in these words, instead of doing it.")
    drop: Yes | None = Field(
        None,
        description="Leave it out: the reply (the command is carried out all the same), the event, the step.",
    )
    garbage: str | None = Field(None, description="Say this line, which need not be JSON.")
    oversize: Size | None = Field(None, description="A reply of so many bytes, 2 to 64 MiB.")
    reply: Any = Field(None, description="This value is the reply, whatever the command returned.")
    id: Any = Field(None, description="This is the reply's `id`; the text `none` leaves it out.")
    lie: Members | None = Field(None, description="Replace members: `path: value`, as `running: false`.")
    omit: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = Field(
        None, description="Leave members out, by their paths."
    )
    extra: chosen(plain=Yes, mapping=Members) | None = Field(  # type: ignore[valid-type]  # a value made above
        None, description="Add members nobody has heard of (or these) to every object of the message."
    )
    respell: Yes | None = Field(
        None, description="The same JSON spelt otherwise: order of members, escapes, white space."
    )
    duplicate: Times | None = Field(None, description="Once more, or so many times more.")
    reorder: chosen(plain=Times, mapping=Reorder) | None = Field(  # type: ignore[valid-type]
        None, description="Let the next message (or so many) go first."
    )
    split: chosen(plain=Yes, mapping=Split) | None = Field(  # type: ignore[valid-type]
        None, description="Byte by byte, or in pieces of a size, with a gap of time."
    )
    corrupt: Times | None = Field(None, description="Flip a bit, or so many, somewhere in the message.")
    truncate: Length | None = Field(None, description="Only the first so many bytes leave.")
    emit: chosen(mapping=Emit, list=Annotated[list[Emit], Field(min_length=1)]) | None = Field(  # type: ignore[valid-type]
        None, description="Send an event, or several, at once or `after` a time."
    )
    guest: Literal[GUEST] | None = Field(None, description="Something happens inside the guest.")  # type: ignore[valid-type]
    io_error: IoError | None = Field(
        None, description="A disk (the first, or `device`) fails under the guest."
    )
    close: Yes | None = Field(None, description="Close the connection; at a time: all monitors'.")
    slow: Rate | None = Field(None, description="From now on bytes leave at this rate.")
    stop_reading: Span | None = Field(
        None, description="Read nothing more, for so long or for ever: the peer's writes block."
    )
    signal: SignalName | None = Field(None, description="The process gets this signal, as from outside.")
    exit: Exit | None = Field(None, description="Leave at once, with a status and last words.")
    kill: KillWord | None = Field(None, description="Die at once by a signal, after last words.")

    @model_validator(mode="after")
    def _consistent(self) -> Do:
        given = self.model_fields_set
        if not given:
            words = ", ".join(Do.model_fields)
            raise PydanticCustomError("empty", "the rule does nothing: add {words}", {"words": words})
        replies = sorted(given & {"error", "drop", "garbage", "oversize", "reply"})
        if len(replies) > 1:
            raise PydanticCustomError("replies", "only one of {words}", {"words": ", ".join(replies)})
        ends = [word for word in ("exit", "kill", "signal") if word in given]
        if len(ends) > 1:
            raise PydanticCustomError("ends", "only one of exit, kill, signal")
        if self.oversize is not None and not 2 <= self.oversize <= MAX_OVERSIZE:
            raise PydanticCustomError("oversize", "an oversize reply has 2 bytes to 64 MiB")
        return self


def fitting(do: Do, allowed: Sequence[str], where: str) -> None:
    """Refuse the first deed that does not make sense where it is done."""
    for word in Do.model_fields:
        if word in do.model_fields_set and word not in allowed:
            raise PydanticCustomError(
                "fitting", "`{word}` cannot be done {where}; there: {allowed}",
                {"word": word, "where": where, "allowed": ", ".join(allowed)},
            )  # fmt: skip
