"""The register of modelled commands.

Knows which module holds which family. Must not know what any command does.

A new family is a module in `fakeqemu.commands` whose functions carry ``@command``; add its name to
`FAMILIES`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["COMMANDS", "FAMILIES", "Command", "CommandError", "Deferred", "command", "load"]

#: The modules of `fakeqemu.commands`.
FAMILIES = (
    "control",
    "run",
    "about",
    "bitmap",
    "block",
    "blockdev",
    "blockjob",
    "char",
    "cpu",
    "device",
    "dirty",
    "display",
    "dump",
    "export",
    "fds",
    "human",
    "input",
    "job",
    "lowlevel",
    "medium",
    "memory",
    "migration",
    "net",
    "objects",
    "qom",
    "rare",
    "snapshot",
    "stats",
    "trace",
    "transaction",
)


class CommandError(Exception):
    """An error reply: QMP's class, and the text."""

    def __init__(self, kind: str, desc: str) -> None:
        super().__init__(desc)
        self.kind, self.desc = kind, desc


class Deferred:
    """The reply to a command that takes its time: what ``run`` returns instead of a value.

    The monitor takes no further command (but those out of band) until `resolve` or `fail` is called.
    """

    __slots__ = ("_done", "_waiter")

    def __init__(self) -> None:
        self._done: tuple[Any, CommandError | None] | None = None
        self._waiter: Callable[[Any, CommandError | None], None] | None = None

    def resolve(self, value: Any = None) -> None:
        """Reply with a value."""
        self._finish(value, None)

    def fail(self, error: CommandError) -> None:
        """Reply with an error."""
        self._finish(None, error)

    def then(self, waiter: Callable[[Any, CommandError | None], None]) -> None:
        """Call ``waiter(value, error)`` with the outcome, at once if there is one already."""
        if self._done is not None:
            waiter(*self._done)
        else:
            self._waiter = waiter

    def _finish(self, value: Any, error: CommandError | None) -> None:
        if self._done is not None:
            return
        self._done = value, error
        if self._waiter is not None:
            self._waiter(value, error)


class Command:
    """A modelled command: ``run(machine, session[, arguments])`` returns the value of its reply."""

    __slots__ = ("checked", "name", "run", "takes")

    def __init__(self, name: str, run: Callable[..., Any], *, takes: bool, checked: bool = True) -> None:
        self.name, self.run, self.takes, self.checked = name, run, takes, checked


COMMANDS: dict[str, Command] = {}
_loaded: list[bool] = []


def command(
    name: str, *, takes: bool = False, checked: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the model of a QMP command.

    Args:
        name: the command.
        takes: whether it has arguments; they are checked against the schema before it runs.
        checked: false for a command that takes whatever it is given (QAPI's ``'gen': false``).
    """

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        COMMANDS[name] = Command(name, run, takes=takes, checked=checked)
        return run

    return register


def load(name: str) -> Command | None:
    """The command of that name; None when it is not modelled.

    `fakeqemu.commands.index` says where it is, so that one family is imported and not all of them; for a name
    that is not in there, every family is asked.
    """
    if not _loaded:
        from fakeqemu.commands.index import HOME

        family = HOME.get(name)
        if family is not None:
            __import__(f"fakeqemu.commands.{family}")
            found = COMMANDS.get(name)
            if found is not None:
                return found
        for family in FAMILIES:
            __import__(f"fakeqemu.commands.{family}")
        _loaded.append(True)
    return COMMANDS.get(name)
