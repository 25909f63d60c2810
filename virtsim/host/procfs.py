"""Who a process is, beyond its number: start time, boot, PID namespace.

Knows /proc. Must not know why anybody asks.

A PID alone names nobody: it is used again after the process is gone (32,768 forks suffice on a default
kernel). A PID together with the start time of its process, the boot and the PID namespace names one process
for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Identity", "boot_id", "identify", "pid_namespace", "start_ticks", "writers_below", "writes_below"]


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for ever.

    Attributes:
        pid: its number, as the PID namespace of the one who looked numbers it.
        start_ticks: when it started, in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)).
        boot: which boot (/proc/sys/kernel/random/boot_id).
        namespace: which PID namespace numbered it, such as ``pid:[4026531836]``.
    """

    pid: int
    start_ticks: int
    boot: str
    namespace: str


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is none or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            line = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the name in brackets, and a name may itself hold blanks and brackets: count from the
    # last.
    fields = line[line.rindex(b")") + 2 :].split()
    state, started = fields[0], fields[19]
    return None if state in b"ZX" else int(started)


def boot_id() -> str:
    """Which boot of the machine this is."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def pid_namespace() -> str:
    """Which PID namespace numbers the processes that we see."""
    return os.readlink("/proc/self/ns/pid")


def identify(pid: int) -> Identity | None:
    """Who has that number now; None when nobody has, or only a zombie."""
    started = start_ticks(pid)
    return None if started is None else Identity(pid, started, boot_id(), pid_namespace())


def writers_below(directory: str) -> Iterator[int]:
    """Processes of ours of which `writes_below` is true, but not we ourselves."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and int(entry) != os.getpid() and writes_below(int(entry), directory):
            yield int(entry)


def writes_below(pid: int, directory: str) -> bool:
    """Whether it is a process of ours whose standard output and error both go to files below ``directory``.

    Such a process was started with its log there. An editor or pager that somebody opened on the log is none.
    """
    prefix = directory.rstrip("/") + "/"
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.geteuid() and all(
            os.readlink(f"/proc/{pid}/fd/{number}").startswith(prefix) for number in (1, 2)
        )
    except OSError:
        # It ended while we looked, or (set-user-ID, not dumpable) does not show us its files.
        return False
