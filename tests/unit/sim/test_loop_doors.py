"""Nothing leaves a simulated run unless it was told to, and then the clock stands still."""

import asyncio
import concurrent.futures
import signal
import socket
import subprocess
import sys
import time
from functools import partial

import pytest

from virtsim.sim.loop import SimForbidden, VirtualLoop, run


def here() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


FORBIDDEN = {
    "an executor": lambda: here().run_in_executor(None, print),
    "a thread": lambda: asyncio.to_thread(print),
    "a program": lambda: asyncio.create_subprocess_exec("/bin/true"),
    "a shell command": lambda: asyncio.create_subprocess_shell("true"),
    "a signal": lambda: here().add_signal_handler(signal.SIGUSR1, print),
    "a name": lambda: here().getaddrinfo("example.org", 80),
    "an address": lambda: here().getnameinfo(("192.0.2.1", 80)),
    "a host": lambda: asyncio.open_connection("example.org", 80),
    "a host by number": lambda: asyncio.open_connection("192.0.2.1", 80),
    "a server for all": lambda: asyncio.start_server(print, "192.0.2.1", 80),
    "a server for several": lambda: asyncio.start_server(print, ["localhost", "192.0.2.1"], 80),
    "a datagram": lambda: here().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    ),
}


@pytest.mark.parametrize("net", ["memory", "real"])
@pytest.mark.parametrize("door", FORBIDDEN)
def test_the_way_out_is_locked(door: str, net: str) -> None:
    async def main() -> None:
        with pytest.raises(SimForbidden, match="not possible inside a simulated run") as caught:
            await (FORBIDDEN[door]() or asyncio.sleep(0))
        assert "allow_external=True" in str(caught.value)
        assert here().time_ns() == 0

    run(main(), net=net)  # type: ignore[arg-type]


def test_the_refusal_of_a_thread_names_the_function_and_no_address_in_memory() -> None:
    async def main() -> None:
        for job in (
            lambda: asyncio.to_thread(len, []),
            lambda: here().run_in_executor(None, partial(len, [])),
        ):
            with pytest.raises(SimForbidden, match=r"^running len in an executor is not possible"):
                await job()

    run(main())


def test_a_server_on_the_memory_net_can_be_printed() -> None:
    async def main() -> str:
        async with await asyncio.start_server(print, "localhost", 0) as server:
            return repr(server)

    assert "family=" in run(main())


def test_a_socket_of_the_kernel_cannot_be_connected_on_a_memory_net() -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(0)
            with pytest.raises(SimForbidden, match="a socket of the kernel"):
                await here().sock_connect(sock, "/nowhere")

    run(main())


def test_the_clock_stands_still_while_a_thread_works() -> None:
    # The naive loop let 1863 to 2834 virtual seconds pass in a job of 20 ms.
    async def ticker(seen: list[float]) -> None:
        while True:
            await asyncio.sleep(1)
            seen.append(here().time())

    async def main() -> None:
        seen: list[float] = []
        tick = asyncio.create_task(ticker(seen))
        await asyncio.sleep(2.5)
        assert await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.02), 5) is None  # noqa: TID251
        assert here().time() == 2.5
        assert await asyncio.gather(*(asyncio.to_thread(int, str(n)) for n in range(3))) == [0, 1, 2]
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        assert here().time() == 2.5
        await asyncio.sleep(1)
        assert seen == [1, 2, 3]
        tick.cancel()

    run(main(), allow_external=True)


def test_a_job_given_to_an_own_executor_is_counted_too() -> None:
    async def main() -> int:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            await here().run_in_executor(pool, time.sleep, 0.005)  # noqa: TID251
        return here().time_ns()

    assert run(main(), allow_external=True) == 0


def test_the_clock_stands_still_while_a_program_runs() -> None:
    async def main() -> None:
        script = "import sys, time; time.sleep(0.02); print(sys.stdin.read().upper(), end=''); sys.exit(3)"
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(program.communicate(b"hello"), 5)
        assert (out, program.returncode) == (b"HELLO", 3)
        assert here().time_ns() == 0
        await asyncio.sleep(1)
        assert here().time_ns() == 10**9
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nowhere/at/all")
        await asyncio.sleep(1)
        assert here().time_ns() == 2 * 10**9

    run(main(), allow_external=True)


def test_signals_pass_when_they_may() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        here().add_signal_handler(signal.SIGUSR1, seen.append, "got it")
        signal.raise_signal(signal.SIGUSR1)
        await asyncio.sleep(1)
        here().remove_signal_handler(signal.SIGUSR1)
        return seen

    assert run(main(), allow_external=True) == ["got it"]


def test_a_name_is_looked_up_when_it_may() -> None:
    async def main() -> int:
        found = await here().getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        assert found[0][4] == ("127.0.0.1", 80)
        assert (await here().getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST))[0] == "127.0.0.1"
        return here().time_ns()

    assert run(main(), allow_external=True) == 0


def test_call_soon_threadsafe_wakes_a_waiting_loop() -> None:
    async def main() -> str:
        loop = here()
        future: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            time.sleep(0.005)  # noqa: TID251
            loop.call_soon_threadsafe(future.set_result, "done")

        job = loop.run_in_executor(None, work)
        result = await asyncio.wait_for(future, 1000)
        await job
        assert loop.time_ns() == 0
        return result

    assert run(main(), allow_external=True) == "done"


def test_real_transports_read_sixty_four_kilobytes_at_a_time() -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        transport, _ = await here().create_unix_connection(asyncio.Protocol, sock=near)
        assert transport.max_size == 64 * 1024  # type: ignore[attr-defined]
        transport.close()
        far.close()
        await asyncio.sleep(0)

    run(main())
