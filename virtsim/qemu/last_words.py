"""What to say when QEMU dies or falls silent while it is being started: its own last words.

Knows which failure libvirt replaces by what QEMU wrote to its log. Must not know how the failure came about.
"""

from __future__ import annotations

import re

from virtsim.errors import InternalError, VirtsimError
from virtsim.host.abc import Files
from virtsim.qemu.monitor import MonitorEOF, MonitorReadError

__all__ = ["log_tail", "start_failure"]

#: libvirt shows the last 1024 characters (8.5.0 qemuProcessReadLog).
TAIL_SIZE = 1024

#: So much of the log is looked at, bytes: what virtlogd hands out at once.
LOOKED_AT = 128 * 1024

#: A line of libvirt's own, written between fork and exec (virLogProbablyLogMessage).
_LIBVIRT_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+\d{4}: \d+: (debug|info|warning|error) : "
)

#: QEMU's announcements of pseudo terminals are no reason for anything.
_NO_REASON = "char device redirected to"


def log_tail(files: Files, log: str, size: int = TAIL_SIZE, *, since: int = 0) -> str:
    """The end of QEMU's log, without lines that explain nothing.

    It is cut at the beginning of a line, unless the last line alone is longer than ``size``.

    Args:
        files: where the log is.
        log: its path; a log that cannot be read is taken for empty.
        size: most characters.
        since: byte at which this start's output begins, when the log holds older ones too.

    Returns:
        Some lines without the last line end, or "".
    """
    try:
        data = files.read(log)[since:] if since else files.read_tail(log, LOOKED_AT)
    except OSError:
        return ""
    lines = data.decode(errors="replace").splitlines(keepends=True)
    text = "".join(line for line in lines if _NO_REASON not in line and not _LIBVIRT_LINE.match(line))
    text = text.removesuffix("\n")
    if len(text) <= size:
        return text
    skip = len(text) - size
    if text[skip - 1] != "\n":
        line_end = text.find("\n", skip)
        if line_end >= 0 and line_end + 1 < len(text):
            skip = line_end + 1
    return text[skip:]


def start_failure(error: VirtsimError, *, alive: bool, tail: str) -> VirtsimError:
    """What a start fails with, given what first went wrong (timing: libvirt 8.5.0 qemuProcessWaitForMonitor).

    * The process is gone by now: "process exited while connecting to monitor", whatever went wrong.
    * It lives (or lingers), but the monitor was lost: "qemu unexpectedly closed the monitor".
    * Otherwise ``error`` itself.

    The first two end in ``: `` and the log's tail, if there is any. Which of them is chosen depends on how
    long the process outlives its monitor, in libvirt as here.

    Args:
        error: the failure of the connector or of a command.
        alive: whether the process is in the process table now.
        tail: from `log_tail`.
    """
    if not alive:
        text = "process exited while connecting to monitor"
    elif isinstance(error, (MonitorEOF, MonitorReadError)):
        text = "qemu unexpectedly closed the monitor"
    else:
        return error
    replaced = InternalError(f"{text}: {tail}" if tail else text)
    replaced.__cause__ = error
    return replaced
