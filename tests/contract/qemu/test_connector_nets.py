"""The connector does the same on sockets in memory and on the kernel's, and works on the real clock too."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.helpers.monitors import World
from virtsim.errors import HostError, VirtsimError
from virtsim.host.sockets import listen_unix
from virtsim.qemu.connector import open_monitor
from virtsim.qemu.schedules import GuestSize, policy
from virtsim.sim.loop import run

SMALL = GuestSize(512 * 1024)


def late(world, path):
    world.after(20, lambda: world.serve(path))


def stale(world, path):
    server = world.serve(path, listen=False)
    world.after(700, lambda: world.listen(server))


def dead(world, path):
    world.after(300, world.process.end)


def crowded(world, path):
    """Three clients are there already: one served, two queued; the next one has to wait (EAGAIN)."""

    async def fill():
        loop = asyncio.get_running_loop()
        server = world.net.bind(path)
        world.servers.append(server)
        server.listen(1)
        for _ in range(2):
            transport, _ = await loop.create_unix_connection(asyncio.Protocol, path)
            world.transports.append(transport)
        world.after(100, lambda: [world.accept(server) for _ in range(3)])

    world.filling = asyncio.get_running_loop().create_task(fill())


def never(world, path):
    """Nothing happens."""


SCENES = [
    ("backoff-adaptive", late, False),
    ("backoff-adaptive", stale, False),
    ("backoff-adaptive", dead, False),
    ("backoff-adaptive", crowded, False),
    ("backoff-uncapped", never, False),
    ("poll200", late, False),
    ("fdpass", late, True),
    ("eventful", late, True),
    ("eventful", never, True),
    ("eventful", dead, True),
]


async def play(name, arrange, hand_in, path):
    world = World()
    world.transports = []
    if hand_in:
        listener = listen_unix(path)
        adopted = world.net.adopt(listener.fd)
        world.servers.append(adopted)
        world.serve = lambda path: world.accept(adopted)
    else:
        listener = None
    arrange(world, path)
    try:
        monitor = await open_monitor(
            world.context,
            actor="vm",
            policy=policy(name) if name == "fdpass" else policy(name, 2000),
            guest=SMALL,
            path=path,
            listener=listener,
            process=world.process,
            monitor_factory=world.monitor,
        )
        assert await monitor.execute("qmp_capabilities") == {}
        monitor.close()
    except VirtsimError as error:
        world.context.note("host", "run", op="error", detail=str(error))
    world.close()
    for transport in world.transports:
        transport.abort()
    await asyncio.sleep(0.001)
    return [
        {field: value for field, value in record.items() if field != "path"}
        for record in world.journal.records
    ]


@pytest.mark.parametrize(("name", "arrange", "hand_in"), SCENES)
def test_both_nets_give_one_journal(name, arrange, hand_in, tmp_path) -> None:
    memory = run(play(name, arrange, hand_in, "/run/monitor.sock"))
    real = run(play(name, arrange, hand_in, str(tmp_path / "m.sock")), net="real")

    assert memory == real


@pytest.mark.parametrize("policy_name", ["backoff-adaptive", "eventful"])
def test_a_full_backlog_is_waited_out(policy_name: str, tmp_path) -> None:
    journal = run(play(policy_name, crowded, False, "/run/monitor.sock"))

    assert [record["errno"] for record in journal if record["kind"] == "attempt"][-1] is None
    assert 100 <= next(r["t"] for r in journal if r["kind"] == "wait.end") / 1e6 <= 2000


@pytest.mark.parametrize("name", ["poll200", "backoff-adaptive", "eventful"])
def test_the_real_clock_meets_the_socket(name: str, tmp_path) -> None:
    path = str(tmp_path / "m.sock")
    records = asyncio.run(play(name, late, False, path))
    end = next(record for record in records if record["kind"] == "wait.end")
    begin = next(record for record in records if record["kind"] == "wait.begin")

    assert end["outcome"] == "greeted"
    assert 20 <= (end["t"] - begin["t"]) / 1e6 < 2000


@pytest.mark.parametrize("name", ["poll200", "backoff-uncapped", "backoff-adaptive"])
def test_the_real_clock_keeps_the_limit(name: str, tmp_path) -> None:
    async def main() -> tuple[float, int]:
        world = World()
        begin = asyncio.get_running_loop().time()
        with pytest.raises(HostError, match="monitor socket did not show up: No such file or directory"):
            await open_monitor(
                world.context,
                actor="vm",
                policy=policy(name, 150),
                guest=SMALL,
                path=str(tmp_path / "m.sock"),
                listener=None,
                process=world.process,
                monitor_factory=partial(pytest.fail, "connected to nothing"),
            )
        return asyncio.get_running_loop().time() - begin, len(world.noted("attempt", "n"))

    elapsed_s, tries = asyncio.run(main())

    assert 0.15 <= elapsed_s < 1.0
    assert tries <= 9
