"""Write the pages of the documentation that are made from the code.

``docs/explanation/states.md`` from the transition table, ``docs/reference/command-line.md`` from the
commands.
``--check`` compares instead and exits with 1 when a page is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

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


def command_page() -> str:
    """What every command says of itself."""
    lines = ["# Command line", NOTE, ""]
    lines += command_help(cli, "virtsim")
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None:
            lines += command_help(command, f"virtsim {name}")
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/explanation/states.md": states_page,
    "docs/reference/command-line.md": command_page,
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
