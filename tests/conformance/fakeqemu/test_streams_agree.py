# ruff: noqa: ASYNC110  (what is waited for happens in another process)
"""What a driver opens for its machine behaves the same in a process and in the loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.helpers import driver_probe
from virtsim.host.launcher import LocalLauncher
from virtsim.host.sockets import connect_unix
from virtsim.sim.launcher import SimLauncher
from virtsim.sim.loop import run
from virtsim.sim.net import net_of

PROBE = str(Path(driver_probe.__file__))
QEMU = "/usr/bin/qemu-system-x86_64"


class Peer(asyncio.Protocol):
    """A client that keeps what it hears."""

    def __init__(self):
        self.heard = bytearray()
        self.transport = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.heard += data

    def connection_lost(self, _):
        self.lost.set_result(None)

    async def until(self, number):
        async with asyncio.timeout(20):
            while len(self.heard) < number:
                await asyncio.sleep(0.002)
        return bytes(self.heard)


class Side:
    """One driver: where its machine runs, and how a client gets at it."""

    async def client(self, name="door"):
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    peer = (await connect_unix(Peer, f"{self.directory}/{name}"))[1]
                    self.peers.append(peer)
                    return peer
                await asyncio.sleep(0.002)

    async def logged(self, words):
        async with asyncio.timeout(20):
            while words not in self.log():
                await asyncio.sleep(0.002)

    async def play(self, deed):
        process = await self.launcher.spawn(
            [
                *self.program,
                "-S",
                "-name",
                deed,
                "-chardev",
                "null,id=f",
                "-qmp",
                f"unix:{self.directory}/m,server=on,wait=off",
            ],
            log=f"{self.directory}/log",
        )
        heard = await PEERS[deed](self)
        process.signal(signal.SIGKILL)
        await process.wait()
        await self.launcher.aclose()
        for peer in self.peers:
            peer.transport.abort()
            await peer.lost
        words = self.log().replace(self.directory, "@")
        return heard, sorted(re.sub(r"/dev/pts/\d+", "/dev/pts/N", words).splitlines())


class InProcess(Side):
    def __init__(self, directory, port):
        self.peers = []
        self.directory = str(directory)
        self.launcher = LocalLauncher(env={"PROBE_PORT": str(port)})
        self.program = [sys.executable, PROBE, QEMU]

    def log(self):
        return (Path(self.directory) / "log").read_text()

    async def terminal(self):
        await self.logged("terminal")
        name = re.search(r"/dev/pts/\d+", self.log())[0]
        return Terminal(os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))

    def stream(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        return theirs, Terminal(ours.detach())

    @staticmethod
    def hand(peer, stream):
        sock = peer.transport.get_extra_info("socket")
        socket.send_fds(sock._sock, [b"take this"], [stream.fileno()])
        stream.close()

    def content(self, name):
        return (Path(self.directory) / name).read_bytes()


class InLoop(Side):
    def __init__(self):
        self.peers = []
        self.net = net_of(asyncio.get_running_loop())
        self.net.files.make_dirs("/run")
        self.directory = "/run"
        self.launcher = SimLauncher(script_for=lambda _argv: None, seed="0", files=self.net.files)
        self.program = [QEMU]

    def log(self):
        return self.net.files.read("/run/log").decode()

    async def terminal(self):
        await self.logged("terminal")
        name = re.search(r"/dev/pts/\d+", self.log())[0]
        return (await connect_unix(Peer, name))[1]

    def stream(self):
        fd, near = self.net.stream_pair()
        peer = Peer()
        near.attach(peer)
        return fd, peer

    @staticmethod
    def hand(peer, stream):
        peer.transport.send_fds(b"take this", [stream])

    def content(self, name):
        return self.net.files.read(f"/run/{name}")


class Terminal:
    """A descriptor that is written to and read from as a peer is."""

    def __init__(self, fd):
        self.fd, self.heard, self.transport = fd, bytearray(), self

    def write(self, data):
        os.write(self.fd, data)

    def close(self):
        os.close(self.fd)

    async def until(self, number):
        async with asyncio.timeout(20):
            while len(self.heard) < number:
                with contextlib.suppress(BlockingIOError):
                    self.heard += os.read(self.fd, 4096)
                await asyncio.sleep(0.002)
        return bytes(self.heard)


async def a_terminal(side):
    heard = []
    for words in (b"typed", b"again"):
        terminal = await side.terminal()
        terminal.transport.write(words)
        heard.append(await terminal.until(5))
        terminal.transport.close()
        await asyncio.sleep(0.02)
    return heard


async def a_door(side):
    heard = []
    for words in (b"first", b"second"):
        peer = await side.client()
        peer.transport.write(words)
        heard.append(await peer.until(len(words)))
        peer.transport.close()
    await side.logged("door: closed after 6")
    return heard


async def a_slow_reader(side):
    peer = await side.client()
    peer.transport.pause_reading()
    await asyncio.sleep(0.05)
    before = "drained" in side.log()
    peer.transport.resume_reading()
    heard = await peer.until(3_000_000)
    await side.logged("drained")
    return before, len(heard)


async def what_is_given(side):
    peer = await side.client()
    stream, ours = side.stream()
    side.hand(peer, stream)
    heard = [await ours.until(5)]
    ours.transport.write(b" there")
    heard.append(await ours.until(11))
    ours.transport.close()
    await side.logged("stream: closed")
    return heard


async def the_deaf(side):
    peer = await side.client()
    await asyncio.sleep(0.04)
    peer.transport.write(b"who listens?.")
    await side.logged("received")
    return side.log().index("still deaf") < side.log().index("received")


async def a_file(side):
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(FileNotFoundError):
                if side.content("f") == b"one two":
                    return side.content("f")
            await asyncio.sleep(0.002)


def nothing_but(*words):
    async def wait(side):
        for word in words:
            await side.logged(word)

    return wait


PEERS = {
    "pty": a_terminal,
    "door": a_door,
    "slow_reader": a_slow_reader,
    "refused": nothing_but("door:", "nowhere:", "no fd:"),
    "itself": nothing_but("caller: closed", "door: closed"),
    "tcp": nothing_but("caller: closed", "door: closed", "nobody:"),
    "paced": nothing_but("halfway", "caller: drained", "caller: closed", "door: closed"),
    "deaf": the_deaf,
    "file": a_file,
    "adopted": what_is_given,
}


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.mark.parametrize("deed", driver_probe.DEEDS)
def test_the_drivers_agree_about_streams(deed, tmp_path, monkeypatch):
    port = free_port()

    async def as_process():
        return await InProcess(tmp_path, port).play(deed)

    async def as_task():
        return await InLoop().play(deed)

    process = asyncio.run(as_process())
    driver_probe.install(monkeypatch.setattr, port)
    assert process == run(as_task())
    assert any(process)
