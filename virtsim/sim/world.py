"""One run's world: launcher, files, clock, net and chance behind the library, and the journal of it all.

Knows how the doors of `virtsim.host` are put together for each clock and hypervisor. Must not know steps or
expectations.

========  ==========  ================================================================================
clock     hypervisor  what stands behind the library
========  ==========  ================================================================================
virtual   fake        virtual loop, memory net and files (or real ones with ``net="real"``), fakes as tasks
real      fake        ordinary loop, run directory on disk, fakes as processes
real      qemu        ordinary loop, run directory on disk, real QEMU
========  ==========  ================================================================================
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Literal

import fakeqemu
from fakeqemu.scripts.script import Script
from virtsim.host.abc import ExitStatus, Files, Launcher, Process, WallClock
from virtsim.host.chance import SeededChance
from virtsim.host.clock import SystemClock
from virtsim.host.context import Context
from virtsim.host.files import LocalFiles
from virtsim.host.kvm import kvm_usable
from virtsim.host.launcher import LocalLauncher, default_environment
from virtsim.host.memory import MemoryFiles
from virtsim.host.rundir import RunDirectory, clean_up_dead_runs
from virtsim.journal import Journal, Record
from virtsim.sim.launcher import SimLauncher
from virtsim.sim.loop import VirtualLoop
from virtsim.sim.net import MemoryNet

__all__ = [
    "CURRENT_STEP",
    "EPOCH_NS",
    "MissingError",
    "Options",
    "World",
    "clean_up",
    "find_emulator",
    "find_fake",
    "try_run_directory",
]

#: Wall clock at the begin of every virtual run: 2017-03-16 00:00:00 UTC, when libvirt 3.2.0 was being made.
EPOCH_NS = 1_489_622_400 * 10**9
#: Where a virtual run believes that it keeps its files; nothing of it exists.
VIRTUAL_RUN_DIR = "/run/virtsim"
#: Number of the step on whose behalf the current task works.
CURRENT_STEP: ContextVar[str] = ContextVar("virtsim_current_step", default="")


class MissingError(Exception):
    """This machine lacks something that was asked for; the text says what and how to get it."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a scenario.

    Attributes:
        clock: "virtual" or "real".
        hypervisor: "fake" or "qemu"; QEMU needs the real clock.
        net: with the virtual clock, sockets in memory or the kernel's (both give the same journal).
        policy: name of a waiting policy instead of the scenario's.
        seed: instead of the scenario's.
        emulator: path of the QEMU to use, instead of the one found.
    """

    clock: Literal["virtual", "real"] = "virtual"
    hypervisor: Literal["fake", "qemu"] = "fake"
    net: Literal["memory", "real"] = "memory"
    policy: str | None = None
    seed: str | None = None
    emulator: str | None = None

    def words(self) -> list[str]:
        """These options as the command line has them."""
        words = ["--clock", self.clock, "--hypervisor", self.hypervisor]
        if self.net != "memory":
            words += ["--net", self.net]
        if self.policy is not None:
            words += ["--policy", self.policy]
        return words


def find_emulator(wanted: str | None = None) -> str:
    """The real QEMU: ``wanted``, ``$VIRTSIM_QEMU``, or the one on PATH.

    Raises:
        MissingError: there is none.
    """
    name = wanted or os.environ.get("VIRTSIM_QEMU") or "qemu-system-x86_64"
    found = shutil.which(name) or (shutil.which(f"/usr/bin/{name}") if "/" not in name else None)
    if found is None:
        raise MissingError(
            f"no {name} here: install it (Debian: apt install qemu-system-x86) or set VIRTSIM_QEMU"
        )
    return str(Path(found).absolute())


def clean_up() -> list[str]:
    """End what runs that were killed have left on this host; one line for each thing."""
    return clean_up_dead_runs()


def try_run_directory() -> None:
    """Make a run directory and remove it again.

    Raises:
        MissingError: there is no place for one.
    """
    try:
        RunDirectory.create().close()
    except OSError as error:
        raise MissingError(
            f"no folder for runs: {error.filename or '?'}: {error.strerror}; set XDG_RUNTIME_DIR"
        ) from error


def find_fake() -> str:
    """The fake executable: the one beside this Python, in the source tree, or on PATH.

    Raises:
        MissingError: the package is not installed.
    """
    name = "fakeqemu-system-x86_64"
    package = Path(fakeqemu.__file__).parent / "bin"
    beside = (Path(sys.prefix) / "bin" / name, package / name)
    found = next((str(path) for path in beside if os.access(path, os.X_OK)), None) or shutil.which(name)
    if found is None:
        raise MissingError(f"no {name} here: install the package (pip install virtsim)")
    return str(Path(found).absolute())


class _VirtualWallClock:
    """The time of day of a virtual run: the epoch, and what has passed on the loop's clock since."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now_ns(self) -> int:
        return EPOCH_NS + self._loop.time_ns()


def guest_name(argv: Sequence[str]) -> str:
    """The domain a command line is for: the guest of ``-name guest=NAME,...`` (a comma in it is doubled)."""
    for word, value in pairwise(argv):
        if word == "-name":
            text = value.removeprefix("guest=").replace(",,", "\0")
            return text.partition(",")[0].replace("\0", ",")
    return ""


class _Launcher:
    """The launcher the library is given: remembers which process is which guest's.

    Args:
        world: told of what happens. inner: starts the programs. directory: of a run with real processes:
        each is written into its ledger, so that one which outlives this
            program, even after ``kill -9``, is found by the next run.
        scripts: guest -> file with the script of its fake, for fakes that are processes.
    """

    def __init__(
        self,
        world: World,
        inner: Launcher,
        directory: RunDirectory | None = None,
        scripts: Mapping[str, str] | None = None,
    ) -> None:
        self._world = world
        self._inner = inner
        self._directory = directory
        self._scripts = scripts or {}
        self._watches: dict[asyncio.Task[None], None] = {}

    async def spawn(
        self, argv: Sequence[str], *, fds: Sequence[int] = (), log: str, env: Mapping[str, str] | None = None
    ) -> Process:
        """As `virtsim.host.abc.Launcher`."""
        name = guest_name(argv)
        if env is None and name in self._scripts:
            env = {**default_environment(), "FAKEQEMU_SCRIPT": self._scripts[name]}
        process = await self._inner.spawn(argv, fds=fds, log=log, env=env)
        self._world.processes[name] = process
        if self._directory is not None:
            self._directory.record_process(process.pid)
            watch = asyncio.get_running_loop().create_task(
                self._watch(name, process, self._directory), name=f"watch {process.pid}"
            )
            self._watches[watch] = None
            watch.add_done_callback(lambda done: self._watches.pop(done, None))
        return process

    async def _watch(self, name: str, process: Process, directory: RunDirectory) -> None:
        status: ExitStatus = await process.wait()
        directory.forget_process(process.pid)
        ending = {"code": status.code} if status.code is not None else {"signal": status.signal}
        self._world.note("exit", name or "host", pid=process.pid, **ending)

    async def aclose(self) -> None:
        """Stop watching. Ends no program."""
        watches = list(self._watches)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await self._inner.aclose()


class World:
    """The doors of one run and what watches them.

    Attributes:
        options: clock, hypervisor and so on.
        journal: everything that was noted.
        states: domain -> its last noted (state, reason).
        processes: guest -> its latest process.
        listeners: called with each record after it was written.
    """

    def __init__(
        self, options: Options, seed: str, scripts: Mapping[str, dict[str, Any]], sink: IO[str] | None
    ) -> None:
        self.options = options
        self.seed = seed
        self.states: dict[str, tuple[str, str]] = {}
        self.listeners: list[Callable[[Record], None]] = []
        self.processes: dict[str, Process] = {}
        self.directory: RunDirectory | None = None
        self.run_dir = VIRTUAL_RUN_DIR
        self._scripts = scripts
        self._compiled = {name: Script.from_compiled(script) for name, script in scripts.items()}
        self._now = self._start = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner: dict[str, str] = {}
        wall = SystemClock().now_ns if options.clock == "real" else None
        self.journal = Journal(self.now_ns, sink, wall)

    def now_ns(self) -> int:
        """The run's clock: nanoseconds since the world was opened; stands once it is closed."""
        if self._loop is not None and self._loop.is_running():
            self._now = Context.now_ns() - self._start
        return self._now

    def note(self, kind: str, actor: str, **fields: Any) -> None:
        """Write a record about the run itself."""
        self.observe(kind, actor, fields)

    def observe(self, kind: str, actor: str, fields: Mapping[str, Any]) -> None:
        """The observer that the library, the launcher and the fakes tell everything."""
        if kind == "api.call" and (step := CURRENT_STEP.get()):
            fields = {**fields, "step": step}
        if self.directory is not None and self.options.clock == "virtual":
            fields = {name: _at_home(value, self.run_dir) for name, value in fields.items()}
        self.journal.observe(kind, actor, fields)
        record = self.journal.records[-1]
        if kind == "state":
            self.states[actor] = (record["state"], record["reason"])
        for listener in self.listeners:
            listener(record)

    def signal_guest(self, name: str, number: int) -> None:
        """Send a signal to the QEMU of a domain, as an administrator would.

        Raises:
            ProcessLookupError: it has none.
        """
        process = self.processes.get(name)
        if process is None:
            raise ProcessLookupError(name)
        self.note("host", name, op=f"kill -{number}", detail=str(process.pid))
        process.signal(number)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Context]:
        """Put the doors up; takes them down again whatever happens, and ends what still runs."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._start = Context.now_ns()
        launcher: Launcher | None = None
        try:
            if self.options.clock == "virtual" and self.options.net == "memory":
                files, launcher = self._in_memory(loop)
            else:
                self.directory = RunDirectory.create()
                self.run_dir = self.directory.path
                files, launcher = self._on_disk(loop, self.directory)
            clock: WallClock = _VirtualWallClock(loop) if isinstance(loop, VirtualLoop) else SystemClock()
            yield Context(
                launcher=launcher,
                files=files,
                wallclock=clock,
                chance=SeededChance(self.seed),
                run_dir=self.run_dir,
                observer=self.observe,
                hypervisor=self.options.hypervisor,
            )
        finally:
            self.now_ns()
            self._loop = None
            if launcher is not None:
                await launcher.aclose()
            if self.directory is not None:
                self.directory.close()

    def _in_memory(self, loop: asyncio.AbstractEventLoop) -> tuple[Files, Launcher]:
        if not isinstance(loop, VirtualLoop) or not isinstance(loop.net, MemoryNet):
            raise TypeError("the virtual clock needs a virtual loop")
        files: MemoryFiles = loop.net.files
        files.make_dirs(self.run_dir)
        loop.net.observe(self._socket)
        return files, self._sim_launcher(files)

    def _on_disk(self, loop: asyncio.AbstractEventLoop, directory: RunDirectory) -> tuple[Files, Launcher]:
        files = LocalFiles()
        if isinstance(loop, VirtualLoop):
            loop.net.observe(self._socket)
            return files, self._sim_launcher(files)
        paths = {}
        for number, (name, script) in enumerate(self._scripts.items()):
            path = f"{directory.path}/.script-{number}.json"
            files.write_atomic(path, json.dumps(script).encode())
            paths[name] = path
        return files, _Launcher(self, LocalLauncher(files), directory, paths)

    def _sim_launcher(self, files: Files) -> Launcher:
        inner = SimLauncher(
            script_for=self._script_for,
            seed=self.seed,
            files=files,
            observer=self.observe,
        )
        return _Launcher(self, inner)

    def _script_for(self, argv: Sequence[str]) -> Script | None:
        return self._compiled.get(guest_name(argv)) or self._compiled.get("*")

    def _socket(self, path: str, what: str) -> None:
        """Something happened to a socket: tell whose it is, if its folder says so."""
        folder = path.rpartition("/")[0].rpartition("/")[2]
        owner = self._owner.get(folder.split("-", 2)[-1], "host")
        self.observe("socket", owner, {"path": path, "what": what})

    def introduce(self, names: Sequence[str]) -> None:
        """Tell the names of the domains, so that a socket's record can say whose it is."""
        for name in names:
            for length in {len(name), 20}:  # libvirt's virDomainDefGetShortName cuts at 20
                self._owner.setdefault(name[:length], name)


def _at_home(value: Any, run_dir: str) -> Any:
    """The value with the run directory replaced by that of runs in memory: journals must not differ by it."""
    if isinstance(value, str):
        return value.replace(run_dir, VIRTUAL_RUN_DIR)
    if isinstance(value, list | tuple):
        return [_at_home(item, run_dir) for item in value]
    if isinstance(value, dict):
        return {key: _at_home(item, run_dir) for key, item in value.items()}
    return value


def accelerator(options: Options) -> str:
    """Which accelerator QEMU is to use: "kvm" where KVM really works, else "tcg"."""
    return "kvm" if options.hypervisor == "qemu" and kvm_usable()[0] else "tcg"
