"""The memory net does what the kernel does: each story below is played on both and must leave one trace."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from virtsim.sim.loop import VirtualLoop, run

Story = Callable[["Stage"], Awaitable[None]]
STORIES: dict[str, Story] = {}


def story(function: Story) -> Story:
    STORIES[function.__name__] = function
    return function


class Stage:
    """What a story has at hand: the net, a directory, and a trace with times."""

    def __init__(self, directory: str) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.net: Any = loop.net
        self.directory = directory
        self.trace: list[tuple[float, Any]] = []

    def path(self, name: str = "s") -> str:
        return f"{self.directory}/{name}"

    def note(self, what: Any) -> None:
        self.trace.append((self.loop.time(), what))

    def listening(self, name: str = "s", backlog: int = 1) -> Any:
        server = self.net.bind(self.path(name))
        server.listen(backlog)
        return server

    async def connect(self, name: str = "s", who: str = "client", **options: Any) -> Peer:
        _, peer = await self.loop.create_unix_connection(lambda: Peer(self, who, **options), self.path(name))
        return peer

    async def pair(self, name: str = "s", **server_options: Any) -> tuple[Peer, Peer]:
        """A client and its server's side; the listener is closed already."""
        server = self.listening(name)
        serving = Peer(self, "server", **server_options)
        server.accept_one(lambda: serving)
        client = await self.connect(name)
        await serving.made
        server.close()
        return client, serving

    async def refused(self, name: str = "s") -> None:
        try:
            await self.connect(name)
        except OSError as error:
            self.note(f"{type(error).__name__} {errno.errorcode[error.errno or 0]}")
        else:
            raise AssertionError("connected")


class Peer(asyncio.Protocol):
    """Notes everything that asyncio tells it; sizes of data are summed up until something else happens."""

    transport: Any

    def __init__(self, stage: Stage, who: str, *, keep_open: bool = False, quiet: bool = False) -> None:
        self.stage, self.who, self.keep_open, self.quiet = stage, who, keep_open, quiet
        self.made = stage.loop.create_future()
        self.lost = stage.loop.create_future()
        self.data = b""
        self.paused = False

    def note(self, what: Any) -> None:
        self.stage.note((self.who, what))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("made")
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.quiet:
            self.note(data)

    def eof_received(self) -> bool:
        self.note(("eof", len(self.data)))
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.note(("lost", type(exc).__name__))
        self.lost.set_result(exc)

    def pause_writing(self) -> None:
        self.paused = True
        self.note("pause")

    def resume_writing(self) -> None:
        self.paused = False
        self.note("resume")


async def play(name: str, directory: str) -> list[tuple[float, Any]]:
    stage = Stage(directory)
    loop = stage.loop
    loop.set_exception_handler(lambda _, context: stage.note(("told", repr(context.get("exception")))))
    await STORIES[name](stage)
    await asyncio.sleep(1)
    return stage.trace


# -- connecting


@story
async def there_is_no_such_path(stage: Stage) -> None:
    await stage.refused()
    await stage.refused("no/such/directory")


@story
async def a_bound_socket_does_not_listen_yet(stage: Stage) -> None:
    server = stage.net.bind(stage.path())
    assert server.path == stage.path()
    await stage.refused()
    await asyncio.sleep(0.7)
    server.listen(1)
    server.accept_one(lambda: Peer(stage, "server"))
    client = await stage.connect()
    await asyncio.sleep(0.1)
    client.transport.close()
    await client.lost
    server.close()


@story
async def a_stale_socket_file_refuses(stage: Stage) -> None:
    stage.listening().close()
    await stage.refused()
    stage.net.unlink(stage.path())
    await stage.refused()
    with pytest.raises(FileNotFoundError):
        stage.net.unlink(stage.path())


@story
async def a_path_is_taken_or_has_no_directory(stage: Stage) -> None:
    server = stage.net.bind(stage.path())
    for name in ("s", "missing/s"):
        with pytest.raises(OSError) as caught:
            stage.net.bind(stage.path(name))
        stage.note(errno.errorcode[caught.value.errno or 0])
    server.close()
    with pytest.raises(OSError) as caught:  # the file of a closed socket still takes the path
        stage.net.bind(stage.path())
    stage.note(errno.errorcode[caught.value.errno or 0])


@story
async def a_path_that_is_too_long(stage: Stage) -> None:
    for name in ("x" * 108, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 54):
        for function in (stage.net.bind, stage.connect):
            with pytest.raises(OSError, match="path too long"):
                await function(name if function == stage.connect else stage.path(name))
            stage.note("too long")


@story
async def one_is_served_two_wait_the_fourth_must_try_again(stage: Stage) -> None:
    server = stage.listening(backlog=1)

    class Greeter(Peer):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(b"hello\n")

    server.accept_one(lambda: Greeter(stage, "server of 1"))
    clients = []
    for number in (1, 2, 3):
        clients.append(await stage.connect(who=f"client {number}"))
        await asyncio.sleep(1)
    await stage.refused()
    clients[0].transport.close()
    await asyncio.sleep(1)
    await stage.refused()  # served or not, a place in the queue is free only when somebody is accepted
    for number in (2, 3):
        server.accept_one(lambda number=number: Greeter(stage, f"server of {number}"))
        await asyncio.sleep(1)
    for client in clients:
        client.transport.close()
    server.close()


@story
async def what_is_written_before_it_is_accepted_is_not_lost(stage: Stage) -> None:
    server = stage.listening()
    client = await stage.connect()
    client.transport.write(b"early")
    client.transport.write_eof()
    await asyncio.sleep(5)
    server.accept_one(lambda: Peer(stage, "server"))
    await client.lost
    server.close()


@story
async def a_listener_that_goes_away_resets_who_waits(stage: Stage) -> None:
    server = stage.listening()
    client = await stage.connect()
    await asyncio.sleep(1)
    server.close()
    await client.lost


@story
async def a_client_that_gives_up_in_the_queue_is_still_accepted(stage: Stage) -> None:
    server = stage.listening()
    client = await stage.connect()
    client.transport.close()
    await client.lost
    await asyncio.sleep(1)
    serving = Peer(stage, "server")
    server.accept_one(lambda: serving)
    await serving.lost
    server.close()


@story
async def an_unlinked_listener_keeps_its_clients(stage: Stage) -> None:
    server = stage.listening()
    server.accept_one(lambda: Peer(stage, "server"))
    client = await stage.connect()
    stage.net.unlink(stage.path())
    await stage.refused()
    client.transport.write(b"still here")
    await asyncio.sleep(1)
    other = stage.listening()
    other.accept_one(lambda: Peer(stage, "other server"))
    second = await stage.connect(who="second client")
    await asyncio.sleep(1)
    for end in (client, second):
        end.transport.close()
        await end.lost
    server.close()
    other.close()


@story
async def an_inherited_listener_outlives_the_one_it_came_from(stage: Stage) -> None:
    from virtsim.host.sockets import listen_unix

    ours = listen_unix(stage.path(), 1)
    client = await stage.connect()  # before anybody serves: met at once
    theirs = stage.net.adopt(ours.fd)
    ours.close()
    ours.close()
    await asyncio.sleep(105)
    theirs.accept_one(lambda: Peer(stage, "server"))
    client.transport.write(b"hello")
    await asyncio.sleep(1)
    client.transport.close()
    await client.lost
    theirs.close()
    await stage.refused()
    with pytest.raises(OSError) as caught:
        stage.net.adopt(2_000_000)
    stage.note(errno.errorcode[caught.value.errno or 0])


@story
async def a_cancelled_connect_leaves_a_closed_connection(stage: Stage) -> None:
    server = stage.listening()
    serving = Peer(stage, "server")
    server.accept_one(lambda: serving)
    connecting = asyncio.create_task(stage.connect())
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await serving.lost
    server.close()


@story
async def a_protocol_that_cannot_be_made(stage: Stage) -> None:
    server = stage.listening()

    def fail() -> Any:
        raise KeyError("factory")

    with pytest.raises(KeyError, match="factory"):
        await stage.loop.create_unix_connection(fail, stage.path())
    stage.note("refused to make one")
    server.close()


@story
async def a_servers_protocol_that_cannot_be_made(stage: Stage) -> None:
    server = stage.listening()

    def fail() -> Any:
        raise KeyError("factory")

    server.accept_one(fail)
    client = await stage.connect()
    await client.lost
    server.close()


# -- talking


@story
async def there_and_back_with_times(stage: Stage) -> None:
    client, serving = await stage.pair()
    for number in range(3):
        await asyncio.sleep(0.25)
        client.transport.write(b"ping %d" % number)
        await asyncio.sleep(0.5)
        serving.transport.write(b"pong %d" % number)
    await asyncio.sleep(0)
    client.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
    await asyncio.sleep(1)
    client.transport.close()
    await serving.lost


@story
async def writes_of_one_turn_arrive_together(stage: Stage) -> None:
    client, serving = await stage.pair()
    for _ in range(5):
        client.transport.write(b"x")
    client.transport.write(b"")
    await asyncio.sleep(1)
    assert serving.data == b"xxxxx"
    client.transport.close()
    await serving.lost


@story
async def what_is_written_when_connected_comes_first(stage: Stage) -> None:
    class Eager(Peer):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(self.who.encode())
            self.stage.loop.call_soon(self.note, "next turn")

    server = stage.listening()
    server.accept_one(lambda: Eager(stage, "server"))
    _, client = await stage.loop.create_unix_connection(lambda: Eager(stage, "client"), stage.path())
    await asyncio.sleep(1)
    client.transport.close()
    await client.lost
    server.close()


@story
async def four_megabytes_each_way(stage: Stage) -> None:
    client, serving = await stage.pair(quiet=True)
    client.quiet = True
    sent = os.urandom(4 << 20)
    for end in (client, serving):
        end.transport.write(sent)
        assert end.paused
    await asyncio.sleep(1)
    for end in (client, serving):
        assert end.data == sent
        assert not end.paused
        assert end.transport.get_write_buffer_size() == 0
    stage.trace = [
        entry for entry in stage.trace if entry[1][1] not in {"pause", "resume"}
    ]  # each net its own order
    client.transport.close()
    await serving.lost


@story
async def a_slow_reader_stops_the_writer(stage: Stage) -> None:
    client, serving = await stage.pair(quiet=True)
    serving.transport.pause_reading()
    assert not serving.transport.is_reading()
    client.transport.write(b"x" * (2 << 20))
    assert client.paused
    await asyncio.sleep(30)
    assert client.paused
    assert serving.data == b""
    assert client.transport.get_write_buffer_size() > 1 << 20
    serving.transport.resume_reading()
    assert serving.transport.is_reading()
    await asyncio.sleep(0.5)
    assert len(serving.data) == 2 << 20
    client.transport.close()
    await serving.lost


@story
async def limits_of_the_write_buffer(stage: Stage) -> None:
    client, serving = await stage.pair(quiet=True)
    assert client.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    client.transport.set_write_buffer_limits(high=0)
    assert client.transport.get_write_buffer_limits() == (0, 0)
    client.transport.set_write_buffer_limits(low=1000)
    assert client.transport.get_write_buffer_limits() == (1000, 4000)
    with pytest.raises(ValueError, match="must be"):
        client.transport.set_write_buffer_limits(high=1, low=2)
    client.transport.set_write_buffer_limits()
    serving.transport.pause_reading()
    client.transport.set_write_buffer_limits(high=8 << 20)
    client.transport.write(b"x" * (1 << 20))
    assert not client.paused
    client.transport.set_write_buffer_limits(high=1000)
    assert client.paused
    serving.transport.resume_reading()
    await asyncio.sleep(1)
    assert not client.paused
    client.transport.close()
    await serving.lost


@story
async def paused_reading_keeps_what_arrives(stage: Stage) -> None:
    client, serving = await stage.pair()
    serving.transport.pause_reading()
    serving.transport.pause_reading()
    client.transport.write(b"one ")
    await asyncio.sleep(1)
    client.transport.write(b"two")
    client.transport.write_eof()
    await asyncio.sleep(1)
    serving.transport.resume_reading()
    serving.transport.resume_reading()
    await serving.lost
    await client.lost


@story
async def reading_paused_in_connection_made(stage: Stage) -> None:
    class Shy(Peer):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.pause_reading()

    server = stage.listening()
    serving = Shy(stage, "server")
    server.accept_one(lambda: serving)
    client = await stage.connect()
    client.transport.write(b"hello")
    await asyncio.sleep(2)
    serving.transport.resume_reading()
    await asyncio.sleep(2)
    client.transport.close()
    await serving.lost
    server.close()


@story
async def half_a_connection_is_closed(stage: Stage) -> None:
    client, serving = await stage.pair(keep_open=True)
    assert client.transport.can_write_eof()
    client.transport.write(b"last words")
    client.transport.write_eof()
    client.transport.write_eof()
    with pytest.raises(RuntimeError, match="write_eof"):
        client.transport.write(b"more")
    await asyncio.sleep(1)
    serving.transport.write(b"answer")
    await asyncio.sleep(1)
    assert not serving.transport.is_closing()
    serving.transport.close()
    await client.lost


@story
async def an_eof_waits_for_what_was_written(stage: Stage) -> None:
    client, serving = await stage.pair(quiet=True)
    serving.transport.pause_reading()
    client.transport.write(b"x" * (2 << 20))
    client.transport.write_eof()
    await asyncio.sleep(1)
    serving.transport.resume_reading()
    await serving.lost
    assert len(serving.data) == 2 << 20
    await client.lost


@story
async def a_close_waits_for_what_was_written(stage: Stage) -> None:
    client, serving = await stage.pair(quiet=True)
    serving.transport.pause_reading()
    client.transport.write(b"x" * (2 << 20))
    client.transport.close()
    assert client.transport.is_closing()
    await asyncio.sleep(1)
    assert not client.lost.done()
    serving.transport.resume_reading()
    await serving.lost
    assert len(serving.data) == 2 << 20
    await client.lost


@story
async def an_abort_drops_what_was_written(stage: Stage) -> None:
    client, serving = await stage.pair(quiet=True)
    serving.transport.pause_reading()
    client.transport.write(b"x" * (2 << 20))
    client.transport.abort()
    client.transport.abort()
    await client.lost
    await asyncio.sleep(1)
    serving.transport.resume_reading()
    await serving.lost
    assert 0 < len(serving.data) < 2 << 20
    stage.trace = [
        entry for entry in stage.trace if entry[1][1][0] != "eof"
    ]  # how much got through is the net's own


@story
async def a_close_with_unread_bytes_resets(stage: Stage) -> None:
    client, serving = await stage.pair()
    serving.transport.pause_reading()
    client.transport.write(b"unread")
    await asyncio.sleep(1)
    serving.transport.close()
    await client.lost


@story
async def a_reset_comes_after_what_was_said_before(stage: Stage) -> None:
    client, serving = await stage.pair()
    serving.transport.pause_reading()
    client.transport.pause_reading()
    client.transport.write(b"unread")
    serving.transport.write(b"last words")
    await asyncio.sleep(1)
    serving.transport.abort()
    await asyncio.sleep(1)
    client.transport.resume_reading()
    await client.lost


@story
async def writing_to_who_is_gone(stage: Stage) -> None:
    client, serving = await stage.pair()
    client.transport.pause_reading()
    serving.transport.close()
    await asyncio.sleep(1)
    client.transport.write(b"anybody?")
    client.transport.write(b"anybody at all?")
    await client.lost
    for _ in range(3):
        client.transport.write(b"dropped")


@story
async def the_reader_dies_while_the_writer_waits(stage: Stage) -> None:
    client, serving = await stage.pair()
    serving.transport.pause_reading()
    client.transport.pause_reading()
    client.transport.write(b"x" * (2 << 20))
    await asyncio.sleep(1)
    serving.transport.abort()
    await client.lost


@story
async def both_close_at_once(stage: Stage) -> None:
    client, serving = await stage.pair()
    client.transport.close()
    serving.transport.close()
    client.transport.close()
    assert client.transport.is_closing()
    await client.lost
    await serving.lost


@story
async def closing_while_data_is_on_its_way(stage: Stage) -> None:
    client, serving = await stage.pair()
    client.transport.write(b"x")
    serving.transport.close()  # before it had a chance to read
    await asyncio.sleep(1)
    client.transport.close()
    await client.lost


@story
async def only_bytes_can_be_written(stage: Stage) -> None:
    client, serving = await stage.pair()
    for wrong in ("text", 1, None, [b"x"]):
        with pytest.raises(TypeError, match="bytes-like"):
            client.transport.write(wrong)
    buffer = bytearray(b"copied")
    client.transport.write(buffer)
    buffer[:] = b"change"
    await asyncio.sleep(1)
    client.transport.close()
    await serving.lost


@story
async def a_protocol_that_fails_loses_its_connection(stage: Stage) -> None:
    class Failing(Peer):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            raise KeyError("bad data")

    server = stage.listening()
    serving = Failing(stage, "server")
    server.accept_one(lambda: serving)
    client = await stage.connect()
    client.transport.write(b"hello")
    await client.lost
    await serving.lost
    server.close()


@story
async def a_protocol_that_fails_at_the_end(stage: Stage) -> None:
    class Failing(Peer):
        def eof_received(self) -> bool:
            super().eof_received()
            raise KeyError("bad end")

        def pause_writing(self) -> None:
            super().pause_writing()
            raise KeyError("bad pause")

    server = stage.listening()
    serving = Failing(stage, "server")
    server.accept_one(lambda: serving)
    client = await stage.connect(quiet=True)
    await serving.made
    client.transport.pause_reading()
    serving.transport.write(b"x" * (1 << 20))
    await asyncio.sleep(1)
    client.transport.resume_reading()
    await asyncio.sleep(1)
    client.transport.write_eof()
    await serving.lost
    await client.lost
    server.close()


@story
async def a_protocol_with_its_own_buffer(stage: Stage) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(3)
            self.lost = stage.loop.create_future()

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            stage.note(bytes(self.buffer[:nbytes]))

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(None)

    server = stage.listening()
    serving = Buffered()
    server.accept_one(lambda: serving)  # type: ignore[arg-type, return-value]
    client = await stage.connect()
    client.transport.write(b"abcdefgh")
    await asyncio.sleep(1)
    client.transport.close()
    await serving.lost
    server.close()


@story
async def a_protocol_is_replaced(stage: Stage) -> None:
    client, serving = await stage.pair()
    assert serving.transport.get_protocol() is serving
    other = Peer(stage, "other server")
    client.transport.write(b"one")
    await asyncio.sleep(1)
    serving.transport.set_protocol(other)
    client.transport.write(b"two")
    await asyncio.sleep(1)
    client.transport.close()
    await other.lost


@story
async def names_of_both_ends(stage: Stage) -> None:
    client, serving = await stage.pair()
    for end in (client, serving):
        names = [end.transport.get_extra_info(what) for what in ("sockname", "peername", "nothing")]
        stage.note([name and name.replace(stage.directory, "") for name in names])
        assert end.transport.get_extra_info("nothing", 5) == 5
        stage.note(end.transport.get_extra_info("socket").family.name)
    client.transport.close()
    await serving.lost


# -- asyncio's own servers and streams


@story
async def streams_of_asyncio(stage: Stage) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(0.5)
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, stage.path())
    assert server.is_serving()
    assert [sock.getsockname() for sock in server.sockets] == [stage.path()]

    async def talk(name: str) -> None:
        reader, writer = await asyncio.open_unix_connection(stage.path())
        for number in range(3):
            writer.write(f"{name} {number}\n".encode())
            stage.note(await reader.readline())
        writer.close()
        await writer.wait_closed()
        stage.note((name, "closed"))

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(talk(name))
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    await stage.refused()
    again = await asyncio.start_unix_server(serve, stage.path())  # replaces the socket file
    await talk("d")
    again.close()
    await again.wait_closed()


@story
async def lines_longer_than_any_buffer(stage: Stage) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline() * 2)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, stage.path(), limit=16 << 20)
    reader, writer = await asyncio.open_unix_connection(stage.path(), limit=16 << 20)
    writer.write(b"x" * (5 << 20) + b"\n")
    await writer.drain()
    stage.note(len(await reader.read()))
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


@story
async def a_server_that_starts_later_from_a_bound_socket(stage: Stage) -> None:
    from virtsim.sim.net import MemorySocket

    bound = stage.net.bind(stage.path())
    sock = bound if isinstance(bound, MemorySocket) else bound._sock
    server = await stage.loop.create_unix_server(
        lambda: Peer(stage, "server"), sock=sock, backlog=5, start_serving=False
    )
    await stage.refused()
    await server.start_serving()
    client = await stage.connect()
    client.transport.write(b"hello")
    await asyncio.sleep(1)
    client.transport.close()
    await client.lost
    forever = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(1)
    forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forever
    await stage.refused()


@story
async def twenty_at_the_same_instant(stage: Stage) -> None:
    # One order of everything, on both nets, though nothing but their numbers tells these connections apart.
    async def domain(number: int) -> None:
        server = stage.listening(str(number))
        await asyncio.sleep(1)
        server.accept_one(lambda: Peer(stage, f"server {number}"))
        client = await stage.connect(str(number), who=f"client {number}")
        for word in (b"qmp_capabilities", b"query-status"):
            client.transport.write(word)
            await asyncio.sleep(1)
        client.transport.close()
        await client.lost
        server.close()

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(domain(number))


@story
async def the_loopback_of_the_net(stage: Stage) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    server = await asyncio.start_server(serve, "localhost", 0)
    host, port = server.sockets[0].getsockname()
    assert host == "127.0.0.1"
    for name in ("127.0.0.1", "localhost"):
        reader, writer = await asyncio.open_connection(name, port)
        assert writer.get_extra_info("peername") == (host, port)
        writer.write(b"hello\n")
        stage.note(await reader.read())
        writer.close()
        await writer.wait_closed()
    with pytest.raises(OSError) as caught:
        await asyncio.start_server(serve, "127.0.0.1", port)
    stage.note(errno.errorcode[caught.value.errno or 0])
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("localhost", port)


@pytest.mark.parametrize("name", STORIES)
def test_both_nets_leave_one_trace(name: str, tmp_path: Path) -> None:
    virtual = "/run"

    async def in_memory() -> list[tuple[float, Any]]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.net.files.make_dirs(virtual)  # type: ignore[attr-defined]
        trace = await play(name, virtual)
        assert loop.net.open_descriptors() == []  # type: ignore[attr-defined]
        return trace

    memory = run(in_memory())
    real = run(play(name, str(tmp_path)), net="real")
    assert memory == real, name
    assert memory, "a story that notes nothing compares nothing"
