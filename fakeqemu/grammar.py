"""The one law of behaviour scripts: which rules there are, what their words mean, and what a mistake is called.

Knows the grammar (pydantic) and how to turn a valid script into plain JSON for the runtime (`fakeqemu.script`).
Must not know the machine. It is imported only by tools and by a process that was given a script which is not
compiled yet: never on the start-up path.

A script is a list of rules of three sorts::

    - {at: start, memory: {zeroing: 3.83GiB/s}}                     # how the start goes
    - {at: 300ms, do: {exit: {code: 1, stderr: "out of memory"}}}   # at a time after exec
    - {on: command, match: stop, skip: 1, do: {delay: 29999ms}}     # at a step of the protocol

Later words override earlier ones in ``at: start``; of the ``on`` rules the first that matches acts, alone.
"""

from __future__ import annotations

import difflib
import signal as signals
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, RootModel, Tag
from pydantic import ValidationError, WithJsonSchema, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from fakeqemu.units import parse_duration_ns, parse_rate, parse_size

__all__ = [
    "COMPILED_VERSION", "Do", "FakeScript", "OnRule", "Rule", "StartRule", "TimedRule", "compile_rules",
    "nearest", "script_mistakes",
]  # fmt: skip

#: Version of the compiled form; `fakeqemu.script` refuses any other.
COMPILED_VERSION = 1

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
        "signal", "unknown signal {word}{hint}", {"word": repr(value), "hint": _meant(str(value), SIGNALS)}
    )


SignalName = Annotated[str, BeforeValidator(_signal), WithJsonSchema({"enum": list(SIGNALS)})]


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
    """What becomes of a client that has connected: late, refused (the listener is closed), or never served."""

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
    ignore: list[SignalName] | None = None
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
        Literal["GenericError", "CommandNotFound", "DeviceNotActive", "DeviceNotFound", "KVMMissingCap"],
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
    """Something that happens at a step: ``match`` picks (a name, ``*`` and ``?`` as in file names), ``skip``
    lets the first few go by, ``count`` ends the rule, ``probability`` draws from the run's seed."""

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


def _sort(value: Any) -> str:
    given: Any = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    if "on" in given:
        return "on"
    if given.get("at") == "start" or ("do" not in given and "at" not in given):
        return "start"
    return "timed"


#: One rule of a script.
Rule = Annotated[
    Annotated[StartRule, Tag("start")] | Annotated[TimedRule, Tag("timed")] | Annotated[OnRule, Tag("on")],
    Discriminator(_sort),
]


class FakeScript(RootModel[list[Rule]]):
    """A behaviour script: rules in order."""


_TAGS = ("start", "timed", "on")


def script_mistakes(data: Any) -> list[tuple[Path, str]]:
    """Every mistake of a script: where it stands (keys and indexes from ``data`` on), and what is wrong.

    ``data`` is what a YAML or JSON loader returned. An unknown word's path ends in that word; a missing
    word's path ends at the mapping that lacks it. An empty list means that `compile_rules` will accept it.
    """
    if data is None:
        return []
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        return [((), "a script is a list of rules, each {at: ...} or {on: ..., do: ...}")]
    mistakes: list[tuple[Path, str]] = []
    for index, rule in enumerate(data):
        if not isinstance(rule, Mapping):
            mistakes.append(((index,), "a rule is a mapping: {at: ...} or {on: ..., do: ...}"))
        elif "at" not in rule and "on" not in rule:
            mistakes.append(((index,), "a rule begins with `at: start`, `at: <time>` or `on: <step>`"))
        else:
            mistakes += _of_rule(index, rule)
    return mistakes


def compile_rules(rules: Any) -> dict[str, Any]:
    """The normalised form of a valid script: plain JSON; nanoseconds, bytes, bytes per second, signal numbers.

    Raises:
        ValueError: the script has mistakes; the text is the first one, with its path.
    """
    mistakes = script_mistakes(rules)
    if mistakes:
        path, text = mistakes[0]
        raise ValueError(f"{'.'.join(map(str, path)) or 'script'}: {text}")
    start: dict[str, Any] = {}
    timed: list[dict[str, Any]] = []
    on: list[dict[str, Any]] = []
    for index, rule in enumerate(FakeScript.model_validate(_plain(rules) or []).root):
        name = f"rule {index + 1}"
        words = rule.model_dump(exclude_unset=True, by_alias=True)
        if isinstance(rule, StartRule):
            del words["at"]
            _merge(start, _numbered(words), name)
        elif isinstance(rule, TimedRule):
            timed.append({"name": name, "at": rule.at, "do": _numbered(words["do"])})
        else:
            words["do"] = _numbered(words["do"])
            if rule.on == "capabilities":
                words |= {"on": "command", "match": "qmp_capabilities"}
            elif rule.on == "signal" and rule.match is not None:
                words["match"] = str(int(signals.Signals[rule.match]))
            on.append({"name": name, **words})
    return {"version": COMPILED_VERSION, "start": start, "timed": timed, "on": on}


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that a mistyped one most probably meant, or None."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return close[0] if close else None


def _of_rule(index: int, rule: Mapping[str, Any]) -> list[tuple[Path, str]]:
    try:
        FakeScript.model_validate([_plain(rule)])
    except ValidationError as failure:
        found = []
        for error in failure.errors(include_url=False):
            # loc is (0, tag, keys...): the tag of the sort is ours, not the writer's.
            path = tuple(step for step in error["loc"][1:])
            if path and path[0] in _TAGS:
                path = path[1:]
            if "word" in (context := error.get("ctx", {})) and error["type"] == "fitting":
                path = ("do", str(context["word"]))
            found.append(((index, *_real(rule, path)), _message(error, rule, path)))
        return found
    return []


def _real(rule: Any, path: Path) -> Path:
    """The part of a path that exists in the data: names of variants that pydantic adds are left out."""
    kept: list[str | int] = []
    node = rule
    for step in path:
        if isinstance(node, Mapping) and step in node:
            node = node[step]
        elif (
            isinstance(node, Sequence)
            and not isinstance(node, str)
            and isinstance(step, int)
            and step < len(node)
        ):
            node = node[step]
        else:
            continue
        kept.append(step)
    return tuple(kept)


def _message(error: ErrorDetails, rule: Mapping[str, Any], path: Path) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known(rule, path[:-1])
        return f"unknown word {str(path[-1])!r}{_meant(str(path[-1]), known)}; known: {', '.join(known)}"
    if kind == "missing":
        return f"`{path[-1]}` is missing"
    if kind == "literal_error":
        value = error["input"]
        words = _literals(context)
        return f"unknown value {value!r}{_meant(str(value), words)}; known: {', '.join(words)}"
    text = error["msg"]
    return text[0].lower() + text[1:] if text[:1].isupper() and text[1:2].islower() else text


def _literals(context: Mapping[str, Any]) -> list[str]:
    return [word.strip(" '") for word in str(context.get("expected", "")).replace(" or ", ", ").split(",")]


def _known(rule: Mapping[str, Any], path: Path) -> list[str]:
    """The words that may stand in the mapping at ``path`` of a rule."""
    model: Any = {"start": StartRule, "timed": TimedRule, "on": OnRule}[_sort(rule)]
    for step in path:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step)
        inner = [kind for kind in (field.annotation, *get_args(field.annotation))] if field else []
        model = next(
            (kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), model
        )
    return [field.alias or name for name, field in model.model_fields.items()]


def _meant(word: str, known: Sequence[str]) -> str:
    close = nearest(word, known)
    return f", did you mean {close!r}?" if close else ""


def _words(model: type[BaseModel], *without: str) -> str:
    return ", ".join(name for name in model.model_fields if name not in without)


def _plain(node: Any) -> Any:
    """Plain dicts, lists and scalars of a tree that a position-keeping loader made of subclasses."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _numbered(words: dict[str, Any]) -> dict[str, Any]:
    """Signal names become numbers; the defaults of exit, kill and error are filled in."""
    if "ignore" in words:
        words["ignore"] = [int(signals.Signals[name]) for name in words["ignore"]]
    if "exit" in words:
        words["exit"] = {"code": 1, "stderr": None} | words["exit"]
    if "kill" in words:
        kill = {"signal": "SIGKILL", "stderr": None} | words["kill"]
        words["kill"] = kill | {"signal": int(signals.Signals[kill["signal"]])}
    if "error" in words:
        words["error"] = {"class": "GenericError"} | words["error"]
    return words


def _merge(start: dict[str, Any], words: dict[str, Any], name: str) -> None:
    for word, value in words.items():
        old = start.get(word)
        if isinstance(value, dict) and isinstance(old, dict) and word != "memory":
            start[word] = old | value
        else:
            start[word] = value
        start.setdefault("rules", {})[word] = name
