"""Which QEMU a program is, asked of the program itself.

Knows what ``--version`` prints. Must not know what a run does with the answer.
"""

from __future__ import annotations

import functools
import re
import subprocess

from virtsim.sim.world import MissingError

__all__ = ["emulator_version"]

#: A program that does not say its version within this time is no QEMU, seconds. A cold start takes about one.
PATIENCE_S = 20.0


@functools.cache
def emulator_version(path: str) -> tuple[int, int] | None:
    """Major and minor version of a QEMU, asked once for each path.

    Returns:
        None for builds whose versioned machine types have names of their own (Red Hat's ``qemu-kvm``): there
        ``pc`` and ``q35`` have to stay as they are.

    Raises:
        MissingError: it does not run, or what it says is not QEMU's.
    """
    remedy = "set VIRTSIM_QEMU to a qemu-system-x86_64"
    try:
        done = subprocess.run(  # noqa: S603  (the program that was asked for)
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except OSError as error:
        raise MissingError(f"{path} does not run: {error.strerror}; {remedy}") from error
    except subprocess.TimeoutExpired:
        raise MissingError(f"{path} --version does not end; {remedy}") from None
    said = done.stdout.decode(errors="replace")
    found = re.match(r"QEMU emulator version (\d+)\.(\d+)", said)
    if done.returncode != 0 or found is None:
        answer = done.stderr.decode(errors="replace").strip() or said.strip() or "nothing"
        words = answer.splitlines()[0][:200]
        raise MissingError(f"{path} is no QEMU that works: --version says {words!r}; {remedy}")
    if "(qemu-kvm-" in said:
        return None
    return int(found[1]), int(found[2])
