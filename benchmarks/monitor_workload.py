# ruff: noqa: D102  (protocols: asyncio says what their methods are for)
"""How much CPU one simulated domain costs: the monitor workload on virtsim and on its peers.

One domain is: spawn the fake; it binds its socket after D (1 ms to 105 s, log-uniform); the client naps 1, 2,
4 ... 512, 1024, 1000, 1000 ... ms and tries to connect after each nap; greeting; qmp_capabilities; 20
commands; quit; SHUTDOWN event; exit status. All domains start at once. Every peer takes the same steps with
the same codec (the standard library's json); the peers read replies in lock-step, without a reader beside,
and so do a little less than virtsim.

Rounds are interleaved, and ``/virtsim`` is the median of each round's ratio: on a noisy machine ratios within
a round are what to trust. ``wrong`` counts domains whose socket was met at another time than the schedule
says.

    python benchmarks/monitor_workload.py [--count 1000] [--rounds 5] [--json FILE] [--peers virtsim,trio]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import math
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Run as a script from a checkout or with the package installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

GREETING = {
    "QMP": {
        "version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2+dfsg-7"},
        "capabilities": ["oob"],
    }
}
STATUS = {"status": "running", "singlestep": False, "running": True}
CPUS = [
    {"cpu-index": n, "qom-path": f"/machine/unattached/device[{n}]", "thread-id": 900 + n} for n in range(2)
]
#: The conversation after the handshake: requests of 35 bytes and replies of 145 bytes on average.
COMMANDS: list[tuple[str, dict[str, Any] | None, Any]] = [
    *[("query-status", None, STATUS)] * 8,
    ("query-cpus-fast", None, CPUS),
    ("qom-list", {"path": "/machine"}, [{"name": f"child{n}", "type": "child<device>"} for n in range(6)]),
    *[("query-balloon", None, {"actual": 4294967296})] * 4,
    ("query-chardev", None, [{"frontend-open": True, "filename": "unix", "label": "charmonitor"}] * 2),
    *[("qom-get", {"path": "/machine", "property": "type"}, "pc-i440fx-7.2-machine")] * 3,
    ("query-version", None, GREETING["QMP"]["version"]),
    ("cont", None, {}),
]
REPLIES = {name: reply for name, _, reply in COMMANDS} | {"qmp_capabilities": {}, "quit": {}}


def encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\r\n"


def naps() -> Iterator[float]:
    """Seconds, as libvirt's virTimeBackOffWait sleeps: doubled up to a second, then a second each."""
    nap = 1
    while True:
        yield nap / 1000
        nap = nap * 2 if nap < 1000 else 1000


def met_at(ready: float) -> float:
    """When the schedule first tries a socket that is there after ``ready`` seconds."""
    at = 0
    for nap in naps():
        at += round(nap * 1000)
        if at >= ready * 1000:
            return at / 1000
    raise AssertionError


def request(number: int, name: str, arguments: dict[str, Any] | None) -> bytes:
    message: dict[str, Any] = {"execute": name, "id": f"libvirt-{number}"}
    if arguments is not None:
        message["arguments"] = arguments
    return encode(message)


def answer(line: bytes) -> tuple[bytes, bool]:
    """What the fake says to one line, and whether it goes away after that."""
    message = json.loads(line.decode())
    name = message["execute"]
    data = encode({"return": REPLIES[name], "id": message["id"]})
    if name != "quit":
        return data, False
    event = {"event": "SHUTDOWN", "data": {"guest": False, "reason": "host-qmp-quit"}}
    return data + encode({**event, "timestamp": {"seconds": 1, "microseconds": 0}}), True


def conversation() -> Iterator[bytes]:
    script: list[tuple[str, Any]] = [
        ("qmp_capabilities", None),
        *[(n, a) for n, a, _ in COMMANDS],
        ("quit", None),
    ]
    for number, (name, arguments) in enumerate(script, 1):
        yield request(number, name, arguments)


# -- virtsim: protocols on the virtual loop, memory net


class FakeProtocol(asyncio.Protocol):
    """The fake's side of a connection."""

    def __init__(self, gone: asyncio.Future[int]) -> None:
        self.gone = gone
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(encode(GREETING))

    def data_received(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            reply, last = answer(line)
            self.transport.write(reply)
            if last:
                self.transport.close()
                self.gone.set_result(0)


class ClientProtocol(asyncio.Protocol):
    """The client's side: one command outstanding, events kept."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.events: list[str] = []
        self.buffer = b""
        self.greeting = self.loop.create_future()
        self.closed = self.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            message = json.loads(line.decode())
            if "event" in message:
                self.events.append(message["event"])
            elif "QMP" in message:
                self.greeting.set_result(message)
            else:
                self.reply.set_result(message)

    def connection_lost(self, _: Exception | None) -> None:
        self.closed.set_result(None)

    def execute(self, data: bytes) -> asyncio.Future[Any]:
        self.reply: asyncio.Future[Any] = self.loop.create_future()
        self.transport.write(data)
        return self.reply


def virtsim_peer(delays: list[float]) -> list[float]:
    from virtsim.sim.loop import run

    async def fake(path: str, delay: float, gone: asyncio.Future[int]) -> None:
        await asyncio.sleep(delay)
        loop: Any = asyncio.get_running_loop()
        server = loop.net.bind(path)
        server.listen(1)
        server.accept_one(lambda: FakeProtocol(gone))
        await gone
        server.close()

    async def domain(number: int, delay: float) -> float:
        loop = asyncio.get_running_loop()
        path = f"/{number}"
        gone: asyncio.Future[int] = loop.create_future()
        process = loop.create_task(fake(path, delay, gone))
        for nap in naps():
            await asyncio.sleep(nap)
            try:
                _, client = await loop.create_unix_connection(ClientProtocol, path)
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            break
        up = loop.time()
        await client.greeting
        for data in conversation():
            await client.execute(data)
        await client.closed
        assert client.events == ["SHUTDOWN"]
        assert await gone == 0
        await process
        return up

    async def main() -> list[float]:
        return await asyncio.gather(*(domain(n, delay) for n, delay in enumerate(delays)))

    return run(main())


# -- the same with virtsim's own monitor and fakeqemu, as a run of scenarios has them


def full_peer(delays: list[float]) -> list[float]:
    from fakeqemu.scripts.script import Script
    from virtsim.host.chance import SeededChance
    from virtsim.host.clock import SystemClock
    from virtsim.host.context import Context
    from virtsim.qemu.monitor import Monitor
    from virtsim.sim.launcher import SimLauncher
    from virtsim.sim.loop import run

    # As fakeqemu.scripts.grammar.compile_rules() makes them of {at: start, socket: {delay: ...}}.
    scripts = [
        Script.from_compiled(
            {
                "version": 1,
                "start": {"socket": {"delay": round(delay * 1e9)}, "rules": {"socket": "rule 1"}},
                "timed": [],
                "on": [],
            }
        )
        for delay in delays
    ]

    async def domain(number: int, context: Context) -> float:
        loop = asyncio.get_running_loop()
        path = f"/{number}"
        argv = [
            "/usr/bin/qemu-system-x86_64", "-name", f"guest={number}", "-S", "-no-user-config", "-nodefaults",
            "-chardev", f"socket,id=charmonitor,path={path},server=on,wait=off",
            "-mon", "chardev=charmonitor,id=monitor,mode=control",
        ]  # fmt: skip
        process = await context.launcher.spawn(argv, log="/log")
        events: list[str] = []
        for nap in naps():
            await asyncio.sleep(nap)
            try:
                _, monitor = await loop.create_unix_connection(
                    lambda: Monitor(context, str(number), on_event=lambda name, *_: events.append(name)), path
                )
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            break
        up = loop.time()
        await monitor.wait_greeting()
        await monitor.execute("qmp_capabilities")
        for _ in range(20):
            await monitor.execute("query-status")
        await monitor.execute("quit")
        status = await process.wait()
        assert (status.code, events) == (0, ["SHUTDOWN"])
        monitor.close()
        return up

    async def main() -> list[float]:
        loop: Any = asyncio.get_running_loop()
        launcher = SimLauncher(
            script_for=lambda argv: scripts[int(argv[2].partition("=")[2])], seed="1", files=loop.net.files
        )
        context = Context(launcher, loop.net.files, SystemClock(), SeededChance("1"), "/")
        return await asyncio.gather(*(domain(number, context) for number in range(len(delays))))

    return run(main())


# -- simpy: generators and stores, no transports


def simpy_peer(delays: list[float]) -> list[float]:  # noqa: C901  (two processes in one)
    import simpy

    env = simpy.Environment()
    sockets: dict[int, Any] = {}

    def fake(number: int, delay: float) -> Any:
        yield env.timeout(delay)
        to_fake, to_client = simpy.Store(env), simpy.Store(env)
        sockets[number] = (to_fake, to_client)
        yield to_client.put(encode(GREETING))
        buffer = b""
        while True:
            buffer += yield to_fake.get()
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                data, last = answer(line)
                yield to_client.put(data)
                if last:
                    del sockets[number]
                    return 0

    def domain(number: int, delay: float, ups: list[float]) -> Any:
        process = env.process(fake(number, delay))
        for nap in naps():
            yield env.timeout(nap)
            try:
                to_fake, to_client = sockets[number]
            except KeyError:
                continue
            break
        ups[number] = env.now
        buffer = yield to_client.get()
        json.loads(buffer.decode())
        buffer = b""
        for data in conversation():
            yield to_fake.put(data)
            while b"\n" not in buffer:
                buffer += yield to_client.get()
            line, buffer = buffer.split(b"\n", 1)
            json.loads(line.decode())
        assert json.loads(buffer.decode())["event"] == "SHUTDOWN"
        status = yield process
        assert status == 0

    ups = [0.0] * len(delays)
    for number, delay in enumerate(delays):
        env.process(domain(number, delay, ups))
    env.run()
    return ups


# -- trio: MockClock with automatic jumps, streams in memory


class _TrioLines:
    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.buffer = b""

    async def line(self) -> bytes:
        while b"\n" not in self.buffer:
            data = await self.stream.receive_some()
            if not data:
                return b""
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line


def trio_peer(delays: list[float]) -> list[float]:
    import trio
    import trio.testing

    sockets: dict[int, Any] = {}
    ups = [0.0] * len(delays)

    async def fake(number: int, delay: float, gone: Any) -> None:
        await trio.sleep(delay)
        client, server = trio.testing.memory_stream_pair()
        sockets[number] = client
        lines = _TrioLines(server)
        await server.send_all(encode(GREETING))
        last = False
        while not last:
            data, last = answer(await lines.line())
            await server.send_all(data)
        await server.aclose()
        del sockets[number]
        gone.set()

    async def domain(number: int, delay: float, nursery: Any) -> None:
        gone = trio.Event()
        nursery.start_soon(fake, number, delay, gone)
        for nap in naps():
            await trio.sleep(nap)
            try:
                stream = sockets[number]
            except KeyError:
                continue
            break
        ups[number] = trio.current_time()
        lines = _TrioLines(stream)
        json.loads((await lines.line()).decode())
        for data in conversation():
            await stream.send_all(data)
            json.loads((await lines.line()).decode())
        assert json.loads((await lines.line()).decode())["event"] == "SHUTDOWN"
        assert await lines.line() == b""
        await gone.wait()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number, delay in enumerate(delays):
                nursery.start_soon(domain, number, delay, nursery)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return ups


# -- looptime: an ordinary asyncio loop with compacted time, real Unix sockets


def looptime_peer(delays: list[float]) -> list[float]:
    import looptime

    async def fake(path: str, delay: float, gone: asyncio.Future[int]) -> None:
        await asyncio.sleep(delay)

        async def serve(reader: Any, writer: Any) -> None:
            writer.write(encode(GREETING))
            last = False
            while not last:
                data, last = answer(await reader.readline())
                writer.write(data)
            writer.close()
            gone.set_result(0)

        server = await asyncio.start_unix_server(serve, path, backlog=1)
        await gone
        server.close()
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()  # noqa: ASYNC240

    async def domain(path: str, delay: float) -> float:
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[int] = loop.create_future()
        process = loop.create_task(fake(path, delay, gone))
        for nap in naps():
            await asyncio.sleep(nap)
            try:
                reader, writer = await asyncio.open_unix_connection(path)
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            break
        up = loop.time()
        json.loads((await reader.readline()).decode())
        for data in conversation():
            writer.write(data)
            json.loads((await reader.readline()).decode())
        assert json.loads((await reader.readline()).decode())["event"] == "SHUTDOWN"
        assert await reader.read() == b""
        writer.close()
        assert await gone == 0
        await process
        return up

    async def main(directory: str) -> list[float]:
        return await asyncio.gather(*(domain(f"{directory}/{n}", delay) for n, delay in enumerate(delays)))

    shm = Path("/dev/shm")  # sockets on a disk would cost 0.5 ms a domain
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as directory:
        # noop_cycles=0 is the quickest setting; the default turns the loop 42 times before each jump.
        loop = looptime.new_event_loop(noop_cycles=0)
        try:
            return loop.run_until_complete(main(directory))
        finally:
            loop.close()


PEERS: dict[str, tuple[str, Callable[[list[float]], list[float]], int]] = {
    # name: what it is, how it runs, most domains at once (descriptors)
    "virtsim": ("virtual loop, memory net, protocols", virtsim_peer, 1 << 30),
    "full": ("virtsim's monitor and fakeqemu", full_peer, 1 << 30),
    "simpy": ("simpy, stores, no transports", simpy_peer, 1 << 30),
    "trio": ("trio MockClock, memory streams", trio_peer, 1 << 30),
    "looptime": ("looptime, real Unix sockets", looptime_peer, 300),
}


def measure(peer: Callable[[list[float]], list[float]], delays: list[float]) -> tuple[float, int]:
    """CPU microseconds for each domain, and how many were met at a wrong time."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        began = time.process_time()
        ups = peer(delays)
        took = time.process_time() - began
    finally:
        gc.enable()
        gc.unfreeze()
    wrong = sum(abs(up - met_at(delay)) > 1e-6 for up, delay in zip(ups, delays, strict=True))
    return took / len(delays) * 1e6, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="domains at once")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; the median counts")
    parser.add_argument("--peers", default=",".join(PEERS), help="which, separated by commas")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    # D in whole microseconds: looptime's clock is no finer.
    draw = random.Random("monitor-workload/1")
    delays = [round(0.001 * 105_000 ** draw.random(), 6) for _ in range(options.count)]

    names = options.peers.split(",")
    times: dict[str, list[float]] = {name: [] for name in names}
    wrongs: dict[str, int] = dict.fromkeys(names, 0)
    for name in names:
        measure(PEERS[name][1], delays[:20])  # warm up: imports, caches
    for _, name in itertools.product(range(options.rounds), names):
        _, peer, most = PEERS[name]
        took, wrong = measure(peer, delays[:most])
        times[name].append(took)
        wrongs[name] += wrong

    ratios = {}
    if "virtsim" in times:
        for name in names:
            pairs = zip(times[name], times["virtsim"], strict=True)
            ratios[name] = statistics.median(theirs / ours for theirs, ours in pairs)
    medians = {name: statistics.median(times[name]) for name in names}
    print(f"Python {platform.python_version()}, {options.count} domains, median of {options.rounds} rounds")
    print(f"{'':10} {'':38} {'us/domain':>10} {'best':>8} {'/virtsim':>9} {'wrong':>6}")
    for name in names:
        row = f"{name:10} {PEERS[name][0]:38} {medians[name]:10.0f} {min(times[name]):8.0f}"
        print(f"{row} {ratios.get(name, math.nan):9.2f} {wrongs[name]:6}")
    if options.json:
        figures = {
            "schema": "virtsim/benchmark-monitor@1",
            "python": platform.python_version(),
            "count": options.count,
            "rounds": options.rounds,
            "us_per_domain": {name: {"median": medians[name], "all": times[name]} for name in names},
            "ratio_to_virtsim": ratios,
            "wrong": wrongs,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
