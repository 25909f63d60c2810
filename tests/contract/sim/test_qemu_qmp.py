"""The PyPI client ``qemu.qmp`` runs on the virtual loop unchanged, on both nets."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp import ConnectError, ExecuteError, QMPClient

from virtsim.sim.loop import VirtualLoop, run

GREETING = {
    "QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": ["oob"]}
}


class Server(asyncio.Protocol):
    """Enough of QEMU's monitor; reads a stream of JSON, because this client sends no newlines."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.text = ""
        self.say(GREETING)

    def say(self, message: dict[str, Any]) -> None:
        self.transport.write(json.dumps(message).encode() + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self.text = (self.text + data.decode()).lstrip()
        while self.text:
            command, end = json.JSONDecoder().raw_decode(self.text)
            self.text = self.text[end:].lstrip()
            name, number = command["execute"], command.get("id")
            reply: dict[str, Any] = {"return": {"status": "running"} if name == "query-status" else {}}
            if name == "nonsense":
                reply = {
                    "error": {"class": "CommandNotFound", "desc": "The command nonsense has not been found"}
                }
            if number is not None:
                reply["id"] = number
            asyncio.get_running_loop().call_later(0.5, self.answer, name, reply)

    def answer(self, name: str, reply: dict[str, Any]) -> None:
        if name == "stop":
            self.say({"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 0}})
        self.say(reply)
        if name == "quit":
            self.transport.close()


async def talk(path: str) -> list[Any]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    trace: list[Any] = []
    client = QMPClient("guest")
    with pytest.raises(ConnectError):
        await client.connect(path)
    server = loop.net.bind(path)
    server.listen(1)
    server.accept_one(Server)
    await client.connect(path)
    trace.append((loop.time(), client.greeting is not None))
    trace.append((await client.execute("query-status"), loop.time()))
    with pytest.raises(ExecuteError, match="has not been found"):
        await client.execute("nonsense")
    await client.execute("stop")
    trace.append(((await client.events.get())["event"], loop.time()))
    trace.append((await asyncio.gather(*(client.execute("query-status") for _ in range(3))), loop.time()))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.execute("cont"), 0.25)
    await asyncio.sleep(1)
    await client.execute("quit")
    with pytest.raises(EOFError):
        await client.disconnect()
    trace.append(loop.time())
    server.close()
    return trace


def test_qemu_qmp_on_both_nets(tmp_path: Path) -> None:
    play: Callable[[str], Awaitable[list[Any]]] = talk
    memory = run(play("/monitor"))  # type: ignore[arg-type]
    assert memory[-1] == 4.25
    assert run(play(f"{tmp_path}/monitor"), net="real") == memory  # type: ignore[arg-type]
