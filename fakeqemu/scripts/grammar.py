"""The one law of behaviour scripts: their mistakes, and their compiled form.

Knows the words (`fakeqemu.scripts.words`) and how to turn a valid script into plain JSON for the runtime
(`fakeqemu.scripts.script`). Must not know the machine. It is imported only by tools and by a process that
was given a script which is not compiled yet: never on the start-up path.

A script is a list of rules of three sorts::

    - {at: start, memory: {zeroing: 3.83GiB/s}}                     # how the start goes
    - {at: 300ms, do: {exit: {code: 1, stderr: "out of memory"}}}   # at a time after exec
    - {on: command, match: stop, skip: 1, do: {delay: 29999ms}}     # at a step of the protocol

Later words override earlier ones in ``at: start``; of the ``on`` rules the first that matches acts, alone.
"""

from __future__ import annotations

import math
import os
import re
import signal as signals
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fakeqemu.scripts.delays import latency_path, load_latencies
from fakeqemu.scripts.script import VERSION as COMPILED_VERSION
from fakeqemu.scripts.script import load_preset, merged
from fakeqemu.scripts.words import (
    Do,
    FakeScript,
    OnRule,
    Path,
    Rule,
    StartRule,
    TimedRule,
    meant,
    nearest,
    sort_of,
)

if TYPE_CHECKING:
    from fakeqemu.facts.profile import Profile

__all__ = [
    "COMPILED_VERSION", "Do", "FakeScript", "OnRule", "Path", "Rule", "StartRule", "TimedRule",
    "compile_rules", "deed", "nearest", "script_mistakes",
]  # fmt: skip

_TAGS = ("start", "timed", "on")
#: Words whose value is JSON of the writer's own; null is a value there.
_JSON = ("data", "reply", "return", "id", "lie", "extra", "with")


def script_mistakes(data: Any, base: str | None = None) -> list[tuple[Path, str]]:
    """Every mistake of a script: where it stands (keys and indexes from ``data`` on), and what is wrong.

    ``data`` is what a YAML or JSON loader returned; files that rules name are looked for in ``base``. An
    unknown word's path ends in that word; a missing word's path ends at the mapping that lacks it. An empty
    list means that `compile_rules` will accept it.
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
            mistakes += (
                _empty((index,), rule)
                or _of_rule(index, rule, base)
                or _said((index,), rule)
                or _matched((index,), rule)
            )
    return mistakes


def compile_rules(rules: Any, base: str | None = None) -> dict[str, Any]:
    """The normalised form of a valid script: plain JSON in nanoseconds, bytes and signal numbers.

    Files that rules name are looked for in ``base`` and taken in; a preset is, too.

    Raises:
        ValueError: the script has mistakes; the text is the first one, with its path.
    """
    mistakes = script_mistakes(rules, base)
    if mistakes:
        path, text = mistakes[0]
        raise ValueError(f"{'.'.join(map(str, path)) or 'script'}: {text}")
    start: dict[str, Any] = {}
    timed: list[dict[str, Any]] = []
    on: list[dict[str, Any]] = []
    context = {"base": base}
    for index, rule in enumerate(FakeScript.model_validate(_plain(rules) or [], context=context).root):
        name = f"rule {index + 1}"
        words = rule.model_dump(exclude_unset=True, by_alias=True)
        if isinstance(rule, StartRule):
            del words["at"]
            _merge(start, _numbered(words), name)
            continue
        words["do"] = deed(words["do"], base)
        if isinstance(rule, TimedRule):
            timed.append({"name": name, **words})
            continue
        if rule.on == "capabilities":
            words |= {"on": "command", "match": "qmp_capabilities"}
        elif rule.on == "agent":
            words |= {"on": "guest", "match": rule.match or "guest-*"}
        elif rule.on == "signal" and rule.match is not None:
            words["match"] = str(int(signals.Signals[rule.match]))
        on.append({"name": name, **words})
    compiled = {"version": COMPILED_VERSION, "start": start, "timed": timed, "on": on}
    preset = start.pop("preset", None)
    if preset is None:
        return compiled
    start["rules"].pop("preset")
    return merged(compiled, load_preset(preset))


def _of_rule(index: int, rule: Mapping[str, Any], base: str | None) -> list[tuple[Path, str]]:
    try:
        FakeScript.model_validate([_plain(rule)], context={"base": base})
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


def _empty(path: Path, node: Any) -> list[tuple[Path, str]]:
    """Words without a value (``delay:`` and nothing behind it); event data and replies may hold null."""
    found: list[tuple[Path, str]] = []
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in _JSON:
                continue
            if value is None:
                found.append(((*path, str(key)), f"`{key}` has no value"))
            else:
                found += _empty((*path, str(key)), value)
    return found


def _said(path: Path, rule: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """What a valid rule says in JSON, but JSON cannot say: YAML has dates, bytes, sets and not-a-numbers."""
    do = rule.get("do", {})
    found = _not_json((*path, "with"), rule.get("with"))
    for word in ("reply", "id", "lie", "extra"):
        found += _not_json((*path, "do", word), do.get(word))
    emit = do.get("emit", {})
    for index, event in enumerate(emit if isinstance(emit, list) else [emit]):
        place = (index,) if isinstance(emit, list) else ()
        found += _not_json((*path, "do", "emit", *place, "data"), event.get("data"))
    return found


def _matched(path: Path, rule: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """A name to match that nothing has: QEMU refuses an unknown command before any rule is asked.

    An event that a script made up may be matched: ``X_...`` and ``__...`` are names of one's own, as in QAPI.
    """
    step, name = rule.get("on"), rule.get("match")
    if step not in _NAMED or name is None:
        return []
    what, known = _NAMED[step][0], _NAMED[step][1]()
    name = str(name)
    if step == "job":
        _, colon, name = name.rpartition(":")
        if not colon and not _pattern(name):
            meaning = nearest(name, known) or "ready"
            return [((*path, "match"), f"a job's step is called `ID:STATUS`, as in '*:{meaning}'")]
    own = step == "event" and name.startswith(("X_", "__"))
    if _pattern(name) or own or name in known or (step == "migration" and _PASS.fullmatch(name)):
        return []
    return [((*path, "match"), f"{what} {name!r}{meant(name, known)}")]


def _pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


@cache
def _commands() -> list[str]:
    """Every command of every shipped profile."""
    return sorted({name for profile in _profiles() for name in profile.commands})


@cache
def _events() -> list[str]:
    """Every event of every shipped profile."""
    schemas = (profile.schema() for profile in _profiles())
    return sorted(
        {entity["name"] for schema in schemas for entity in schema.values() if entity["meta-type"] == "event"}
    )


def _profiles() -> Iterator[Profile]:
    from fakeqemu.facts.profile import DIRECTORY, Profile

    for file in sorted(os.listdir(DIRECTORY)):  # noqa: PTH208 - as the start-up path does
        if file.endswith(".json.gz"):
            yield Profile(f"{DIRECTORY}/{file}")


def _agent_commands() -> list[str]:
    from fakeqemu.guests.agent.arguments import ARGUMENTS

    return sorted(ARGUMENTS)


def _guest_steps() -> list[str]:
    return [*_GUEST, *_agent_commands()]


def _statuses() -> list[str]:
    from fakeqemu.jobs.table import STATUSES

    return list(STATUSES)


def _migration_steps() -> list[str]:
    return ["setup", "active", "pass 1", "device", "completed"]


_GUEST = ("boot", "booted", "agent", "unplug", "poweroff", "reset", "panic")
_PASS = re.compile(r"pass [0-9]+")
#: Steps whose names are known: what to say of another name, and the names.
_NAMED: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "command": ("QEMU has no command", _commands),
    "event": ("QEMU has no event", _events),
    "agent": ("the agent has no command", _agent_commands),
    "guest": ("the guest has no step", _guest_steps),
    "job": ("a job has no status", _statuses),
    "migration": ("a migration has no step", _migration_steps),
}


def _not_json(path: Path, node: Any) -> list[tuple[Path, str]]:
    if node is None or isinstance(node, str | int) or (isinstance(node, float) and math.isfinite(node)):
        return []
    if isinstance(node, Mapping):
        return [mistake for key, value in node.items() for mistake in _not_json((*path, key), value)]
    if isinstance(node, list | tuple):
        return [mistake for key, value in enumerate(node) for mistake in _not_json((*path, key), value)]
    return [(path, f"JSON cannot say {str(node)!r}; quote it if it is text")]


def _real(rule: Any, path: Path) -> Path:
    """The part of a path that exists in the data: names of variants that pydantic adds are left out."""
    kept: list[str | int] = []
    node = rule
    for step in path:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            continue
        kept.append(step)
    return tuple(kept)


def _message(error: ErrorDetails, rule: Mapping[str, Any], path: Path) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known(rule, path[:-1])
        return f"unknown word {str(path[-1])!r}{meant(str(path[-1]), known)}; known: {', '.join(known)}"
    if kind == "missing":
        return f"`{path[-1]}` is missing"
    if kind == "literal_error":
        value = error["input"]
        words = _literals(context)
        return f"unknown value {value!r}{meant(str(value), words)}; known: {', '.join(words)}"
    if kind == "string_type":
        return (
            f"a text; quote it: '{error['input']}'" if isinstance(error["input"], int | float) else "a text"
        )
    text = error["msg"]
    return text[0].lower() + text[1:] if text[:1].isupper() and text[1:2].islower() else text


def _literals(context: Mapping[str, Any]) -> list[str]:
    return [word.strip(" '") for word in str(context.get("expected", "")).replace(" or ", ", ").split(",")]


def _known(rule: Mapping[str, Any], path: Path) -> list[str]:
    """The words that may stand in the mapping at ``path`` of a rule."""
    model: Any = {"start": StartRule, "timed": TimedRule, "on": OnRule}[sort_of(rule)]
    for step in path:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step) or model.model_fields.get(f"{step}_")
        inner = list(_models(field.annotation)) if field else []
        model = inner[0] if inner else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


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


def deed(words: dict[str, Any], base: str | None = None) -> dict[str, Any]:
    """The compiled form of what a rule does: numbers for names, and what was left unsaid filled in."""
    words = _numbered(words)
    delay = words.get("delay")
    if isinstance(delay, dict) and "recorded" in delay:
        path = latency_path(delay["recorded"], base or os.curdir)
        words["delay"] = delay | {"recorded": load_latencies(path)}
    if "reorder" in words:
        given = words["reorder"]
        words["reorder"] = {"after": 1, "within": 100_000_000} | (
            given if isinstance(given, dict) else {"after": given}
        )
    if "split" in words:
        words["split"] = {"size": 1, "gap": 0} | (words["split"] if isinstance(words["split"], dict) else {})
    return words


def _numbered(words: dict[str, Any]) -> dict[str, Any]:
    """Signal names become numbers; the defaults of exit, kill and error are filled in."""
    if "ignore" in words:
        words["ignore"] = [int(signals.Signals[name]) for name in words["ignore"]]
    if "signal" in words:
        words["signal"] = int(signals.Signals[words["signal"]])
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
