"""What the memory net has beyond the common contract: modes, observers, descriptors in flight, its doors."""

import asyncio
import gc
import socket
import struct
import weakref
from typing import Any

import pytest

from virtsim.host.memory import MemoryFiles
from virtsim.sim.loop import SimForbidden, VirtualLoop, run
from virtsim.sim.net import MemoryNet, MemoryTransport, RealNet, net_of


def net() -> MemoryNet:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    assert isinstance(loop.net, MemoryNet)
    return loop.net


async def connected(
    factory: Any = asyncio.Protocol,
) -> tuple[MemoryTransport, MemoryTransport, asyncio.BaseProtocol]:
    server = net().listen_unix("/s")
    protocol = factory()
    server.accept_one(lambda: protocol)
    near, _ = await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, "/s")
    await asyncio.sleep(0)
    far = near._peer
    server.close()
    return near, far, protocol


def test_a_socket_file_without_write_permission_refuses() -> None:
    async def main() -> None:
        server = net().bind("/s", mode=0)
        server.listen(1)
        with pytest.raises(PermissionError):
            await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, "/s")
        server.close()

    run(main())


def test_sockets_and_files_share_their_names() -> None:
    async def main() -> None:
        files = net().files
        files.make_dirs("/run/d")
        files.write_atomic("/run/d/file", b"x")
        server = net().bind("/run/d/s")
        assert files.list_dir("/run/d") == ["file", "s"]
        assert files.exists("/run/d/s")
        with pytest.raises(OSError, match="in use"):
            net().bind("/run/d/file")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, "/run/d/file")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, "/run/d")
        files.unlink("/run/d/s")
        with pytest.raises(FileNotFoundError):
            await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, "/run/d/s")
        server.close()

    run(main())


def test_observers_hear_of_every_step() -> None:
    async def main() -> list[tuple[str, str]]:
        seen: list[tuple[str, str]] = []
        net().observe(lambda path, what: seen.append((path, what)))
        server = net().bind("/s")
        server.listen(1)
        server.listen(2)
        net().unlink("/s")
        server.close()
        server.close()
        net().bind("/t").close()
        net().files.unlink("/t")
        return seen

    assert run(main()) == [
        ("/s", "bound"), ("/s", "listening"), ("/s", "unlinked"), ("/s", "closed"),
        ("/t", "bound"), ("/t", "unlinked"),
    ]  # fmt: skip


def test_waiting_for_a_path_takes_no_polling() -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        waiters = [asyncio.create_task(loop.wait_for_path("/run/s")) for _ in range(3)]
        await asyncio.sleep(105)
        before = loop.callbacks
        assert not any(task.done() for task in waiters)
        net().files.make_dirs("/run")
        server = net().bind("/run/s")
        await asyncio.gather(*waiters)
        assert loop.time() == 105
        assert loop.callbacks < before + 20
        await loop.wait_for_path("/run/s")
        impatient = asyncio.create_task(loop.wait_for_path("/never"))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        assert net().files._watchers == {}
        server.close()

    run(main())


def test_descriptors_travel_beside_the_bytes() -> None:
    async def main() -> None:
        near, far, _ = await connected()
        near.send_fds(b"take these", [7, 8])
        stand_in = near.get_extra_info("socket")
        assert stand_in.family == socket.AF_UNIX
        # As qemu.qmp's send_fd_scm() does it.
        stand_in._sock.sendmsg([b" "], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@i", 9))])
        await asyncio.sleep(0)
        assert far.take_fds() == [7, 8, 9]
        assert far.take_fds() == []
        far.close()
        await asyncio.sleep(1)
        with pytest.raises(BrokenPipeError):
            near.send_fds(b"x", [1])

    run(main())


def test_descriptors_have_numbers_that_no_process_has() -> None:
    async def main() -> None:
        server = net().listen_unix("/s")
        assert server.fd == server.fileno() == 1_000_000
        assert net().open_descriptors() == [server.fd]
        copy = net().adopt(server.fd)
        assert copy.fd != server.fd
        assert copy.path == server.path == copy.getsockname() == "/s"
        assert "/s" in repr(copy)
        server.close()
        copy.close()
        assert net().open_descriptors() == []

    run(main())


def test_a_closed_descriptor_no_longer_accepts_for_its_copies() -> None:
    async def main() -> None:
        mine = net().listen_unix("/s")
        copy = net().adopt(mine.fd)
        mine.accept_one(lambda: pytest.fail("this descriptor is closed"))
        mine.close()
        served: list[asyncio.Protocol] = []

        def factory() -> asyncio.Protocol:
            served.append(asyncio.Protocol())
            return served[-1]

        copy.accept_one(factory)
        near, _ = await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, "/s")
        await asyncio.sleep(0)
        assert len(served) == 1
        near.close()
        copy.close()

    run(main())


def test_there_is_no_tls() -> None:
    async def main() -> None:
        server = net().listen_unix("/s")
        with pytest.raises(SimForbidden, match="TLS"):
            await asyncio.start_unix_server(print, "/t", ssl=True)  # type: ignore[arg-type]
        with pytest.raises(SimForbidden, match="TLS"):
            await asyncio.get_running_loop().create_unix_connection(asyncio.Protocol, "/s", ssl=True)
        server.close()

    run(main())


def test_a_closed_connection_is_freed_without_the_collector() -> None:
    async def main() -> None:
        near, far, _ = await connected()
        gone = [weakref.ref(near), weakref.ref(far)]
        near.write(b"hello")
        await asyncio.sleep(0)
        near.close()
        await asyncio.sleep(1)
        assert near.get_protocol() is None
        assert "closed" in repr(near)
        del near, far
        assert not gc.isenabled()
        assert [reference() for reference in gone] == [None, None]

    run(main())


def test_the_net_of_a_loop() -> None:
    async def main() -> object:
        return net_of(asyncio.get_running_loop())

    assert isinstance(run(main()), MemoryNet)
    assert isinstance(run(main(), net="real"), RealNet)
    assert isinstance(asyncio.run(main()), RealNet)


def test_only_a_memory_net_has_doors_of_its_own() -> None:
    loop = VirtualLoop(net="real")
    assert not hasattr(loop, "listen_unix")
    assert not hasattr(loop, "wait_for_path")
    loop.close()
    loop = VirtualLoop()
    assert isinstance(loop.net.files, MemoryFiles)  # type: ignore[attr-defined]
    loop.close()
