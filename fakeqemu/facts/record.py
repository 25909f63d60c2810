"""Asks a real QEMU everything a manager probes, and writes it down as a profile.

Knows which questions there are (`fakeqemu.facts.questions`) and how a profile is laid out. Must not know
what the answers are for. Twice the same QEMU gives the same bytes: no times, no paths, no process ids;
members in a fixed order; gzip without a time stamp; the guest's clock stands at a fixed date.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from fakeqemu.facts import questions
from fakeqemu.facts.profile import key_of
from fakeqemu.facts.realqemu import Client, Qemu, RecordError, printed
from fakeqemu.facts.widths import Prober
from fakeqemu.protocol.qjson import encode

__all__ = ["RecordError", "compile_arguments", "record", "write_profile"]

_BUILTIN = {
    "str": "string", "int": "integer", "number": "number", "bool": "boolean", "null": "null", "any": "any",
}  # fmt: skip
#: Uncompressed bytes of a block.
_BLOCK = 1 << 16
#: The members of the first block.
_HEAD = ("provenance", "facts")
#: Replies that are made of the same parts over and over: kept as numbers of parts. What stands between parts,
#: the text before the first, and the text after the last.
_FOLDED = {
    "device-list-properties": ("}, {", "[{", "}]"),
    "qom-list-properties": ("}, {", "[{", "}]"),
    "query-cpu-model-expansion": (", ", '{"model": {"name": ', "}}}"),
}


class Recorder:
    """Holds what has been answered so far, and starts the QEMU again when a question was its last."""

    def __init__(self, qemu: str) -> None:
        self.qemu = qemu
        self.members: dict[str, str] = {}
        #: Questions at which the program aborted: a device whose module is not installed.
        self.fatal: list[str] = []

    def ask(self, program: Qemu, command: str, arguments: dict[str, Any], *, key: str = "") -> Any:
        """Put a question and keep the answer; its value, or None for a refusal."""
        name = key or key_of(command, arguments)
        try:
            reply = program.client().ask(command, arguments)
        except (OSError, EOFError):
            self.fatal.append(name)
            program.restart()
            return None
        if reply.startswith('{"return": '):
            # Threads of the recorder's own process are no fact.
            text = re.sub(r'"thread-id": \d{2,}', '"thread-id": 0', reply[len('{"return": ') : -1])
            self.members[name] = text
            return json.loads(text)
        if '"class": "CommandNotFound"' not in reply:
            # Told from a value by the mark: a refusal is a fact as well.
            self.members[f"! {name}"] = reply[len('{"error": ') : -1]
        return None


def record(qemu: str) -> dict[str, str]:
    """Ask a QEMU; returns the profile's members in order: name -> JSON text as QEMU wrote it.

    Args:
        qemu: path of a ``qemu-system-...`` program.

    Raises:
        RecordError: it does not start or stops answering.
    """
    recorder = Recorder(qemu)
    with Qemu(qemu, "none") as program:
        greeting = program.client().greeting
        arch = str(json.loads(program.client().ask("query-target", {}))["return"]["arch"])
        _ask_all(recorder, program, arch)
        arguments = compile_arguments(json.loads(recorder.members["query-qmp-schema"]))
        Prober(program.client(), arguments).run()
    default = _machines(recorder, arch)
    for option in questions.PRINTED:
        text = printed(qemu, option.split())
        if text is not None:
            recorder.members[f"# {option}"] = json.dumps(text)
    recorder.members["arguments"] = json.dumps(arguments, separators=(",", ":"))
    return _with_header(recorder, greeting, arch, default)


def _ask_all(recorder: Recorder, program: Qemu, arch: str) -> None:
    """What does not depend on a machine."""
    # First, as libvirt does: it loads every module, and some of them add to later answers.
    types = recorder.ask(program, "qom-list-types", {"abstract": True})
    recorder.ask(program, "qom-list-types", {})
    for command in questions.PLAIN:
        recorder.ask(program, command, {})
    concrete = sorted(entry["name"] for entry in types if not entry.get("abstract"))
    parents = {entry["name"]: entry.get("parent") for entry in types}
    devices = [name for name in concrete if questions.descends(name, "device", parents)]
    for name in sorted({*devices, *questions.DEVICES}):
        recorder.ask(program, "device-list-properties", {"typename": name})
    wanted = {name.format(arch=arch) for name in questions.TYPES} | set(concrete)
    for name in sorted(wanted):
        recorder.ask(program, "qom-list-properties", {"typename": name})
    models = json.loads(recorder.members.get("query-cpu-definitions", "[]"))
    for question in questions.expansions(sorted(entry["name"] for entry in models), arch):
        recorder.ask(program, "query-cpu-model-expansion", question)
    for command, arguments in (*questions.ASKED, *questions.comparisons(arch)):
        recorder.ask(program, command, arguments)


def _machines(recorder: Recorder, arch: str) -> str:
    """The QOM trees; the CPU model of the first of them."""
    default = ""
    for name in ("none", *questions.MACHINES.get(arch, ())):
        with Qemu(recorder.qemu, name) as program:
            client = program.client()
            tree = qom_tree(client)
            for command in questions.OF_A_MACHINE:
                recorder.ask(program, command, {}, key=f"{command} @{name}")
        recorder.members[f"qom {name}"] = json.dumps(tree, separators=(",", ":"))
        kinds = [kind for kind, _, _ in tree["objects"].values() if kind.endswith("-cpu")]
        if kinds and not default:
            default = kinds[0].removesuffix("-cpu").removesuffix(f"-{arch}")
    return default


def qom_tree(client: Client) -> dict[str, Any]:
    """Every object of a machine with its properties and values: see `fakeqemu.facts.qomview`."""
    lists: dict[tuple[str, ...], int] = {}
    objects: dict[str, list[Any]] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop(0)
        listed = client.value("qom-list", {"path": path}) or []
        names: list[str] = []
        values: list[Any] = []
        kind = "container"
        for entry in listed:
            name, of = entry["name"], entry["type"]
            names += [name, of]
            below = f"{path.rstrip('/')}/{name}"
            if of.startswith("child<"):
                values.append(below)
                if not path.startswith("/chardevs"):
                    waiting.append(below)
            else:
                found = client.value("qom-get", {"path": path, "property": name})
                values.append(questions.ABSENT if found is None else found)
                if name == "type":
                    kind = found
        if path == "/chardevs":  # the recorder's own monitor
            names, values = ["type", "string"], [kind]
        number = lists.setdefault(tuple(names), len(lists))
        objects[path] = [kind, number, values]
    return {"lists": [list(names) for names in lists], "objects": objects}


def _with_header(recorder: Recorder, greeting: str, arch: str, default: str) -> dict[str, str]:
    members = dict(sorted(recorder.members.items()))
    version = json.loads(members["query-version"])
    kvm = json.loads(members.pop("query-kvm", "{}"))
    digest = hashlib.sha256("\n".join(f"{key} {text}" for key, text in members.items()).encode()).hexdigest()
    number = "{major}.{minor}.{micro}".format(**version["qemu"])
    provenance = {
        "format": "fakeqemu/profile@2", "program": f"qemu-system-{arch}", "version": number,
        "package": version.get("package", ""), "machine": "none,accel=tcg", "sha256": digest,
        # What could be told depends on the modules that were installed; these were.
        "modules": modules(recorder.qemu), "fatal": recorder.fatal,
    }  # fmt: skip
    facts = {
        "greeting": greeting, "version": version, "arch": arch,
        # What the host at hand offers is no fact about the program; whether KVM was compiled in is one.
        "kvm": bool(kvm.get("present")), "default-cpu": default,
        # One text: what is in it is found without reading the whole schema.
        "commands": " ".join(["", *json.loads(members["arguments"])["commands"], ""]),
    }  # fmt: skip
    head = {"provenance": provenance, "facts": facts}
    return {key: json.dumps(value, separators=(",", ":")) for key, value in head.items()} | members


def modules(qemu: str) -> list[str]:
    """The names of the loadable modules beside a program, in order."""
    prefix = Path(shutil.which(qemu) or qemu).resolve().parent.parent
    return sorted({path.stem for path in prefix.glob("lib/*/qemu/*.so")})


def compile_arguments(schema: list[dict[str, Any]]) -> dict[str, Any]:
    """What commands accept: the part of ``query-qmp-schema`` that argument checking needs."""
    entities = {entity["name"]: entity for entity in schema}
    types: dict[str, Any] = {}

    def name(kind: str) -> str:
        entity = entities[kind]
        if entity["meta-type"] == "builtin":
            return _BUILTIN[kind]
        if entity["meta-type"] == "array":
            return f"[{name(entity['element-type'])}]"
        if kind not in types:
            types[kind] = {}
            types[kind].update(made(entity))
        return kind

    def made(entity: dict[str, Any]) -> dict[str, Any]:
        if entity["meta-type"] == "enum":
            return {"enum": entity["values"]}
        if entity["meta-type"] == "alternate":
            return {"alternate": [name(member["type"]) for member in entity["members"]]}
        found: dict[str, Any] = {
            "members": [
                [member["name"], name(member["type"]), int("default" in member)]
                for member in entity["members"]
            ]
        }
        if "tag" in entity:
            found["tag"] = entity["tag"]
            found["variants"] = {variant["case"]: name(variant["type"]) for variant in entity["variants"]}
        return found

    commands = {
        entity["name"]: name(entity["arg-type"]) for entity in schema if entity["meta-type"] == "command"
    }
    oob = [
        entity["name"] for entity in schema if entity["meta-type"] == "command" and entity.get("allow-oob")
    ]
    return {"commands": commands, "oob": oob, "types": types}


def write_profile(members: dict[str, str], path: Path) -> None:
    """Write a profile; the same members give the same bytes. The layout: `fakeqemu.facts.profile`."""
    tables, rest = fold({key: text for key, text in members.items() if key not in _HEAD})
    blocks: list[list[str]] = []
    firsts: list[str] = []
    held = _BLOCK
    for key, text in sorted(rest.items()):
        line = f"{encode(key)}:\t{text}"
        if held + len(line) > _BLOCK:
            blocks.append([])
            firsts.append(key)
            held = 0
        blocks[-1].append(line)
        held += len(line)
    texts = [",\n" + ",\n".join(lines) + "\n" for lines in blocks]
    for command, parts in tables.items():
        # One part a line: the reader takes the n-th line without reading JSON.
        firsts.append(f"~ {command}")
        texts.append(f",\n{encode(firsts[-1])}:\t[\n" + ",\n".join(parts) + "\n]\n")
    if texts:
        texts[-1] += "}\n"
    packed = [_packed(text) for text in texts]
    index = [[key, len(block)] for key, block in zip(firsts, packed, strict=True)]
    lines = [f"{encode(key)}:\t{members[key]}" for key in _HEAD if key in members]
    lines.append(f'"index":\t{json.dumps(index, separators=(",", ":"))}')
    head = "{\n" + ",\n".join(lines) + "\n" + ("" if texts else "}\n")
    path.write_bytes(_packed(head) + b"".join(packed))


def fold(members: dict[str, str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Take apart the replies that repeat themselves.

    Returns:
        The parts by command, each a JSON value of its own; and the members, the folded ones as
        ``{"of": [number, ...]}``.
    """
    tables: dict[str, dict[str, int]] = {}
    rest: dict[str, str] = {}
    for key, text in members.items():
        command = key.partition(" ")[0]
        between, before, after = _FOLDED.get(command, ("", "", ""))
        if not between or not text.startswith(before) or not text.endswith(after):
            rest[key] = text
            continue
        table = tables.setdefault(command, {})
        inner = text[len(before) : -len(after)]
        numbers = [table.setdefault(json.dumps(part), len(table)) for part in inner.split(between)]
        rest[key] = '{"of":' + json.dumps(numbers, separators=(",", ":")) + "}"
    shape = {command: [*_FOLDED[command]] for command in tables}
    if shape:
        rest["~"] = json.dumps(shape)
    return {command: list(tables[command]) for command in sorted(tables)}, rest


def _packed(text: str) -> bytes:
    return gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0)
