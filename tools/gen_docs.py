"""Write the pages of the documentation that are made from the code.

``docs/explanation/states.md`` from the transition table, ``docs/reference/command-line.md`` from the
commands, ``docs/reference/fakeqemu-commands.md`` from the fake's register, its profiles and the list of known
differences.
``--check`` compares instead and exits with 1 when a page is stale.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from fakeqemu import support
from fakeqemu.facts.profile import DIRECTORY, Profile
from fakeqemu.toolbox import main as toolbox
from virtsim.cli.main import cli
from virtsim.states import DomainState, PausedReason, Situation, rows, situation
from virtsim.states.domain import DomainRow

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- made by tools/gen_docs.py; do not edit -->"


def target_of(row: DomainRow) -> Situation:
    """The situation a row leads to."""
    if row.target is None:
        return row.state
    reason = row.target.reason
    return situation(row.target.state, int(reason) if isinstance(reason, int) else -1)


def cells_of(row: DomainRow) -> tuple[str, str, str, str]:
    """The cells of a row of the printed table."""
    effects = ", ".join(effect.label for effect in row.effects) or "-"
    return row.state.name, row.trigger.name, effects, row.target.label if row.target else "unchanged"


def states_page() -> str:
    """The picture and the table of a domain's states."""
    edges: dict[tuple[Situation, Situation], list[str]] = {}
    for row in rows():
        if target_of(row) is not row.state:
            edges.setdefault((row.state, target_of(row)), []).append(row.trigger.name)
    drawn = [
        f"    {source.name} --> {target.name}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
        for (source, target), names in edges.items()
    ]
    table = [f"| {' | '.join(cells_of(row))} |" for row in rows()]
    starting = f"{DomainState.PAUSED.name}/{PausedReason.STARTING_UP.name}"
    return "\n".join(
        [
            "# The states of a domain",
            NOTE,
            "",
            "The table in `virtsim/states/domain.py`, drawn. The library runs on it, a test walks every",
            "combination; what is absent is refused with `VIR_ERR_OPERATION_INVALID`. `STARTING` is",
            f"libvirt's {starting}.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> SHUTOFF",
            *drawn,
            "```",
            "",
            "| in | when | then, in order | state and reason |",
            "|---|---|---|---|",
            *table,
            "",
        ]
    )


def command_help(command: click.Command, path: str) -> Iterator[str]:
    """One section for a command, with what ``--help`` prints."""
    context = click.Context(command, info_name=path, terminal_width=100, max_content_width=100)
    context.help_option_names = ["-h", "--help"]
    yield from [f"## {path}", "", "```text", command.get_help(context), "```", ""]


def commands_help(group: click.Group, path: str) -> Iterator[str]:
    """A section for each command of a group, and of the groups in it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            yield from command_help(command, f"{path} {name}")
            if isinstance(command, click.Group):
                yield from commands_help(command, f"{path} {name} SOCKET")


def command_page() -> str:
    """What every command says of itself."""
    lines = ["# Command line", NOTE, ""]
    for program, group in (("virtsim", cli), ("fakeqemu", toolbox)):
        lines += command_help(group, program)
        lines += commands_help(group, program)
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"


def events_of(profile: Profile) -> list[str]:
    """Every event of a profile's schema."""
    schema: list[dict[str, Any]] = json.loads(profile.recorded("query-qmp-schema").text)  # type: ignore[union-attr]
    return sorted(entity["name"] for entity in schema if entity["meta-type"] == "event")


def truth_table(names: list[str], rows: dict[str, list[str]]) -> Iterator[str]:
    """A table with a column for each profile."""
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    for row, cells in sorted(rows.items()):
        yield f"| `{row}` | {' | '.join(cells)} |"


def fake_page() -> str:
    """What fakeqemu answers, profile by profile, and what it answers differently from the real QEMU."""
    profiles = {
        path.name.removesuffix(".json.gz"): Profile(str(path))
        for path in sorted(Path(DIRECTORY).glob("*.json.gz"))
    }
    names = list(profiles)
    answers = {name: support.commands(profile) for name, profile in profiles.items()}
    events = {name: events_of(profile) for name, profile in profiles.items()}
    sent = support.events_sent()
    rows = {
        command: [answers[name].get(command, "") for name in names]
        for command in {command for found in answers.values() for command in found}
    }
    shown = {
        event: [("sent" if event in sent else "by script") if event in events[name] else "" for name in names]
        for event in {event for found in events.values() for event in found}
    }
    lines = [
        "# What fakeqemu answers",
        NOTE,
        "",
        "*modelled*: the machine has state for it and carries it out. *recorded*: the reply is the one that",
        "the real QEMU gave when the profile was recorded. *refused*: `CommandNotFound`, although the real",
        "QEMU has the command. An empty cell: that QEMU has no such command either. Any event can be sent by",
        "a script.",
        "",
    ]
    for name in names:
        counted = [
            list(answers[name].values()).count(kind)
            for kind in (support.MODELLED, support.RECORDED, support.REFUSED)
        ]
        heard = sum(event in sent for event in events[name])
        lines.append(
            f"* {name}: {counted[0]} modelled, {counted[1]} recorded, {counted[2]} refused of"
            f" {sum(counted)} commands; {heard} of {len(events[name])} events"
        )
    lines += [
        "",
        "## Commands",
        "",
        *truth_table(names, rows),
        "",
        "## Events",
        "",
        *truth_table(names, shown),
        "",
    ]
    lines += ["## Known differences from the real QEMU 7.2", "", *known_differences(), ""]
    return "\n".join(lines)


def known_differences() -> Iterator[str]:
    """The list that the differential tests are held against."""
    document = tomllib.loads(
        (ROOT / "tests/conformance/fakeqemu/known_differences.toml").read_text(encoding="utf-8")
    )
    yield "| command | where | reason |"
    yield "|---|---|---|"
    for entry in document["difference"]:
        place = entry.get("place", "").replace("|", "\\|")
        yield f"| `{entry['command']}` | {f'`{place}`' if place else 'the reply'} | {entry['reason']} |"
    yield from ("", "When libvirtd is the client, these places of replies are not compared:", "")
    yield "| place | reason |"
    yield "|---|---|"
    for entry in document["flow"]:
        place = entry["place"].replace("|", "\\|")
        yield f"| `{place}` | {entry['reason']} |"
    yield from ("", "## Known limits", "", "What no conversation shows, and what is not modelled:", "")
    for entry in document["limit"]:
        yield f"* **{entry['subject']}**: {entry['reason']}"


PAGES: dict[str, Callable[[], str]] = {
    "docs/explanation/states.md": states_page,
    "docs/reference/command-line.md": command_page,
    "docs/reference/fakeqemu-commands.md": fake_page,
}


def main(argv: list[str]) -> int:
    """Write the pages, or compare them."""
    stale = 0
    for name, render in PAGES.items():
        path, text = ROOT / name, render()
        if "--check" not in argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{name} is stale: run python tools/gen_docs.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
