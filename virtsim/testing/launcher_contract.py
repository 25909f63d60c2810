"""What every launcher must do: one suite of tests, run on each.

Knows the Protocol `virtsim.host.abc.Launcher` and what libvirt's craft relies on. Must not know which
launcher it is given, nor which programs that one can start.

A third launcher (over ssh, in a container, ...) is tested like this, in a file that pytest collects:

1. Write a `LauncherBench`: how to run a coroutine on the kind of event loop the launcher is made for, how to
   make the launcher, and a command line for each of the few behaviours that the tests need.
2. Subclass `LauncherContract` under a name that starts with ``Test``, with a fixture ``bench``::

    class TestMyLauncher(LauncherContract):
        @pytest.fixture
        def bench(self, tmp_path):
            return MyBench(tmp_path)

The tests only use what a real QEMU and a simulated one can both do. In particular a program is never asked to
print what it was given, and ends on SIGTERM with exit status 0, as QEMU does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
from collections.abc import Coroutine
from typing import Any, Protocol

import pytest

from virtsim.host.abc import ExitStatus, Launcher, Process
from virtsim.host.sockets import connect_unix, listen_unix

__all__ = ["LauncherBench", "LauncherContract"]

#: Longer than any program here needs to start and answer on a loaded machine, seconds on the run's clock.
_PATIENCE_S = 30.0


class LauncherBench(Protocol):
    """A launcher under test, with programs for it to start and eyes on what it leaves behind."""

    def run(self, case: Coroutine[Any, Any, None]) -> None:
        """Run a test's coroutine to its end on an event loop of the kind that the launcher is made for."""
        ...

    def launcher(self) -> Launcher:
        """A fresh launcher; called inside the loop."""
        ...

    def path(self, name: str) -> str:
        """Absolute path of a log or socket in a directory that exists, on the run's files and net; short."""
        ...

    def read(self, path: str) -> bytes:
        """What is in a log by now; FileNotFoundError when there is none."""
        ...

    def exits(self, code: int, text: str) -> list[str]:
        """A program that writes a line with ``text`` in it to standard error and exits with ``code``.

        Only codes 0 and 1 are asked for.
        """
        ...

    def sleeps(self) -> list[str]:
        """A program that runs until it is killed with SIGKILL."""
        ...

    def ends_on_sigterm(self) -> list[str]:
        """A program that runs until SIGTERM, then exits with 0."""
        ...

    def ignores_sigterm(self) -> list[str]:
        """A program that runs on after SIGTERM."""
        ...

    def greets(self, fd: int) -> list[str]:
        """A program that accepts a client on the listening Unix socket ``fd`` and sends it something."""
        ...

    def missing(self) -> list[str]:
        """A command line whose program does not exist."""
        ...

    async def ready(self, process: Process, log: str) -> None:
        """Return once a program just started is set up, in particular for its signals."""
        ...

    def exists(self, pid: int) -> bool:
        """Whether it is in the process table, be it as a zombie; by other means than the launcher's."""
        ...

    def end(self, process: Process) -> None:
        """End a process whose launcher is closed, for tidiness."""
        ...

    def descriptors(self) -> int:
        """How many descriptors (or what stands for them) are open on our side."""
        ...


class LauncherContract:
    """The tests. Every one starts its own launcher and leaves no process."""

    def test_an_exit_status_is_reported_and_the_log_kept(self, bench: LauncherBench) -> None:
        """Exit code and what was written to standard error arrive whole."""

        async def case() -> None:
            launcher = bench.launcher()
            for code in (0, 1):
                log = bench.path(f"exit{code}.log")
                process = await launcher.spawn(bench.exits(code, f"last words {code}"), log=log)
                assert await _ended(process) == ExitStatus(code=code)
                assert f"last words {code}" in bench.read(log).decode()
            await launcher.aclose()

        bench.run(case())

    def test_a_log_is_appended_to(self, bench: LauncherBench) -> None:
        """A second program does not wipe out the words of the first."""

        async def case() -> None:
            launcher, log = bench.launcher(), bench.path("twice.log")
            for text in ("first", "second"):
                await _ended(await launcher.spawn(bench.exits(1, text), log=log))
            words = bench.read(log).decode()
            assert words.index("first") < words.index("second")
            await launcher.aclose()

        bench.run(case())

    def test_death_by_signal_is_reported_as_that_signal(self, bench: LauncherBench) -> None:
        """SIGKILL cannot be handled, so no exit code is invented."""

        async def case() -> None:
            launcher = bench.launcher()
            process = await launcher.spawn(bench.sleeps(), log=bench.path("killed.log"))
            process.signal(signal.SIGKILL)
            assert await _ended(process) == ExitStatus(signal=signal.SIGKILL)
            await launcher.aclose()

        bench.run(case())

    def test_a_handled_sigterm_gives_an_exit_code(self, bench: LauncherBench) -> None:
        """QEMU ends with 0 on SIGTERM; that is not death by signal."""

        async def case() -> None:
            launcher, log = bench.launcher(), bench.path("term.log")
            process = await launcher.spawn(bench.ends_on_sigterm(), log=log)
            await bench.ready(process, log)
            process.signal(signal.SIGTERM)
            assert await _ended(process) == ExitStatus(code=0)
            await launcher.aclose()

        bench.run(case())

    def test_an_ignored_sigterm_changes_nothing(self, bench: LauncherBench) -> None:
        """A stubborn program lives on until SIGKILL."""

        async def case() -> None:
            launcher, log = bench.launcher(), bench.path("stubborn.log")
            process = await launcher.spawn(bench.ignores_sigterm(), log=log)
            await bench.ready(process, log)
            process.signal(signal.SIGTERM)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await process.wait()
            assert process.alive()
            process.signal(0)
            process.signal(signal.SIGKILL)
            assert await _ended(process) == ExitStatus(signal=signal.SIGKILL)
            await launcher.aclose()

        bench.run(case())

    def test_a_process_is_gone_when_it_has_ended(self, bench: LauncherBench) -> None:
        """After the end: ESRCH for every signal, no zombie, the PID still readable."""

        async def case() -> None:
            launcher = bench.launcher()
            process = await launcher.spawn(bench.sleeps(), log=bench.path("gone.log"))
            pid = process.pid
            assert pid > 0
            assert process.alive()
            assert bench.exists(pid)
            process.signal(0)
            process.signal(signal.SIGKILL)
            await _ended(process)
            assert not process.alive()
            assert not bench.exists(pid)
            assert process.pid == pid
            for signum in (0, signal.SIGTERM, signal.SIGKILL):
                with pytest.raises(ProcessLookupError) as caught:
                    process.signal(signum)
                assert caught.value.errno == errno.ESRCH
            await launcher.aclose()

        bench.run(case())

    def test_all_waiters_learn_of_the_end_and_so_do_late_ones(self, bench: LauncherBench) -> None:
        """Any number of tasks may wait; waiting after the end returns at once."""

        async def case() -> None:
            launcher = bench.launcher()
            process = await launcher.spawn(bench.sleeps(), log=bench.path("waiters.log"))
            async with asyncio.TaskGroup() as group:
                waiters = [group.create_task(_ended(process)) for _ in range(5)]
                await asyncio.sleep(0)
                process.signal(signal.SIGKILL)
            assert {waiter.result() for waiter in waiters} == {ExitStatus(signal=signal.SIGKILL)}
            assert await process.wait() == ExitStatus(signal=signal.SIGKILL)
            await launcher.aclose()

        bench.run(case())

    def test_a_waiter_that_gives_up_disturbs_nobody(self, bench: LauncherBench) -> None:
        """Cancelling a wait ends neither the program nor another's wait."""

        async def case() -> None:
            launcher = bench.launcher()
            process = await launcher.spawn(bench.sleeps(), log=bench.path("cancel.log"))
            async with asyncio.TaskGroup() as group:
                impatient = group.create_task(process.wait())
                patient = group.create_task(_ended(process))
                await asyncio.sleep(0)
                impatient.cancel()
                await asyncio.sleep(0)
                assert process.alive()
                process.signal(signal.SIGKILL)
            assert impatient.cancelled()
            assert patient.result() == ExitStatus(signal=signal.SIGKILL)
            await launcher.aclose()

        bench.run(case())

    def test_processes_are_independent(self, bench: LauncherBench) -> None:
        """The end of one is not taken for the end of another."""

        async def case() -> None:
            launcher = bench.launcher()
            one = await launcher.spawn(bench.sleeps(), log=bench.path("one.log"))
            two = await launcher.spawn(bench.sleeps(), log=bench.path("two.log"))
            assert one.pid != two.pid
            one.signal(signal.SIGKILL)
            await _ended(one)
            assert two.alive()
            two.signal(signal.SIGKILL)
            await _ended(two)
            await launcher.aclose()

        bench.run(case())

    def test_a_missing_program_leaves_nothing(self, bench: LauncherBench) -> None:
        """ENOENT arrives as such from ``spawn`` itself; no log file, no descriptor."""

        async def case() -> None:
            launcher, log = bench.launcher(), bench.path("missing.log")
            before = bench.descriptors()
            with pytest.raises(FileNotFoundError) as caught:
                await launcher.spawn(bench.missing(), log=log)
            assert caught.value.errno == errno.ENOENT
            with pytest.raises(FileNotFoundError):
                bench.read(log)
            assert bench.descriptors() == before
            await launcher.aclose()

        bench.run(case())

    def test_an_inherited_listener_is_answered(self, bench: LauncherBench) -> None:
        """The program serves the socket that we bound, and only the program once we have closed our copy."""

        async def case() -> None:
            launcher, path = bench.launcher(), bench.path("inherited.sock")
            listener = listen_unix(path)
            process = await launcher.spawn(
                bench.greets(listener.fd), fds=[listener.fd], log=bench.path("inherited.log")
            )
            listener.close()
            transport, client = await connect_unix(_Client, path)
            async with asyncio.timeout(_PATIENCE_S):
                assert await client.first
            transport.close()
            with contextlib.suppress(ProcessLookupError):  # it may have ended with its client
                process.signal(signal.SIGKILL)
            await _ended(process)
            # Nobody has the listening socket open any more.
            with pytest.raises(ConnectionRefusedError):
                await connect_unix(_Client, path)
            await launcher.aclose()

        bench.run(case())

    def test_closing_the_launcher_ends_no_program(self, bench: LauncherBench) -> None:
        """QEMU outlives its manager."""

        async def case() -> None:
            launcher = bench.launcher()
            process = await launcher.spawn(bench.sleeps(), log=bench.path("outlives.log"))
            await launcher.aclose()
            assert bench.exists(process.pid)
            bench.end(process)

        bench.run(case())

    def test_no_descriptor_leaks(self, bench: LauncherBench) -> None:
        """Ten programs later as many descriptors are open as before, and closing twice is fine."""

        async def case() -> None:
            before = bench.descriptors()
            launcher = bench.launcher()
            async with asyncio.TaskGroup() as group:
                for number in range(10):
                    argv, log = bench.exits(0, "done"), bench.path(f"leak{number}.log")
                    process = await launcher.spawn(argv, log=log)
                    group.create_task(_ended(process))
            await launcher.aclose()
            await launcher.aclose()
            assert bench.descriptors() == before

        bench.run(case())


class _Client(asyncio.Protocol):
    """Keeps the first bytes that arrive."""

    def __init__(self) -> None:
        self.first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.first.done():
            self.first.set_result(data)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.first.done():
            self.first.set_result(b"")


async def _ended(process: Process) -> ExitStatus:
    """Its exit status, or a failure rather than a test that hangs."""
    async with asyncio.timeout(_PATIENCE_S):
        return await process.wait()
