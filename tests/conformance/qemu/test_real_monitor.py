"""A real QEMU agrees with the connector, the monitor and the kill: each policy, both kinds of socket."""

from __future__ import annotations

import asyncio
import errno
import shutil
from pathlib import Path

import pytest

from virtsim.errors import VirtsimError
from virtsim.host.chance import SeededChance
from virtsim.host.clock import SystemClock
from virtsim.host.context import Context
from virtsim.host.files import LocalFiles
from virtsim.host.launcher import LocalLauncher
from virtsim.host.sockets import listen_unix
from virtsim.journal import Journal
from virtsim.qemu.connector import open_monitor
from virtsim.qemu.kill import kill_painfully
from virtsim.qemu.last_words import log_tail, start_failure
from virtsim.qemu.monitor import CommandError, Monitor, MonitorEOF, MonitorReadError
from virtsim.qemu.schedules import GuestSize, policy

pytestmark = pytest.mark.real_qemu

GUEST = GuestSize(128 * 1024)


class Machine:
    """A QEMU without a guest, and a monitor to it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.log = str(folder / "m.sock"), str(folder / "qemu.log")
        self.journal = Journal(Context.now_ns)
        self.files = LocalFiles()
        self.launcher = LocalLauncher()
        self.context = Context(
            launcher=self.launcher,
            files=self.files,
            wallclock=SystemClock(),
            chance=SeededChance("0"),
            run_dir=str(folder),
            observer=self.journal.observe,
        )
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.closed: list[str] = []
        self.ended = asyncio.Event()

    def monitor(self) -> Monitor:
        return Monitor(
            self.context,
            "real",
            on_event=lambda name, data, stamp: self.events.put_nowait(name),
            on_closed=self.end,
        )

    def end(self, reason: str) -> None:
        self.closed.append(reason)
        self.ended.set()

    async def start(
        self, name: str, *, handed_in: bool, options: str = "", extra: tuple[str, ...] = ()
    ) -> Monitor:
        listener = listen_unix(self.path) if handed_in else None
        where = f"fd={listener.fd}" if listener is not None else f"path={self.path}"
        argv = [
            shutil.which("qemu-system-x86_64") or "",
            *("-machine", "none", "-nodefaults", "-display", "none", "-S"),
            *("-chardev", f"socket,id=monitor,{where},server=on,wait=off"),
            *("-mon", f"chardev=monitor,mode=control{options}"),
            *extra,
        ]
        fds = () if listener is None else (listener.fd,)
        self.process = await self.launcher.spawn(argv, fds=fds, log=self.log)
        return await open_monitor(
            self.context,
            actor="real",
            policy=policy(name),
            guest=GUEST,
            path=self.path,
            listener=listener,
            process=self.process,
            monitor_factory=self.monitor,
        )


@pytest.mark.parametrize(
    ("name", "handed_in"),
    [
        ("poll200", False),
        ("backoff-adaptive", False),
        ("eventful", False),
        ("eventful", True),
        ("fdpass", True),
    ],
)
@pytest.mark.parametrize("options", ["", ",pretty=on"], ids=["plain", "pretty"])
def test_a_conversation_with_qemu(name: str, handed_in: bool, options: str, tmp_path: Path) -> None:
    async def main() -> None:
        machine = Machine(tmp_path)
        monitor = await machine.start(name, handed_in=handed_in, options=options)
        assert (await monitor.wait_greeting()).version["qemu"]["major"] >= 5
        with pytest.raises(CommandError) as refused:
            await monitor.execute("query-status")
        assert refused.value.error_class == "CommandNotFound"  # not before the negotiation
        await monitor.execute("qmp_capabilities")
        status = await monitor.execute("query-status")
        assert status["status"] == "prelaunch"
        schema = await monitor.execute("query-qmp-schema", timeout=30)  # half a megabyte
        assert len(schema) > 500
        with pytest.raises(CommandError, match="unable to execute QEMU command 'no-such'"):
            await monitor.execute("no-such")
        assert await asyncio.gather(*(monitor.execute("query-version") for _ in range(20)))
        await monitor.execute("quit")
        assert (await machine.process.wait()).code == 0
        await asyncio.wait_for(machine.events.get(), 5)  # SHUTDOWN
        await asyncio.wait_for(machine.ended.wait(), 5)
        # QEMU leaves without having read our line ends, which the kernel calls a reset.
        with pytest.raises((MonitorEOF, MonitorReadError)):
            monitor.execute("query-status")
        assert machine.closed == ["eof"]
        await machine.launcher.aclose()
        ids = [record["id"] for record in machine.journal.records if record["kind"] == "qmp.command"]
        assert ids == [f"libvirt-{number}" for number in range(1, len(ids) + 1)]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "handed_in"),
    [("backoff-adaptive", False), ("eventful", False), ("eventful", True), ("fdpass", True)],
)
def test_a_qemu_that_cannot_start_has_the_last_word(name: str, handed_in: bool, tmp_path: Path) -> None:
    async def main() -> None:
        machine = Machine(tmp_path)

        async def start() -> None:
            monitor = await machine.start(name, handed_in=handed_in, extra=("-device", "no-such-device"))
            await monitor.execute("qmp_capabilities")  # QEMU may greet before it looks at its devices

        with pytest.raises(VirtsimError) as caught:
            await start()
        await machine.process.wait()
        said = start_failure(
            caught.value, alive=machine.process.alive(), tail=log_tail(machine.files, machine.log)
        )
        assert str(said).startswith("internal error: process exited while connecting to monitor: ")
        assert str(said).endswith("'no-such-device' is not a valid device model name")
        await machine.launcher.aclose()

    asyncio.run(main())


def test_qemu_obeys_sigterm(tmp_path: Path) -> None:
    async def main() -> None:
        machine = Machine(tmp_path)
        monitor = await machine.start("eventful", handed_in=True)
        await kill_painfully(machine.context, "real", machine.process, force=True)
        assert not machine.process.alive()
        monitor.close()
        await machine.launcher.aclose()
        with pytest.raises(ProcessLookupError) as gone:
            machine.process.signal(0)
        assert gone.value.errno in (errno.ESRCH, None)

    asyncio.run(main())
