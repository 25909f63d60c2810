"""How soon does the fake listen, and how soon does it answer, beside a real QEMU started in turn with it?

Prints medians and the ratio fake / real of three moments after the spawn: the monitor socket can be connected
to; the greeting is there; the first command (qmp_capabilities) is answered. Both get the same command line.

    python benchmarks/fake_startup.py [--runs 30] [--fake PROGRAM] [--qemu PROGRAM]

Exit status 1 when the fake's first answer takes more than half of the real one's time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARGV = ["-machine", "pc", "-accel", "tcg", "-S", "-display", "none"]
MOMENTS = ("listening", "greeting", "first answer")


def one(program: list[str], path: str) -> list[float]:
    """Milliseconds from the spawn to each moment, of one start."""
    Path(path).unlink(missing_ok=True)
    begun = time.perf_counter()
    with (
        subprocess.Popen(
            [*program, *ARGV, "-qmp", f"unix:{path},server=on,wait=off"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client,
    ):
        moments = []
        while client.connect_ex(path):
            if process.poll() is not None:
                sys.exit(f"{program[0]} left with status {process.returncode}")
            time.sleep(0.0002)  # noqa: TID251 - this waits for a real process
        moments.append(time.perf_counter())
        client.recv(4096)
        moments.append(time.perf_counter())
        client.sendall(b'{"execute": "qmp_capabilities"}\n')
        client.recv(4096)
        moments.append(time.perf_counter())
        client.sendall(b'{"execute": "quit"}\n')
        process.wait(10)
    return [(moment - begun) * 1000 for moment in moments]


def default_fake() -> list[str]:
    """The installed executable, or the package beside this file."""
    name = "fakeqemu-system-x86_64"
    for found in (Path(sys.prefix) / "bin" / name, shutil.which(name)):
        if found and os.access(found, os.X_OK):
            return [str(found)]
    boot = Path(__file__).resolve().parent.parent / "fakeqemu" / "boot.py"
    return [sys.executable, "-I", "-S", str(boot), "qemu-system-x86_64"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30, help="starts of each (default 30)")
    parser.add_argument("--fake", help="the fake's program")
    parser.add_argument("--qemu", default=shutil.which("qemu-system-x86_64"), help="the real QEMU's program")
    options = parser.parse_args()
    if not options.qemu:
        sys.exit("no qemu-system-x86_64 here to compare with")
    programs = {"fake": [options.fake] if options.fake else default_fake(), "real": [options.qemu]}
    samples: dict[str, list[list[float]]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory(prefix="fakeqemu-") as directory:
        for run in range(options.runs + 1):
            for name, program in programs.items():
                taken = one(program, f"{directory}/{name}.sock")
                if run:  # the first of each only warms the caches
                    samples[name].append(taken)
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in samples.items()
    }
    print(f"fake: {' '.join(programs['fake'])}\nreal: {options.qemu}")
    print(f"medians of {options.runs} starts each, in turn\n")
    print(f"{'':14}{'fake ms':>9}{'real ms':>9}{'ratio':>8}")
    for index, moment in enumerate(MOMENTS):
        fake, real = medians["fake"][index], medians["real"][index]
        print(f"{moment:14}{fake:9.1f}{real:9.1f}{fake / real:8.2f}")
    return int(medians["fake"][2] > medians["real"][2] / 2)


if __name__ == "__main__":
    sys.exit(main())
