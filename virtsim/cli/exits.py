"""Exit statuses, and how each kind of trouble is said on standard error.

Knows the numbers that scripts rely on. Must not know what any command does.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from enum import IntEnum

import click

__all__ = ["DISK_FULL", "Exit", "Problem", "cannot_write", "report_bug", "say", "silence_stdout"]

#: What an error of the operating system is called when there is no room to write.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Exit(IntEnum):
    """What a command's exit status means."""

    OK = 0
    FAILED = 1
    """An expectation was not met."""
    USAGE = 2
    """Wrong usage, or an input file that is not valid."""
    MISSING = 3
    """The environment lacks something that was asked for."""
    INTERNAL = 4
    """A bug: the traceback is in a log file, one line on standard error says where."""
    INTERRUPTED = 130
    """Ctrl-C; the report of what ran was written."""


class Problem(click.ClickException):
    """An expected failure: its lines go to standard error, and its status becomes the command's."""

    def __init__(self, message: str, status: Exit) -> None:
        super().__init__(message)
        self.status = status

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click has it on the class
        """The command's exit status."""
        return int(self.status)

    def show(self, file: object = None) -> None:
        """Print the lines as they are: they begin with a file's name, or say which command they are of."""
        del file
        click.echo(self.message, err=True)


def report_bug(what: str, text: str | None = None) -> None:
    """Write a traceback to a log file and one line about it to standard error.

    Args:
        what: the error in a few words.
        text: the traceback; that of the exception being handled by default.
    """
    text = text if text is not None else traceback.format_exc()
    try:
        descriptor, path = tempfile.mkstemp(prefix="virtsim-error-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8") as log:
            log.write(text)
        where = f"the traceback is in {path}"
    except OSError as error:
        where = f"and the traceback could not be written: {error}"
    first = (what.splitlines() or ["unknown"])[0]
    click.echo(f"virtsim: internal error: {first}; {where}", err=True)


def silence_stdout() -> None:
    """After a broken pipe: let nothing more be written, also not when Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Print a line; a reader that has gone away is no reason to stop working."""
    try:
        click.echo(text)
    except BrokenPipeError:
        silence_stdout()


def cannot_write(command: str, path: object, error: OSError) -> Problem:
    """A file of the user's choice cannot be written: a wrong path is wrong usage, a full disk is not."""
    status = Exit.MISSING if error.errno in DISK_FULL else Exit.USAGE
    return Problem(f"virtsim {command}: {error.filename or path}: {error.strerror}", status)
