"""Writes `fakeqemu.commands.index`: which family holds which command.

Knows the register. Must not know what a command does. Run it after adding a command::

    python -m fakeqemu.tools.index
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["PATH", "text"]

PATH = Path(__file__).resolve().parents[1] / "commands" / "index.py"
_HEAD = '''\
"""Which family holds which command; written by ``python -m fakeqemu.tools.index``.

Knows names. It only saves time: a command that is missing here is found all the same. On the start-up path.
"""

from __future__ import annotations

__all__ = ["HOME"]

HOME = {
'''


def text() -> str:
    """The module's text, from the families as they are."""
    from fakeqemu.registry import COMMANDS, load

    load("")
    homes = {name: command.run.__module__.rpartition(".")[2] for name, command in COMMANDS.items()}
    lines = [f'    "{name}": "{homes[name]}",\n' for name in sorted(homes)]
    return f"{_HEAD}{''.join(lines)}}}\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
