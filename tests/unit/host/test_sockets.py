"""listen_unix and connect_unix with real sockets on an ordinary loop, and the door to a loop's own net."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from virtsim.errors import InternalError
from virtsim.host import sockets as module
from virtsim.host.sockets import MAX_SOCKET_PATH, connect_unix, listen_unix


class Client(asyncio.Protocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def data_received(self, data: bytes) -> None:
        self.received.put_nowait(data)


@pytest.fixture(autouse=True)
def no_descriptor_stays() -> Iterator[None]:
    before = sorted(each.name for each in Path("/proc/self/fd").iterdir())
    yield
    assert sorted(each.name for each in Path("/proc/self/fd").iterdir()) == before


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "sock")


def run(case: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await case()
            await asyncio.sleep(0)  # closed transports give back their sockets in the next turn

    asyncio.run(main())


def test_bytes_pass_both_ways(path: str) -> None:
    async def case() -> None:
        listener = listen_unix(path)
        transport, client = await connect_unix(Client, path)
        with socket.socket(fileno=os.dup(listener.fd)) as server:
            peer, _ = server.accept()
        with peer:
            peer.sendall(b"greeting")
            assert await client.received.get() == b"greeting"
            transport.write(b"command")
            assert peer.recv(100) == b"command"
        transport.close()
        listener.close()
        listener.close()

    run(case)


def test_a_listener_is_private_kept_from_children_and_leaves_its_file(path: str) -> None:
    umask = os.umask(0)
    try:
        listener = listen_unix(path)
    finally:
        os.umask(umask)
    status = Path(path).stat()

    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert not os.get_inheritable(listener.fd)
    assert listener.path == path
    listener.close()
    assert Path(path).exists()


def test_a_path_in_use_is_not_taken(path: str) -> None:
    Path(path).touch()
    with pytest.raises(OSError, match="Address already in use"):
        listen_unix(path)
    with pytest.raises(FileNotFoundError):
        listen_unix(path + ".d/sock")


def test_a_failed_listen_leaves_no_file(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(socket.socket):
        def listen(self, *_: object) -> None:
            raise OSError("no")

    monkeypatch.setattr(module.socket, "socket", Deaf)
    with pytest.raises(OSError, match="no"):
        listen_unix(path)
    assert not Path(path).exists()


def test_errors_are_the_systems_own(path: str) -> None:
    async def case() -> None:
        with pytest.raises(FileNotFoundError) as missing:
            await connect_unix(Client, path)
        assert missing.value.filename == path
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path)
            with pytest.raises(ConnectionRefusedError):
                await connect_unix(Client, path)
        with pytest.raises(ConnectionRefusedError):  # a stale file
            await connect_unix(Client, path)

    run(case)


def test_a_full_queue_is_waited_out(path: str) -> None:
    async def case() -> None:
        listener = listen_unix(path, backlog=1)
        queued = [await connect_unix(Client, path) for _ in range(2)]
        # What asyncio does by itself: success on a socket that nobody connected.
        transport, _ = await asyncio.get_running_loop().create_unix_connection(Client, path)
        with pytest.raises(OSError, match="not connected"):
            transport.get_extra_info("socket").getpeername()
        transport.abort()
        waiting = asyncio.ensure_future(connect_unix(Client, path))
        await asyncio.sleep(0.025)
        assert not waiting.done()
        with socket.socket(fileno=os.dup(listener.fd)) as server:
            peers = [server.accept()[0]]
            third, client = await waiting
            peers += [server.accept()[0], server.accept()[0]]
        peers[2].sendall(b"at last")
        assert await client.received.get() == b"at last"
        for each in (*peers, third, *[transport for transport, _ in queued], listener):
            each.close()

    run(case)


def test_a_listener_that_goes_away_ends_the_wait_for_its_queue(path: str) -> None:
    async def case() -> None:
        listener = listen_unix(path, backlog=0)
        queued, _ = await connect_unix(Client, path)
        waiting = asyncio.ensure_future(connect_unix(Client, path))
        await asyncio.sleep(0.015)
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            await waiting
        queued.close()

    run(case)


@pytest.mark.parametrize("turns", range(5))
def test_cancelling_leaves_no_descriptor(path: str, turns: int) -> None:
    async def case() -> None:
        listener = listen_unix(path)
        task = asyncio.ensure_future(connect_unix(Client, path))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()[0].close()
        await asyncio.sleep(0)
        listener.close()

    run(case)


def test_a_protocol_that_cannot_be_made_leaves_no_descriptor(path: str) -> None:
    def broken() -> Client:
        raise RuntimeError("no protocol")

    async def case() -> None:
        listener = listen_unix(path)
        with pytest.raises(RuntimeError, match="no protocol"):
            await connect_unix(broken, path)
        listener.close()

    run(case)


def test_a_path_is_too_long_by_one_byte(tmp_path: Path) -> None:
    directory = str(tmp_path)
    longest = directory + "/" + "x" * (MAX_SOCKET_PATH - len(directory) - 1)

    async def case() -> None:
        listener = listen_unix(longest)
        transport, _ = await connect_unix(Client, longest)
        transport.close()
        listener.close()
        with pytest.raises(InternalError) as caught:
            await connect_unix(Client, longest + "x")
        assert str(caught.value) == f"internal error: Monitor path {longest}x too big for destination"
        with pytest.raises(InternalError) as caught:
            listen_unix(longest + "x")
        assert str(caught.value) == f"internal error: UNIX socket path '{longest}x' too long"

    run(case)


def test_a_loop_that_has_a_net_of_its_own_is_asked() -> None:
    asked: list[tuple[str, object]] = []

    class Loop(asyncio.SelectorEventLoop):
        def listen_unix(self, path: str, backlog: int) -> str:
            asked.append((path, backlog))
            return "listener"

        async def create_unix_connection(self, factory: object, path: str) -> tuple[str, str]:  # type: ignore[override]
            asked.append((path, factory))
            if len(asked) < 4:
                raise BlockingIOError(11, "full")
            return "transport", "protocol"

    async def main() -> None:
        assert listen_unix("/a/path", 7) == "listener"
        assert await connect_unix(Client, "/a/path") == ("transport", "protocol")

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    assert asked == [("/a/path", 7), *[("/a/path", Client)] * 3]
