"""LocalLauncher does what every launcher must do; shell programs stand in for QEMU."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from virtsim.host.abc import Process
from virtsim.host.launcher import LocalLauncher
from virtsim.testing.launcher_contract import LauncherContract

SLEEP = shutil.which("sleep") or "/bin/sleep"
# The exact interpreter without site-packages: it starts in 10 ms instead of 100.
GREETER = """
import socket, sys
client, _ = socket.socket(fileno=int(sys.argv[1])).accept()
client.sendall(b"hello")
client.recv(1)
"""

# Not a shell: it could only wait for a child, which a signal may miss between its fork and its exec.
POLITE = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
os.write(1, b"ready")
while True:
    signal.pause()
"""


class LocalBench:
    """Programs for LocalLauncher, and /proc as the witness."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, case: Coroutine[Any, Any, None]) -> None:
        asyncio.run(case)

    def launcher(self) -> LocalLauncher:
        return LocalLauncher()

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def exits(self, code: int, text: str) -> list[str]:
        return ["/bin/sh", "-c", 'echo "$1" >&2; exit "$2"', "sh", text, str(code)]

    def sleeps(self) -> list[str]:
        return [SLEEP, "1000"]

    def ends_on_sigterm(self) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", POLITE]

    def ignores_sigterm(self) -> list[str]:
        return ["/bin/sh", "-c", f"trap '' TERM; echo ready; exec {SLEEP} 1000"]

    def greets(self, fd: int) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", GREETER, str(fd)]

    def missing(self) -> list[str]:
        return [self.path("no-such-program"), "-S"]

    async def ready(self, process: Process, log: str) -> None:
        async with asyncio.timeout(30):
            while b"ready" not in self.read(log):
                assert process.alive()
                await asyncio.sleep(0.002)

    def exists(self, pid: int) -> bool:
        return Path(f"/proc/{pid}").exists()

    def end(self, process: Process) -> None:
        process.signal(signal.SIGKILL)
        os.waitpid(process.pid, 0)

    def descriptors(self) -> int:
        return len(list(Path("/proc/self/fd").iterdir()))


class TestLocalLauncher(LauncherContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> LocalBench:
        return LocalBench(tmp_path)
