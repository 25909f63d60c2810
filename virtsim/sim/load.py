"""From a file to a scenario that can be acted, or to every mistake in it at once.

Knows files, places and how a mistake is put into words. Must not know how a scenario is acted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fakeqemu.scripts.grammar import compile_rules, script_mistakes
from virtsim.sim.document import (
    MAX_BYTES,
    Document,
    Mistake,
    MistakesError,
    Place,
    parse_document,
    read_bounded,
)
from virtsim.sim.domains import MAX_XML_BYTES, Casting, check_document, find_document
from virtsim.sim.grammar import TARGET_VERBS, Scenario
from virtsim.sim.words import nearest

__all__ = ["Loaded", "MistakesError", "compile_script", "find_scenarios", "load_scenario", "read_domain_file"]

#: Folders of a scenario tree that hold other things.
_NOT_SCENARIOS = {"domains"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario without mistakes, with everything it refers to.

    Attributes:
        id: its name in a report: the path below the folder that was asked for, without the suffix.
        file: its path as the user wrote it, for messages.
        folder: where it lies; files it names are looked for from there.
        scenario: what it says.
        cast: its domains, with templates expanded.
        scripts: domain -> compiled script of its fake; domains without rules are absent.
        lines: place of each step -> line.
        warnings: what is odd but does no harm.
    """

    id: str
    file: str
    folder: Path
    scenario: Scenario
    cast: Casting
    scripts: dict[str, dict[str, Any]]
    lines: dict[Place, int]
    warnings: tuple[Mistake, ...] = ()


@dataclass(slots=True)
class _Reading:
    """What is known while a file is read."""

    document: Document
    folder: Path
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)

    def wrong(self, place: Place, message: str, *, key: bool = False) -> None:
        """Write down a mistake at a place."""
        self.mistakes.append(self.document.mistake(place, message, key=key))


def find_scenarios(paths: list[str]) -> list[tuple[str, str]]:
    """The scenario files that paths mean, as (path, id), in a fixed order and each once.

    A folder means every ``*.yaml`` and ``*.yml`` below it.

    Raises:
        MistakesError: a path is missing, or a folder holds no scenario.
    """
    found: dict[str, str] = {}
    mistakes = []
    for given in paths:
        path = Path(given)
        if not path.is_dir():
            if not path.exists():
                mistakes.append(Mistake(given, 1, 1, "no such file or folder"))
            found.setdefault(given, path.stem)
            continue
        inside = sorted(_scenarios_below(path))
        if not inside:
            mistakes.append(Mistake(given, 1, 1, "holds no scenario (*.yaml)"))
        for name in inside:
            relative = name.relative_to(path).with_suffix("")
            lead = [path.name] if path.name[:1].isdigit() else []  # one act of a larger tree: keep its number
            found.setdefault(str(name), "/".join([*lead, *relative.parts]))
    if mistakes:
        raise MistakesError(mistakes)
    return _distinct(found)


def _scenarios_below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_SCENARIOS and not name.startswith(".")]
        found = (Path(root) / name for name in files if name.endswith((".yaml", ".yml")))
        yield from (path for path in found if not path.is_fifo())  # reading one would wait for ever


def _distinct(found: Mapping[str, str]) -> list[tuple[str, str]]:
    """The same names told apart by a number."""
    seen: dict[str, int] = {}
    result = []
    for path, name in found.items():
        seen[name] = seen.get(name, 0) + 1
        result.append((path, name if seen[name] == 1 else f"{name}~{seen[name]}"))
    return result


def load_scenario(path: str, name: str | None = None) -> Loaded:
    """Read and check one scenario, with the domain documents and fake scripts in it.

    Args:
        path: the file, as it should be called in messages.
        name: the scenario's id; the file's stem by default.

    Raises:
        MistakesError: everything that is wrong with it, each with file, line and column.
    """
    document = parse_document(read_bounded(Path(path), path, MAX_BYTES), path)
    reading = _Reading(document, Path(path).resolve().parent)
    scenario = _validate(reading)
    raw = document.data if isinstance(document.data, dict) else {}
    names = _check_domains(reading, _mapping(raw, "domains"))
    scripts = _check_scripts(reading, _mapping(raw, "fake"), names)
    _check_steps(reading, raw, names)
    if reading.mistakes or scenario is None:
        raise MistakesError(reading.mistakes)
    cast = Casting.of(scenario, reading.folder)
    return Loaded(
        id=name or Path(path).stem,
        file=path,
        folder=reading.folder,
        scenario=scenario,
        cast=cast,
        scripts=_scripts_by_domain(scripts, cast, str(reading.folder)),
        lines={place: at[0] for place, at in document.values.items() if "steps" in place},
        warnings=tuple(sorted(set(reading.warnings))),
    )


def _mapping(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


# -- the grammar's own mistakes


def _validate(reading: _Reading) -> Scenario | None:
    if not isinstance(reading.document.data, dict):
        reading.wrong((), "a scenario is a mapping: name, domains, steps, ...")
        return None
    try:
        return Scenario.model_validate(reading.document.data)
    except ValidationError as failure:
        for error in failure.errors(include_url=False):
            place, message, at_key = _put_into_words(error)
            reading.wrong(place, message, key=at_key)
    return None


def _put_into_words(error: ErrorDetails) -> tuple[Place, str, bool]:  # noqa: PLR0911 - a table of kinds
    """Where, what, and whether the key (not the value) is to blame."""
    loc = tuple(part for part in error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return loc, f"unknown key {str(loc[-1])!r}{nearest(str(loc[-1]), _keys_at(loc[:-1]))}", True
    if kind == "missing":
        return loc[:-1], f"{str(loc[-1])!r} is missing", False
    if kind == "string_pattern_mismatch" and loc[-1] == "[key]":
        return loc[:-1], f"{loc[-2]!r} cannot be a name: letters, digits and _ . + - only, at most 64", True
    place = loc[:-1] if loc and loc[-1] == "[key]" else loc
    if kind == "value_error":
        return place, str(error["ctx"]["error"]), False
    if kind == "literal_error":
        choices = [
            choice.strip(" '") for choice in str(error["ctx"]["expected"]).replace(" or ", ", ").split(",")
        ]
        value = error["input"]
        return place, f"{value!r} is not possible here{nearest(str(value), choices)}", False
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        keys = _keys_at(place)
        return place, f"expected a mapping{nearest('', keys).replace('known', 'keys') if keys else ''}", False
    return place, _PLAINLY.get(kind, str(error["msg"])).format(**error.get("ctx", {})), False


#: pydantic's kind of error -> what is said of it.
_PLAINLY = {
    "bool_type": "expected true or false",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "expected a whole number",
    "less_than_equal": "must be at most {le}",
    "list_type": "expected a list",
    "string_too_long": "expected at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "expected text",
    "too_short": "must not be empty",
}


def _keys_at(place: Place) -> list[str]:
    """The keys that may stand in the mapping at a place, by walking the grammar."""
    kind: Any = Scenario
    for part in place:
        model = _model_in(kind)
        if model is not None and isinstance(part, str):
            fields = {entry.alias or name: entry for name, entry in model.model_fields.items()}
            kind = fields[part].annotation if part in fields else None
        else:
            arguments = [argument for argument in _arguments(kind) if argument is not Ellipsis]
            kind = arguments[-1] if arguments else None
    model = _model_in(kind)
    return [entry.alias or name for name, entry in model.model_fields.items()] if model is not None else []


def _arguments(kind: Any) -> tuple[Any, ...]:
    """The type arguments below ``X | None`` and ``Annotated``."""
    while True:
        origin = get_origin(kind)
        if hasattr(kind, "__metadata__"):
            kind = kind.__origin__
        elif origin in (Union, UnionType):
            kind = next((argument for argument in get_args(kind) if argument is not type(None)), None)
        else:
            return get_args(kind)


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The model that a field's type means, below ``X | None`` and ``Annotated``."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    if hasattr(kind, "__metadata__"):
        return _model_in(kind.__origin__)
    if get_origin(kind) in (Union, UnionType):
        return next((found for found in map(_model_in, get_args(kind)) if found is not None), None)
    return None


# -- what the grammar cannot see: names, files, scripts


def _check_domains(reading: _Reading, domains: dict[str, Any]) -> set[str]:
    """Check the documents; returns the names that steps may use."""
    names: set[str] = set()
    for name, spec in domains.items():
        instances = {name}
        place = ("domains", name)
        if isinstance(spec, dict):
            count = spec.get("count")
            if type(count) is int and 0 < count <= 100_000:
                instances |= {f"{name}-{number}" for number in range(count)}
            if isinstance(spec.get("xml"), str):
                _check_xml(reading, (*place, "xml"), spec["xml"])
        clash = sorted(instances & names)
        if clash:
            reading.wrong(place, f"{clash[0]!r} is already the name of another domain", key=True)
        names |= instances
    return names


def _check_xml(reading: _Reading, place: Place, text: str) -> None:
    """A document in the scenario, or the file it names."""
    document = reading.document
    if text.lstrip().startswith("<"):
        line, column = document.values[place]
        # A block ("xml: |") begins on the line below its indicator; a quoted text on the line itself.
        offset = line if "\n" in text else line - 1
        for mistake in check_document(text.encode(), document.file, reading.folder):
            target = reading.warnings if mistake.message.startswith("warning: ") else reading.mistakes
            target.append(Mistake(document.file, offset + mistake.line, column, mistake.message))
        return
    path = find_document(text, reading.folder)
    if path is None:
        reading.wrong(place, f"no file {text!r} beside the scenario or in the folder above it")
        return
    shown = os.path.relpath(path, Path.cwd())
    try:
        found = check_document(read_bounded(path, shown, MAX_XML_BYTES), shown, path.parent)
    except MistakesError as failure:
        found = failure.mistakes
    for mistake in found:
        (reading.warnings if mistake.message.startswith("warning: ") else reading.mistakes).append(mistake)


def read_domain_file(name: str) -> bytes:
    """The bytes of a domain document on disk.

    Raises:
        MistakesError: it is missing, unreadable or too large.
    """
    return read_bounded(Path(name), name, MAX_XML_BYTES)


def _check_scripts(reading: _Reading, fake: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Check the fake's rules; returns those that are right."""
    right = {}
    for name, rules in fake.items():
        if name != "*" and name not in names:
            reading.wrong(("fake", name), f"no domain {name!r}{nearest(name, names)}", key=True)
        mistakes = script_mistakes(rules, str(reading.folder))
        for path, message in mistakes:
            reading.wrong(("fake", name, *path), message, key=bool(path) and isinstance(path[-1], str))
        if not mistakes:
            right[name] = rules
    return right


def _scripts_by_domain(rules: dict[str, Any], cast: Casting, folder: str) -> dict[str, dict[str, Any]]:
    """Compile each domain's rules: its own, its template's, and those for all."""
    compiled: dict[tuple[str, ...], dict[str, Any]] = {}
    result = {}
    for name, template in cast.template_of.items():
        keys = tuple(key for key in dict.fromkeys((name, template, "*")) if rules.get(key))
        if not keys:
            continue
        if keys not in compiled:
            # "at: start" words override earlier ones, "on" rules are first come first served: so general ones
            # stand first among the former and last among the latter.
            compiled[keys] = compile_rules(_ordered([rules[key] for key in keys]), folder)
        result[name] = compiled[keys]
    return result


def compile_script(rules: list[Any]) -> dict[str, Any]:
    """The compiled form of a fake's rules. Raises ValueError."""
    return compile_rules(rules)


def _ordered(groups: list[list[Any]]) -> list[Any]:
    start = [rule for group in reversed(groups) for rule in group if "on" not in rule]
    return start + [rule for group in groups for rule in group if "on" in rule]


def _check_steps(reading: _Reading, raw: Mapping[str, Any], names: set[str]) -> None:
    """Names of domains, labels and files in the steps and in the expectations."""
    labels: set[str] = set()
    steps = raw.get("steps")
    for place, step in _walk(steps if isinstance(steps, list) else [], ("steps",)):
        for verb in TARGET_VERBS:
            _check_targets(reading, (*place, verb), step.get(verb), names, "domain")
        _check_targets(reading, (*place, "join"), step.get("join"), labels, "background step")
        for verb in ("wait_for", "kill"):
            _check_named(reading, (*place, verb), step.get(verb), names)
        if isinstance(step.get("call"), str):
            _check_call(reading, (*place, "call"), step["call"])
        if isinstance(step.get("as"), str):
            if step["as"] in labels:
                reading.wrong((*place, "as"), f"the label {step['as']!r} is taken")
            labels.add(step["as"])
        _check_events(reading, (*place, "expect", "events"), _mapping(step, "expect").get("events"), names)
    expect = _mapping(raw, "expect")
    _check_events(reading, ("expect", "events"), expect.get("events"), names)
    for name in _mapping(expect, "states"):
        if name not in names:
            reading.wrong(("expect", "states", name), f"no domain {name!r}{nearest(name, names)}", key=True)


def _check_targets(reading: _Reading, place: Place, value: Any, known: set[str], what: str) -> None:
    for index, target in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(target, str) and target not in known:
            where = (*place, index) if isinstance(value, list) else place
            reading.wrong(where, f"no {what} {target!r}{nearest(target, known)}")


def _walk(steps: list[Any], place: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    """All steps with their places, those inside ``parallel`` included."""
    for index, step in enumerate(steps):
        if isinstance(step, dict):
            here = (*place, index)
            yield here, step
            inner = step.get("parallel")
            if isinstance(inner, list):
                yield from _walk(inner, (*here, "parallel"))


def _check_named(reading: _Reading, place: Place, value: Any, names: set[str]) -> None:
    name = value.get("domain") if isinstance(value, dict) else value
    if isinstance(name, str) and name not in names:
        where = (*place, "domain") if isinstance(value, dict) else place
        reading.wrong(where, f"no domain {name!r}{nearest(name, names)}")


def _check_events(reading: _Reading, place: Place, events: Any, names: set[str]) -> None:
    for index, event in enumerate(events if isinstance(events, list) else []):
        if isinstance(event, list) and event and isinstance(event[0], str) and event[0] not in names:
            reading.wrong((*place, index), f"no domain {event[0]!r}{nearest(event[0], names)}")


def _check_call(reading: _Reading, place: Place, value: str) -> None:
    file, colon, function = value.rpartition(":")
    if not colon or not function.isidentifier() or not file.endswith(".py"):
        reading.wrong(place, "code is written file.py:function")
    elif not (reading.folder / file).is_file():
        reading.wrong(place, f"no file {file!r} beside the scenario")
