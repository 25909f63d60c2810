"""Fake QEMUs of one launcher on the virtual clock: what takes time takes exactly as much as the model says.

Guests move over the memory net, their disks are copied, processes are stopped for an hour: twice the same
bytes with the same seed, whatever was done to the loop.
"""

from __future__ import annotations

import asyncio
import json
import signal
from itertools import pairwise
from typing import Any

import pytest

from tests.helpers.puppet import script_of
from virtsim.host.sockets import connect_unix
from virtsim.sim.launcher import SimLauncher, SimProcess
from virtsim.sim.loop import run
from virtsim.sim.net import net_of

QEMU = "/usr/bin/qemu-system-x86_64"
HOUR = 3600.0
GIB, MIB = 1 << 30, 1 << 20


class Peer(asyncio.Protocol):
    """A monitor's client: replies and events as they come, with the time at which they did."""

    def __init__(self) -> None:
        self.held, self.told = b"", b""
        self.replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events: list[tuple[float, str, dict[str, Any]]] = []
        self.lost = asyncio.Event()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.told += data
        *lines, self.held = (self.held + data).split(b"\r\n")
        for line in lines:
            message = json.loads(line)
            if "event" in message:
                now = asyncio.get_running_loop().time()
                self.events.append((now, message["event"], message.get("data", {})))
            else:
                self.replies.put_nowait(message)

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()

    async def ask(self, command: str, **arguments: Any) -> Any:
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.transport.write(json.dumps({"execute": command, "arguments": named}).encode())
        reply = await self.replies.get()
        return reply.get("return", reply.get("error"))

    async def until(self, event: str, **data: Any) -> float:
        while True:
            for at, name, told in self.events:
                if name == event and data.items() <= told.items():
                    return at
            await asyncio.sleep(0.01)


class Host:
    """A launcher, and its machines by name."""

    def __init__(self, **words: Any) -> None:
        net_of(asyncio.get_running_loop()).files.make_dirs("/run")
        script = script_of({"at": "start", **words})
        files = net_of(asyncio.get_running_loop()).files
        self.launcher = SimLauncher(script_for=lambda _: script, seed="7", files=files)
        self.processes: dict[str, SimProcess] = {}

    async def start(self, name: str, *more: str) -> Peer:
        words = ["-name", f"guest={name}", "-machine", "pc", "-accel", "tcg", "-nodefaults", *more]
        door = f"unix:/run/{name}.m,server=on,wait=off"
        self.processes[name] = await self.launcher.spawn([QEMU, *words, "-qmp", door], log=f"/run/{name}")
        while True:
            try:
                _, peer = await connect_unix(Peer, f"/run/{name}.m")
                break
            except OSError:
                await asyncio.sleep(0.01)
        await peer.replies.get()
        await peer.ask("qmp_capabilities")
        return peer


async def pair(host: Host, ram: str) -> tuple[Peer, Peer]:
    """A guest that runs, and a machine that waits for it."""
    here = await host.start("here", "-m", ram)
    there = await host.start("there", "-m", ram, "-incoming", "unix:/run/door")
    for peer in (here, there):
        await capable(peer, "events")
    return here, there


async def capable(peer: Peer, *names: str) -> None:
    found = [{"capability": name, "state": True} for name in names]
    assert await peer.ask("migrate-set-capabilities", capabilities=found) == {}


def test_a_quiet_guest_of_12_tib_takes_as_long_as_its_bytes() -> None:
    async def main() -> tuple[float, dict[str, Any], bytes]:
        host = Host(migration={"used": "4TiB", "bandwidth": "10GiB/s", "scan": "1TiB/s"})
        here, there = await pair(host, "12T")
        assert await here.ask("migrate-set-parameters", max_bandwidth=10 * GIB) == {}
        begun = asyncio.get_running_loop().time()
        assert await here.ask("migrate", uri="unix:/run/door") == {}
        ended = await here.until("MIGRATION", status="completed")
        assert (await there.ask("query-status"))["status"] == "running"
        assert (await here.ask("query-status"))["status"] == "postmigrate"
        return ended - begun, await here.ask("query-migrate"), here.told + there.told

    took, report, told = run(main())
    sent = report["ram"]["transferred"] / (10 * GIB)
    assert took == pytest.approx(sent, rel=0.05)  # looking through zero pages costs the rest
    assert took >= sent
    assert report["total-time"] == pytest.approx(took * 1000, abs=15)
    assert run(main()) == (took, report, told)


def test_a_guest_that_writes_faster_than_the_link_comes_when_it_is_held_back() -> None:
    async def main(*names: str) -> tuple[str, list[int], float, bytes]:
        words = {"used": "1TiB", "working_set": "64GiB", "dirty": "20GiB/s", "bandwidth": "10GiB/s"}
        host = Host(migration=words)
        here, there = await pair(host, "12T")
        assert await here.ask("migrate-set-parameters", max_bandwidth=10 * GIB) == {}
        await capable(here, *names)
        assert await here.ask("migrate", uri="unix:/run/door") == {}
        throttled: list[int] = []
        loop = asyncio.get_running_loop()
        end = loop.time() + HOUR
        report = await here.ask("query-migrate")
        while report["status"] != "completed" and loop.time() < end:
            await asyncio.sleep(10)
            report = await here.ask("query-migrate")
            throttled.append(report.get("cpu-throttle-percentage", 0))
        if report["status"] != "completed":
            assert await here.ask("migrate_cancel") == {}
            await here.until("MIGRATION", status="cancelled")
            assert (await here.ask("query-status"))["status"] == "running"
            await host.processes["there"].wait()
        return report["status"], throttled, loop.time(), here.told + there.told

    stubborn = run(main())
    assert stubborn[0] == "active"
    assert not any(stubborn[1])
    mended = run(main("auto-converge"))
    assert mended[0] == "completed"
    assert max(mended[1]) >= 50
    assert mended[2] < HOUR
    assert run(main("auto-converge")) == mended


@pytest.mark.parametrize("victim", ["here", "there"])
@pytest.mark.parametrize("after", [0.0, 0.001, 0.5, 5.0, 9.9, 10.1])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_whoever_is_hit_at_whatever_time_there_is_one_guest_at_most(
    victim: str, after: float, number: signal.Signals
) -> None:
    async def main() -> list[str]:
        host = Host(migration={"used": "10GiB", "bandwidth": "1GiB/s"})
        here, there = await pair(host, "16G")
        assert await here.ask("migrate-set-parameters", max_bandwidth=GIB) == {}
        assert await here.ask("migrate", uri="unix:/run/door") == {}
        await asyncio.sleep(after)
        host.processes[victim].signal(number)
        await asyncio.sleep(60)
        if number == signal.SIGSTOP:
            host.processes[victim].signal(signal.SIGCONT)
            await asyncio.sleep(60)
        states = []
        for peer in (here, there):
            if not peer.lost.is_set():
                states.append((await peer.ask("query-status"))["status"])
        return states

    states = run(main())
    assert states.count("running") <= 1, states
    if number == signal.SIGSTOP:
        assert states == ["postmigrate", "running"]
    elif victim == "there":
        assert states in (["running"], ["postmigrate"])
        assert states == ["running"] or after > 10
    else:
        assert states in ([], ["running"])
        assert states == [] or after > 10


def test_a_copy_keeps_to_its_limit_and_moves_the_bytes() -> None:
    raw = {"driver": "raw", "file": {"driver": "file"}}

    async def main() -> tuple[list[tuple[float, str, dict[str, Any]]], bytes]:
        host = Host(jobs={"rate": "64MiB/s"}, images="real")
        files = net_of(asyncio.get_running_loop()).files
        written = bytes(range(256)) * (8 * MIB // 256)
        files.write_atomic("/run/a", written)
        files.write_atomic("/run/b", bytes(8 * MIB))
        peer = await host.start("vm", "-S")
        disk = host.processes["vm"].host
        for name in "ab":
            options = {**raw, "node-name": name, "file": {"driver": "file", "filename": f"/run/{name}"}}
            assert await peer.ask("blockdev-add", **options) == {}
        copy = {"job_id": "j", "device": "a", "target": "b", "sync": "full", "speed": MIB}
        assert await peer.ask("blockdev-backup", **copy) == {}
        await asyncio.sleep(3.5)
        host.processes["vm"].signal(signal.SIGSTOP)
        await asyncio.sleep(HOUR)
        half = disk.read("/run/b", 0, 8 * MIB)
        assert half not in (written, bytes(8 * MIB))
        host.processes["vm"].signal(signal.SIGCONT)
        await peer.until("JOB_STATUS_CHANGE", status="null")
        assert disk.read("/run/b", 0, 8 * MIB) == written
        return peer.events, peer.told

    first = run(main())
    assert run(main()) == first


def test_watchers_of_time_are_exact() -> None:
    async def main() -> tuple[dict[str, Any], bytes]:
        host = Host(migration={"used": "1GiB", "dirty": "100MiB/s"})
        peer = await host.start("vm", "-m", "2048", "-device", "virtio-balloon-pci,id=b")
        assert await peer.ask("calc-dirty-rate", calc_time=10) == {}
        await asyncio.sleep(9.999)
        assert (await peer.ask("query-dirty-rate"))["status"] == "measuring"
        await asyncio.sleep(0.002)
        rate = await peer.ask("query-dirty-rate")
        path = {"path": "/machine/peripheral/b", "property": "guest-stats-polling-interval"}
        assert await peer.ask("qom-set", **path, value=5) == {}
        stats: list[Any] = []
        for _ in range(3):
            await asyncio.sleep(5)
            stats.append(await peer.ask("qom-get", path=path["path"], property="guest-stats"))
        moments = [one["last-update"] for one in stats]
        assert [late - soon for soon, late in pairwise(moments)] == [5, 5]
        return {"rate": rate, "stats": stats}, peer.told

    first = run(main())
    assert first[0]["rate"]["dirty-rate"] == 100
    assert run(main()) == first
