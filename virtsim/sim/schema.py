"""The grammar as JSON Schema and as a page of reference, for editors and for people.

Knows pydantic's schema and Markdown. Must not know any scenario.

``python -m virtsim.sim.schema --check`` compares the committed files with the grammar, ``--write`` writes
them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fakeqemu.scripts.grammar import FakeScript
from fakeqemu.scripts.units import format_duration
from virtsim.sim import grammar

__all__ = ["FILES", "render_reference", "render_schema"]

ROOT = Path(__file__).resolve().parents[2]

#: Models in the order of the reference page: title of the section, model.
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("A scenario", grammar.Scenario),
    ("`policy`", grammar.PolicySpec),
    ("A domain", grammar.DomainSpec),
    ("A step", grammar.Step),
    ("`wait_for`", grammar.WaitFor),
    ("`kill`", grammar.Kill),
    ("`expect` of a step", grammar.StepExpect),
    ("`error`", grammar.ErrorExpect),
    ("`expect` of the scenario", grammar.RunExpect),
    ("A state at the end", grammar.StateExpect),
    ("A duration that is expected", grammar.Bounds),
)

_HEAD = """# Scenarios: every key

<!-- Generated from virtsim/sim/grammar.py by `python -m virtsim.sim.schema --write`; do not edit. -->

A scenario is a YAML 1.2 file. `virtsim check FILE` says everything that is wrong with one, with line and
column; `scenarios/schema.json` is the same grammar as JSON Schema, for editors. A first scenario is in
the [tutorial](../tutorial/first-scenario.md), one page of overview in `scenarios/README.md`.

Durations are written with units (`105s`, `1500ms`, `1h30m`), sizes too (`402GiB`, `512MiB`). A file has
at most 1 MiB, 32 levels and 50 000 values once aliases are expanded.
"""

_TAIL = """## On the real clock

Exact times become bounds, because a real nap is longer than asked for and a real process takes time to
start: a duration of E may take from 0.95 E - 5 ms to 1.25 E + 2 s; a number of attempts n may be anything
from n / 2 to n + 3, and a list of attempts is judged by its length. Orders, states, events, errors and
QMP commands stay exact.

## The fake's script

`fake:` maps a domain, a template or `*` to a list of rules; [how to script the
fake](../how-to/script-the-fake.md) explains them, `fakeqemu check FILE` checks a script by itself.
"""


def render_schema() -> str:
    """The JSON Schema of a scenario, with the fake's rules in it."""
    schema = grammar.Scenario.model_json_schema(by_alias=True)
    rules = FakeScript.model_json_schema(by_alias=True, ref_template="#/$defs/fake.{model}")
    schema["$defs"] |= {f"fake.{name}": model for name, model in rules.pop("$defs").items()}
    schema["$defs"]["fake"] = rules
    schema["properties"]["fake"]["additionalProperties"] = {"$ref": "#/$defs/fake"}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A scenario of virtsim",
        **_shorthands(schema),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _shorthands(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a bare value stand for the mapping, where the grammar does."""
    text = {"type": "string"}
    for model, key in (
        ("Scenario", "policy"),
        ("Step", "kill"),
        ("StepExpect", "elapsed"),
        ("RunExpect", "elapsed"),
    ):
        owner = schema if model == "Scenario" else schema["$defs"][model]
        described = owner["properties"][key]
        kept = {name: described.pop(name) for name in ("description", "default") if name in described}
        options = described.pop("anyOf", None) or [dict(described)]
        owner["properties"][key] = {**kept, "anyOf": [text, *options]}
    states = schema["$defs"]["RunExpect"]["properties"]["states"]
    states["additionalProperties"] = {"anyOf": [text, states["additionalProperties"]]}
    seed = schema["properties"]["seed"]
    schema["properties"]["seed"] = {**seed, "type": ["string", "integer"]}
    return schema


def render_reference() -> str:
    """The reference page, in Markdown."""
    parts = [_HEAD]
    for title, model in SECTIONS:
        parts.append(f"## {title}\n")
        lines = (model.__doc__ or "").strip().splitlines()
        parts.append("\n".join(line.strip() for line in lines) + "\n")
        parts.append("| key | value | meaning |\n|---|---|---|")
        for name, entry in model.model_fields.items():
            key = entry.alias or name
            meaning = " ".join((entry.description or "").split())
            meaning += _default(entry)
            parts.append(f"| `{key}` | {_type(model, key)} | {meaning} |")
        parts.append("")
    parts.append(_TAIL)
    return "\n".join(parts)


def _default(entry: Any) -> str:
    """What is meant when the key is not there, where that is not simply nothing."""
    if entry.is_required():
        return " **Required.**"
    default = entry.default
    if isinstance(default, grammar.PolicySpec):
        default = default.name
    if isinstance(default, bool) or not default or isinstance(default, BaseModel | dict):
        return ""
    if isinstance(default, list):
        return f" Default: {', '.join(f'`{item}`' for item in default)}."
    return f" Default: `{format_duration(default) if isinstance(default, int) else default}`."


def _type(model: type[BaseModel], key: str) -> str:
    """What a key's value looks like, from its schema."""
    schema = model.model_json_schema(by_alias=True)
    if "$ref" in schema:  # a model that is part of itself
        schema = schema["$defs"][model.__name__]
    return _words(schema["properties"][key])


def _words(schema: dict[str, Any]) -> str:  # noqa: PLR0911 - a table of shapes
    if "anyOf" in schema:
        options = [_words(option) for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(options))
    if "allOf" in schema:
        return _words(schema["allOf"][0])
    if "$ref" in schema:
        return _NAMES.get(schema["$ref"].rpartition("/")[2], "mapping")
    if "enum" in schema:
        values = [
            str(value) for value in schema["enum"] if not str(value).isupper() or len(schema["enum"]) < 12
        ]
        return ", ".join(f"`{value}`" for value in values)
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_words(schema.get('items', {}))}"
    if kind == "object":
        patterns = list(schema.get("patternProperties", {}).values())
        value = patterns[0] if patterns else schema.get("additionalProperties") or {}
        return f"mapping of names to {_words(value)}"
    if schema.get("examples"):
        return "duration" if "105s" in schema["examples"] else "size"
    return {"string": "text", "integer": "number", "boolean": "`true`", None: "anything"}.get(kind, str(kind))


_NAMES = {
    "PolicySpec": "name or [mapping](#policy)",
    "DomainSpec": "[domain](#a-domain)",
    "Step": "[step](#a-step)",
    "WaitFor": "[mapping](#wait_for)",
    "Kill": "domain or [mapping](#kill)",
    "StepExpect": "[mapping](#expect-of-a-step)",
    "ErrorExpect": "[mapping](#error)",
    "RunExpect": "[mapping](#expect-of-the-scenario)",
    "StateExpect": "state or [mapping](#a-state-at-the-end)",
    "Bounds": "duration or [bounds](#a-duration-that-is-expected)",
}

#: File -> what makes it.
FILES = {
    ROOT / "scenarios" / "schema.json": render_schema,
    ROOT / "docs" / "reference" / "scenario.md": render_reference,
}


def main(arguments: list[str]) -> int:
    """``--write`` the files, or ``--check`` that they are fresh."""
    stale = 0
    for path, render in FILES.items():
        text = render()
        if arguments == ["--write"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run python -m virtsim.sim.schema --write\n")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
