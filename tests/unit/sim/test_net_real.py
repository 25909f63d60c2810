"""The kernel's sockets behind the net's interface, on an ordinary loop and with what only they have."""

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from virtsim.sim.loop import run
from virtsim.sim.net import RealNet, net_of


class Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


def test_it_serves_one_client_after_another_on_an_ordinary_loop(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"

    async def main() -> list[bytes]:
        server = net_of(asyncio.get_running_loop()).bind(path)
        server.listen(1)
        said = []
        for word in (b"one", b"two"):
            server.accept_one(Echo)
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(word)
            said.append(await reader.read(3))
            writer.close()
            await writer.wait_closed()
        server.close()
        assert server.path is None
        server.close()
        return said

    assert asyncio.run(main()) == [b"ONE", b"TWO"]


def test_two_that_are_awaited_are_both_served(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"

    async def main() -> None:
        server = RealNet().bind(path)
        server.listen(3)
        for _ in range(2):
            server.accept_one(Echo)
        streams = [await asyncio.open_unix_connection(path) for _ in range(2)]
        for reader, writer in streams:
            writer.write(b"x")
            assert await reader.read(1) == b"X"
            writer.close()
            await writer.wait_closed()
        server.close()

    asyncio.run(main())


def test_modes_observers_and_unlinking(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"
    net = RealNet()
    seen: list[tuple[str, str]] = []
    net.observe(lambda path, what: seen.append((Path(path).name, what)))
    server = net.bind(path, mode=0o600)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    server.listen(1)
    server.close()
    net.unlink(path)
    assert seen == [("s", "bound"), ("s", "listening"), ("s", "closed"), ("s", "unlinked")]


def test_a_listener_closed_before_anybody_came_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        server = RealNet().bind(f"{tmp_path}/s")
        server.listen(1)
        server.accept_one(Echo)
        server.close()
        await asyncio.sleep(0)

    asyncio.run(main(), debug=True)


def test_a_descriptor_that_is_no_socket_is_refused() -> None:
    with pytest.raises(OSError):
        RealNet().adopt(2_000_000)


@pytest.mark.parametrize("path_type", [str, os.fsencode, Path])
def test_paths_may_be_of_any_kind(path_type: Any, tmp_path: Path) -> None:
    async def main(path: str) -> bytes:
        server = await asyncio.start_unix_server(serve, path_type(path))
        reader, writer = await asyncio.open_unix_connection(path_type(path))
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return data

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    assert run(main("/s")) == b"hello"
    assert run(main(f"{tmp_path}/s"), net="real") == b"hello"


def test_a_file_in_the_way_of_a_server_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"mine")

    async def main(where: str) -> None:
        with pytest.raises(OSError, match="in use"):
            await asyncio.start_unix_server(print, where)

    run(main(str(path)), net="real")
    assert path.read_bytes() == b"mine"
