"""The grammar of scenarios: one model for each thing that may stand in a file. This is the one law.

The JSON Schema in ``scenarios/schema.json`` and the reference page are made from these classes and their
docstrings; `virtsim.sim.load` reads files with them and adds the places of mistakes.

Knows words, types and units. Must not know files, clocks, or what a step does.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from fakeqemu.scripts.units import parse_duration_ns, parse_size
from virtsim.api import POLICIES, policy
from virtsim.errors import ErrorCode, InvalidArgument
from virtsim.sim.words import EVENTS, SIGNALS, STATES, nearest

__all__ = [
    "MODIFIERS", "TARGET_VERBS", "VERBS", "Bounds", "DomainSpec", "ErrorExpect", "Kill", "PolicySpec",
    "RunExpect", "Scenario", "StateExpect", "Step", "StepExpect", "WaitFor",
]  # fmt: skip

#: A name of a domain, a label: what may be written without quoting anywhere (path, QEMU option, YAML).
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$"


def _duration(value: Any) -> int:
    return parse_duration_ns(value)


def _size(value: Any) -> int:
    if not isinstance(value, str) or not value.strip().strip("0123456789."):
        raise ValueError("a size needs a unit, as in 512MiB or 402GiB")
    size = parse_size(value)
    if "." in value and size >= 1024:  # 1.99GiB is no whole number of KiB: rounded up, as libvirt does
        size = -(-size // 1024) * 1024
    if size == 0 or size % 1024:
        raise ValueError(f"a size here is a whole number of KiB and not zero: {value!r}")
    return size


def _word(words: dict[str, Any] | frozenset[str], what: str) -> Any:
    """A validator for a word that is written in any case and kept as libvirt spells it."""

    def check(value: Any) -> str:
        word = str(value).upper().replace("-", "_") if isinstance(value, str) else ""
        if word not in words:
            raise ValueError(f"unknown {what} {value!r}{nearest(str(value), words)}")
        return word

    return check


def _names(value: Any) -> Any:
    """One name or a list of names."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("expected a name, or a list of names")
    return tuple(names)


def _event(value: Any) -> tuple[str, ...]:
    """``[domain, EVENT, DETAIL]``; without the detail for an event that has none."""
    if (
        not isinstance(value, list)
        or len(value) not in {2, 3}
        or not all(isinstance(part, str) for part in value)
    ):
        raise ValueError("an event is written [domain, EVENT, DETAIL]")
    domain, event, *detail = value
    _event_words(event, detail[0] if detail else None)
    return (domain, event, *detail)


def _event_words(event: str, detail: str | None) -> None:
    if event not in EVENTS:
        raise ValueError(f"unknown event {event!r}{nearest(event, EVENTS)}")
    details = EVENTS[event]
    if bool(details) != (detail is not None):
        raise ValueError(
            f"{event} has {'a' if details else 'no'} detail{nearest('', details) if details else ''}"
        )
    if detail is not None and detail not in details:
        raise ValueError(f"unknown detail {detail!r} of {event}{nearest(detail, details)}")


def _event_counts(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("expected EVENT/DETAIL: number")  # noqa: TRY004 - pydantic reports ValueError only
    for name in value:
        event, _, detail = str(name).partition("/")
        _event_words(event, detail or None)
    return value


def _attempts(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | list) or (isinstance(value, int) and value < 0):
        raise ValueError("expected how many attempts, or the list of their times: [1ms, 3ms, 7ms]")
    return value if isinstance(value, int) else tuple(parse_duration_ns(item) for item in value)


def _limit(value: Any) -> Any:
    return "none" if value == "none" else parse_duration_ns(value)


def _signal(value: Any) -> tuple[str, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(
            "a signal is written [SIGTERM, 0s]: its name, and when it was sent after the step's begin"
        )
    return (_word(SIGNALS, "signal")(value[0]), parse_duration_ns(value[1]))


def _pattern(value: Any) -> Any:
    try:
        re.compile(value)
    except (re.error, TypeError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


def _wrap(key: str) -> BeforeValidator:
    """Let a bare value stand for ``{key: value}``."""
    return BeforeValidator(lambda value: value if isinstance(value, dict) else {key: value})


_TEXT = {"type": "string"}
_DURATION = {**_TEXT, "pattern": r"^([0-9]+(\.[0-9]+)?[a-z]+)+$|^0$", "examples": ["105s", "1500ms", "1h30m"]}
_SIZES = {
    **_TEXT,
    "pattern": r"^[0-9]+(\.[0-9]+)? ?[kKMGTP]i?B$|^[0-9]+ ?B$",
    "examples": ["402GiB", "512MiB"],
}
_EVENTS_SCHEMA = {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 3}

Duration: TypeAlias = Annotated[int, BeforeValidator(_duration), WithJsonSchema(_DURATION)]
Size: TypeAlias = Annotated[int, BeforeValidator(_size), WithJsonSchema(_SIZES)]
Name: TypeAlias = Annotated[str, Field(pattern=NAME)]
Names: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]
State: TypeAlias = Annotated[
    str,
    BeforeValidator(_word(STATES, "state")),
    WithJsonSchema({"enum": [*map(str.lower, STATES), *STATES]}),
]
SignalName: TypeAlias = Annotated[
    str, BeforeValidator(_word(SIGNALS, "signal")), WithJsonSchema({"enum": list(SIGNALS)})
]
Event: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_event), WithJsonSchema(_EVENTS_SCHEMA)]
EventCounts: TypeAlias = Annotated[dict[str, int], BeforeValidator(_event_counts)]
Attempts: TypeAlias = Annotated[
    int | tuple[int, ...],
    BeforeValidator(_attempts),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "array", "items": _DURATION}]}),
]
Limit: TypeAlias = Annotated[
    int | Literal["none"], BeforeValidator(_limit), WithJsonSchema({"anyOf": [{"const": "none"}, _DURATION]})
]
Signal: TypeAlias = Annotated[
    tuple[str, int],
    BeforeValidator(_signal),
    WithJsonSchema({"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}),
]
Code: TypeAlias = Annotated[
    str,
    BeforeValidator(_word(frozenset(code.name for code in ErrorCode), "error code")),
    WithJsonSchema({**_TEXT, "pattern": "^VIR_ERR_"}),
]
Pattern: TypeAlias = Annotated[str, BeforeValidator(_pattern), WithJsonSchema({**_TEXT, "format": "regex"})]


class Strict(BaseModel):
    """Base of all: nothing unknown is let through, nothing changes afterwards; docstrings document."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, populate_by_name=False
    )


class PolicySpec(Strict):
    """How a start waits for the monitor. A bare name stands for ``{name: NAME}``."""

    name: Annotated[str, WithJsonSchema({"enum": sorted(POLICIES)})]
    """`poll200`, `backoff-uncapped`, `backoff-adaptive`, `fdpass` or `eventful`."""
    limit: Duration | None = None
    """Instead of the limit that the policy works out from the guest's size. `fdpass` has none."""

    @model_validator(mode="after")
    def _known(self) -> PolicySpec:
        if self.name not in POLICIES:
            raise ValueError(f"unknown policy {self.name!r}{nearest(self.name, POLICIES)}")
        try:
            policy(self.name, self.limit_ms)
        except InvalidArgument as error:
            raise ValueError(error.detail) from None
        return self

    @property
    def limit_ms(self) -> int | None:
        """The limit in the unit of policies, rounded up."""
        return None if self.limit is None else -(-self.limit // 10**6)


class DomainSpec(Strict):
    """One domain, or a template of many. The keys beside `xml` change what the document says."""

    xml: str | None = None
    """A domain document: a file (beside the scenario, or in the folder above it), or the document itself.
    Without it the domain is a bare machine: 512 MiB, one vCPU, no disk."""
    memory: Size | None = None
    """Guest memory, for instance `402GiB`."""
    hugepages: Size | None = None
    """Back the memory with pages of this size, for instance `1GiB`."""
    vcpus: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Number of virtual CPUs."""
    nics: Annotated[int, Field(ge=0, le=256)] | None = None
    """Exactly this many network interfaces (user mode), instead of the document's."""
    hostdevs: Annotated[int, Field(ge=0, le=64)] | None = None
    """Exactly this many PCI host devices, instead of the document's."""
    count: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """The domain is a template: `web` with `count: 3` gives `web-0`, `web-1`, `web-2`; `web` means them
    all."""
    without: list[Literal["chardev-fd-pass"]] = []
    """QEMU capabilities to do without, as `<qemu:del capability=.../>` would say."""


class Bounds(Strict):
    """A duration that is exact on the virtual clock, or lies between two others. A bare duration is exact."""

    exact: Duration | None = None
    """Exactly this long."""
    min: Duration | None = None
    """At least this long."""
    max: Duration | None = None
    """At most this long."""


class StateExpect(Strict):
    """A state and, if given, its reason. A bare word stands for ``{state: WORD}``."""

    state: State
    """libvirt's state, in any case: `running`, `paused`, `shutoff` ..."""
    reason: str | None = None
    """libvirt's reason for the state: `booted`, `user`, `failed` ..."""

    @model_validator(mode="after")
    def _reason_fits(self) -> StateExpect:
        _check_reason(self.state, self.reason)
        return self


def _check_reason(state: str | None, reason: str | None) -> None:
    if reason is None:
        return
    known = STATES[state] if state is not None else frozenset[str]().union(*STATES.values())
    if reason.upper().replace("-", "_") not in known:
        of = f" of {state}" if state is not None else ""
        raise ValueError(f"unknown reason {reason!r}{of}{nearest(reason, known)}")


class ErrorExpect(Strict):
    """The error a step must end in. A step that expects none must succeed."""

    optional: bool = False
    """The step may also succeed: which of several wins a race is nobody's business."""

    code: Code | None = None
    """libvirt's name of the code, for instance `VIR_ERR_SYSTEM_ERROR`."""
    text: str | None = None
    """The whole text, as virsh prints it after `error: `."""
    matches: Pattern | None = None
    """A regular expression that is found in the text; for texts that hold a process id or the words of a real
    QEMU."""


class StepExpect(Strict):
    """What must be true when a step has ended. Each line is checked by itself, from the journal."""

    state: State | None = None
    """The state of each domain the step is about."""
    reason: str | None = None
    """The reason of that state."""
    elapsed: Annotated[Bounds, _wrap("exact")] | None = None
    """How long the step took; for a step about several domains, each of them."""
    attempts: Attempts | None = None
    """How often the monitor's socket was tried, or the time of each try since the wait began."""
    limit: Limit | None = None
    """The limit of the wait for the monitor; `none` if there is no limit."""
    events: list[Event] | None = None
    """Exactly these events, in this order, of the step's domains between its begin and its end."""
    error: ErrorExpect | None = None
    """The step must end in this error."""
    succeed: Annotated[int, Field(ge=0)] | None = None
    """With `parallel` or several targets: so many of them must succeed, whichever they are."""
    qmp: list[str] | None = None
    """Exactly these QMP commands, in this order, sent on behalf of the step."""
    signals: list[Signal] | None = None
    """Exactly these signals, each with the time since the step's begin; tries with signal 0 do not count."""
    returns: Any = None
    """For `call`: the value that the function returned."""

    @model_validator(mode="after")
    def _reason_fits(self) -> StepExpect:
        _check_reason(self.state, self.reason)
        return self


class WaitFor(Strict):
    """Wait until a domain is in a state."""

    domain: str
    """The domain, or the template: all of it."""
    state: State
    """The state to wait for."""
    within: Duration | None = None
    """How long at most; beyond it the step fails. Without it, the scenario's end of time decides."""


class Kill(Strict):
    """The administrator sends a signal to a domain's QEMU, behind the library's back."""

    domain: str
    """The domain."""
    signal: SignalName = "SIGKILL"
    """The signal's name."""


class Step(Strict):
    """One step: exactly one verb, and what goes with it.

    The target of a verb is a domain, a list of domains, or a template (all of it at once); several
    targets are acted on at the same time, and the step ends when all are done.
    """

    define: Names | None = None
    """Define the domain. Domains that no step defines or creates are defined before the first step."""
    undefine: Names | None = None
    """Remove the definition."""
    start: Names | None = None
    """Start the domain (`virDomainCreateWithFlags`)."""
    create_xml: Names | None = None
    """Create the domain as a transient one (`virDomainCreateXML`)."""
    suspend: Names | None = None
    """Pause the guest."""
    resume: Names | None = None
    """Let a paused guest go on."""
    shutdown: Names | None = None
    """Ask the guest to power off; the step does not wait for it."""
    reboot: Names | None = None
    """Ask the guest to reboot."""
    reset: Names | None = None
    """Reset the machine."""
    destroy: Names | None = None
    """Kill QEMU: SIGTERM, and SIGKILL 10 s later."""
    stat: Names | None = None
    """Ask for memory statistics: takes the domain's job and asks QEMU (`virDomainMemoryStats`)."""
    dumpxml: Names | None = None
    """Ask for the live document (`virDomainGetXMLDesc`)."""
    wait: Duration | None = None
    """Let this time pass."""
    wait_for: WaitFor | None = None
    """Wait for a state."""
    kill: Annotated[Kill, _wrap("domain")] | None = None
    """A signal from the administrator. A bare name sends SIGKILL."""
    call: str | None = None
    """`file.py:function`: code of your own, called with the `Stage`; it may be a coroutine. On the
    virtual clock `datetime.now()`, `time.time()` and `time.monotonic()` in it tell virtual time, and
    `time.sleep()` advances it."""
    parallel: Annotated[list[Step], Field(min_length=1)] | None = None
    """Steps that begin at the same time; ends when all have ended."""
    join: Names | None = None
    """Wait for steps that run in the background. What is never joined is joined after the last step."""

    paused: bool = False
    """With `start` and `create_xml`: leave the guest paused."""
    graceful: bool = False
    """With `destroy`: SIGTERM only, and give up after 15 s."""
    as_: Name | None = Field(default=None, alias="as")
    """Run in the background under this label."""
    at: Duration | None = None
    """Do not begin before this time, counted from the begin of the first step."""
    expect: StepExpect = StepExpect()
    """What must be true at the end of the step."""

    @model_validator(mode="after")
    def _one_verb(self) -> Step:
        verbs = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(verbs) != 1:
            found = f"this one has {' and '.join(verbs)}" if verbs else "this one has none"
            raise ValueError(f"a step has exactly one verb; {found}")
        for modifier, fitting in MODIFIERS.items():
            if getattr(self, modifier) and verbs[0] not in fitting:
                raise ValueError(f"{modifier!r} goes with {' and '.join(fitting)}, not with {verbs[0]!r}")
        if self.expect.returns is not None and verbs[0] != "call":
            raise ValueError("'returns' goes with 'call'")
        if self.expect.succeed is not None and verbs[0] not in {*TARGET_VERBS, "parallel"}:
            raise ValueError("'succeed' goes with 'parallel' and with several targets")
        return self

    @property
    def verb(self) -> str:
        """The verb of the step."""
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names as they are written: domains and templates; nothing for steps that are about none."""
        if self.verb in TARGET_VERBS:
            names: tuple[str, ...] = getattr(self, self.verb)
            return names
        one = self.wait_for or self.kill
        return (one.domain,) if one is not None else ()


#: Verbs whose value is a target.
TARGET_VERBS = (
    "define", "undefine", "start", "create_xml", "suspend", "resume", "shutdown", "reboot", "reset",
    "destroy", "stat", "dumpxml",
)  # fmt: skip
#: All verbs.
VERBS = (*TARGET_VERBS, "wait", "wait_for", "kill", "call", "parallel", "join")
#: Modifier -> the verbs it goes with.
MODIFIERS: dict[str, tuple[str, ...]] = {"paused": ("start", "create_xml"), "graceful": ("destroy",)}


class RunExpect(Strict):
    """What must be true of the whole run. Events before the first step or after the last do not count."""

    events: list[Event] | None = None
    """Exactly these events of all domains, in this order."""
    event_counts: EventCounts | None = None
    """How often an event came, as `STARTED/BOOTED: 1000`."""
    states: dict[str, Annotated[StateExpect, _wrap("state")]] = {}
    """Domain (or template) -> its state when the last step has ended."""
    elapsed: Annotated[Bounds, _wrap("exact")] | None = None
    """From the begin of the first step to the end of the last one."""
    leftovers: Literal["none"] = "none"
    """After the curtain (whatever still runs is destroyed, everything is undefined) no process, file, socket,
    descriptor or task may be left. This is always checked; the key is there to say so."""


class Scenario(Strict):
    """A scenario: a host's domains, the behaviour of their fake QEMUs, steps, and what is expected."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """One line: what it is about."""
    about: str = ""
    """What happens and why it matters, in a few sentences."""
    source: str = ""
    """Where the figures and the rule come from: commits, documents, bug reports."""
    seed: Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)] = "0"
    """Root of all randomness and identifiers; `--seed` overrides it."""
    policy: Annotated[PolicySpec, _wrap("name")] = PolicySpec(name="eventful")
    """How starts wait for the monitor; `--policy` overrides it."""
    clocks: Annotated[list[Literal["virtual", "real"]], Field(min_length=1)] = ["virtual", "real"]
    """The clocks it makes sense on."""
    hypervisors: Annotated[list[Literal["fake", "qemu"]], Field(min_length=1)] = ["fake"]
    """The hypervisors it makes sense on."""
    end: Duration = parse_duration_ns("2h")
    """End of time: a scenario that is not over by then has failed."""
    domains: Annotated[dict[Name, DomainSpec], Field(min_length=1)]
    """Domains by name."""
    fake: dict[str, list[Any]] = {}
    """Domain, template or `*` -> rules of the fake's script; see the reference of fake scripts. The rules
    under `*` come after those of the domain itself, so that the first match wins."""
    steps: Annotated[list[Step], Field(min_length=1)]
    """What happens, in order."""
    expect: RunExpect = RunExpect()
    """What must be true of the whole run."""
