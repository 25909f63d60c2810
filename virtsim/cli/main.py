"""The ``virtsim`` command: a table of commands, and the one place where a failure becomes an exit status.

Knows which file a command is in. Must not know what it does: the file is imported when the command is called.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NoReturn

import click

from virtsim import __version__
from virtsim.cli.exits import DISK_FULL, Exit, report_bug, silence_stdout

__all__ = ["COMMANDS", "cli", "main"]

#: Command -> (module, what it does); the function in the module has the command's name.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("virtsim.cli.run", "Run scenarios and write a report."),
    "check": ("virtsim.cli.check", "Check scenarios and domain documents; says every mistake at once."),
    "backoff": ("virtsim.cli.backoff", "Show how a policy waits for QEMU's monitor."),
    "argv": ("virtsim.cli.argv", "Show the QEMU command line of a domain."),
    "report": ("virtsim.cli.report", "Make reports from journals again."),
    "doctor": ("virtsim.cli.doctor", "Show what this machine offers."),
}


class _Commands(click.Group):
    """Imports a command's file only when the command is called, so that each starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="virtsim")
def cli() -> None:
    """One management library for QEMU, two hypervisors (real, fake), two clocks (real, virtual).

    Exit status: 0 all as expected; 1 an expectation failed; 2 wrong usage or an invalid input file; 3
    something that was asked for is missing here; 4 internal error; 130 interrupted.
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit status; never a traceback on the terminal."""
    _open_closed_streams()
    sys.exit(int(_status(args)))


def _status(args: list[str] | None) -> int:
    try:
        result: Any = cli.main(args=args, prog_name="virtsim", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("virtsim: interrupted", err=True)
        return Exit.INTERRUPTED
    except BaseException as error:  # noqa: BLE001  (the last line of defence: a bug is said in one line)
        return _unexpected(error)
    return result if isinstance(result, int) else Exit.OK


def _unexpected(error: BaseException) -> int:
    """What nothing caught: a reader of standard output that went away, a full disk, or a bug."""
    if isinstance(error, SystemExit) and type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
        error = BrokenPipeError()  # what click has made a SystemExit of
    if isinstance(error, BrokenPipeError):
        silence_stdout()
        return Exit.OK
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        silence_stdout()  # Python would try once more at its end
        click.echo(f"virtsim: {error.filename or 'a file or standard output'}: {error.strerror}", err=True)
        return Exit.MISSING
    report_bug(f"{type(error).__name__}: {error}")
    return Exit.INTERNAL


def _open_closed_streams() -> None:
    """Give a caller that closed standard output or error (``>&-``) the null device there.

    Else the next file to be opened would get the number, and what is printed would land in it.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115, PTH123
            setattr(sys, name, stream)
