"""SimLauncher does what every launcher must do: on the virtual clock with either net, and on the real one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.puppet import script_of
from virtsim.host.abc import Files, Process
from virtsim.host.files import LocalFiles
from virtsim.host.memory import MemoryFiles
from virtsim.sim.launcher import SimLauncher, SimProcess
from virtsim.sim.loop import run
from virtsim.sim.net import MemoryNet, net_of
from virtsim.testing.launcher_contract import LauncherContract

QEMU = "/usr/bin/qemu-system-x86_64"
SCRIPTS = {
    "bye": script_of(
        {"at": "start", "linger": "1ms"}, {"at": "1ms", "do": {"exit": {"code": 0, "stderr": "@"}}}
    ),
    "stubborn": script_of({"at": "start", "ignore": ["SIGTERM"]}),
}


class SimBench:
    """Fakes for SimLauncher; its own process table is the witness."""

    def __init__(
        self, directory: Path, run_case: Callable[[Coroutine[Any, Any, None]], None], *, memory: bool
    ) -> None:
        self.directory = "/run/b" if memory else str(directory)
        self.run = run_case
        self.memory = memory
        self.launchers: list[SimLauncher] = []
        self._files: Files | None = None
        self._words = ""

    @property
    def files(self) -> Files:
        if self._files is None:
            self._files = LocalFiles()
            if self.memory:
                net = net_of(asyncio.get_running_loop())
                assert isinstance(net, MemoryNet)
                self._files = net.files
                net.files.make_dirs(self.directory)
        return self._files

    def launcher(self) -> SimLauncher:
        def script_for(argv: list[str]) -> Any:
            name = argv[2].removeprefix("guest=") if "-name" in argv else ""
            if name == "bye":
                rule = {"at": "1ms", "do": {"exit": {"code": 0, "stderr": self._words}}}
                return script_of(rule)
            return SCRIPTS.get(name)

        launcher = SimLauncher(script_for=script_for, seed="0", files=self.files)
        self.launchers.append(launcher)
        return launcher

    def path(self, name: str) -> str:
        return f"{self.directory}/{name}" if self.files else ""

    def read(self, path: str) -> bytes:
        return self.files.read(path)

    def exits(self, code: int, text: str) -> list[str]:
        if code == 0:
            self._words = text
            return [QEMU, "-name", "guest=bye"]
        return [QEMU, "-uuid", text]  # not a UUID: QEMU says so and leaves with 1

    def sleeps(self) -> list[str]:
        return [QEMU, "-S"]

    def ends_on_sigterm(self) -> list[str]:
        return [QEMU, "-S"]

    def ignores_sigterm(self) -> list[str]:
        return [QEMU, "-name", "guest=stubborn", "-S"]

    def greets(self, fd: int) -> list[str]:
        return [
            QEMU,
            "-S",
            "-chardev",
            f"socket,id=m,fd={fd},server=on,wait=off",
            "-mon",
            "chardev=m,mode=control",
        ]

    def missing(self) -> list[str]:
        return ["/usr/bin/no-such-program"]

    async def ready(self, process: Process, log: str) -> None:
        del process, log

    def exists(self, pid: int) -> bool:
        return any(pid in launcher.processes for launcher in self.launchers)

    def end(self, process: Process) -> None:
        process.signal(signal.SIGKILL)

    def descriptors(self) -> int:
        net = net_of(asyncio.get_running_loop())
        return (
            len(net.open_descriptors())
            if isinstance(net, MemoryNet)
            else len(list(Path("/proc/self/fd").iterdir()))
        )


class TestSimLauncherInMemory(LauncherContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> SimBench:
        return SimBench(tmp_path, run, memory=True)


class TestSimLauncherOnRealSockets(LauncherContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> SimBench:
        return SimBench(tmp_path, lambda case: run(case, net="real"), memory=False)


class TestSimLauncherOnTheRealClock(LauncherContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> SimBench:
        return SimBench(tmp_path, asyncio.run, memory=False)


def test_what_it_adds_to_the_contract() -> None:
    """Linger, D state, notes of faults and ends, and pids that count up."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        files = MemoryFiles()
        files.make_dirs("/run")
        seen: list[tuple[str, str, Any]] = []
        script = script_of({"at": "start", "linger": "50ms", "uninterruptible": "10s"})
        launcher = SimLauncher(
            script_for=lambda _argv: script,
            seed="0",
            files=files,
            observer=lambda kind, actor, fields: seen.append((kind, actor, dict(fields))),
            first_pid=7,
        )
        process = await launcher.spawn([QEMU, "-name", "guest=a", "-S"], log="/run/log")
        assert isinstance(process, SimProcess)
        assert process.pid == 7
        process.signal(signal.SIGKILL)
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(10.04)
        assert process.alive()
        assert (await process.wait()).signal == signal.SIGKILL
        assert loop.time() == pytest.approx(10.05)
        assert seen == [("exit", "a", {"pid": 7, "signal": signal.SIGKILL})]
        assert "7" in repr(process)
        await launcher.aclose()
        with pytest.raises(RuntimeError):
            await launcher.spawn([QEMU], log="/run/log")

    run(main())


def test_a_descriptor_that_does_not_exist_leaves_nothing() -> None:
    async def main() -> None:
        net = net_of(asyncio.get_running_loop())
        assert isinstance(net, MemoryNet)
        net.files.make_dirs("/run")
        listener = net.listen_unix("/run/s")
        launcher = SimLauncher(script_for=lambda _argv: None, seed="0", files=net.files)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await launcher.spawn([QEMU, "-S"], fds=[listener.fd, 9], log="/run/log")
        assert net.open_descriptors() == [listener.fd]
        assert not launcher.processes
        listener.close()

    run(main())
