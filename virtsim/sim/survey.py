"""What this machine offers to a run, found out by trying.

Knows where to look and what it means for a run when something is missing. Must not know how a finding is
shown.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from virtsim.host.kvm import kvm_usable
from virtsim.host.rundir import RunDirectory
from virtsim.sim.world import MissingError, find_emulator, find_fake

__all__ = ["SUBJECTS", "Finding", "survey"]

#: A program that does not say its version within this time is as good as missing, seconds.
PATIENCE_S = 10.0
#: Python versions that virtsim is tested on.
OLDEST_PYTHON = (3, 11)
#: Open descriptors: a fake or QEMU that is started takes about four.
ENOUGH_DESCRIPTORS = 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a run may need.

    Attributes:
        subject: its name, as ``--need`` takes it.
        ok: whether it is there and works.
        detail: what was found, or what went wrong.
        meaning: what it is for, or what cannot be done without it.
    """

    subject: str
    ok: bool
    detail: str
    meaning: str


def survey() -> list[Finding]:
    """Look at everything; the order is fixed."""
    return [Finding(name, *look(), meaning) for name, (look, meaning) in SUBJECTS.items()]


def _python() -> tuple[bool, str]:
    version = platform.python_version()
    return tuple(map(int, platform.python_version_tuple()[:2])) >= OLDEST_PYTHON, version


def _fake() -> tuple[bool, str]:
    try:
        return True, find_fake()
    except MissingError as missing:
        return False, str(missing)


def _qemu() -> tuple[bool, str]:
    try:
        path = find_emulator()
    except MissingError as missing:
        return False, str(missing)
    return _version([path, "--version"])


def _version(command: list[str]) -> tuple[bool, str]:
    """The first line a program says of itself."""
    path = shutil.which(command[0])
    if path is None:
        return False, f"no {command[0]} on PATH"
    try:
        done = subprocess.run(  # noqa: S603  (a program found on PATH, asked for its version)
            [path, *command[1:]],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"{path} does not run: {error}"
    if done.returncode != 0:
        return False, f"{path} fails: {(done.stderr.strip().splitlines() or ['no words'])[0]}"
    return True, f"{path}: {(done.stdout.strip().splitlines() or ['no version'])[0]}"


def _program(*command: str) -> Callable[[], tuple[bool, str]]:
    return lambda: _version(list(command))


def _descriptors() -> tuple[bool, str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft >= ENOUGH_DESCRIPTORS, f"{soft} (at most {hard})"


def _run_directory() -> tuple[bool, str]:
    try:
        with RunDirectory.create() as directory:
            return True, directory.path.rpartition("/")[0]
    except OSError as error:
        return False, f"{error.filename or 'run directory'}: {error.strerror}"


def _pidfd() -> tuple[bool, str]:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return False, f"pidfd_open: {error.strerror}"
    return True, f"Linux {platform.release()}"


#: Name -> (how to look, what it is for).
SUBJECTS: dict[str, tuple[Callable[[], tuple[bool, str]], str]] = {
    "python": (_python, "everything"),
    "fakeqemu": (_fake, "--clock real --hypervisor fake"),
    "qemu": (_qemu, "--clock real --hypervisor qemu"),
    "kvm": (kvm_usable, "fast real guests; without it QEMU runs them with TCG"),
    "pidfd": (_pidfd, "the real clock: seeing processes end"),
    "rundir": (_run_directory, "the real clock: sockets and logs of a run"),
    "descriptors": (_descriptors, "the real clock: many domains at once"),
    "virsh": (_program("virsh", "--version"), "comparing with libvirt by hand"),
    "virt-install": (_program("virt-install", "--version"), "making domain documents"),
}
