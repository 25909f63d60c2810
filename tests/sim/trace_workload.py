"""A busy little run whose every step is hashed; printed by a process of its own, to be compared with others.

Used by ``test_determinism.py``. It goes through everything that is known to differ between processes unless
it is taken care of: sets of tasks, sets of strings that are only counted, equal deadlines, cancellations,
garbage in cycles, connections of the memory net or the kernel's.
"""

import asyncio
import hashlib
import random
import sys
import tempfile
from typing import Any

from virtsim.sim.loop import VirtualLoop, run


async def cancelled_group(note: Any) -> None:
    """200 tasks are cancelled by their group: in the order in which it iterates over its set."""

    async def member(number: int) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            note("cancelled", number)

    async def fail() -> None:
        await asyncio.sleep(1)
        raise LookupError("on purpose")

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(member(number))
            group.create_task(fail())
    except* LookupError:
        note("group ended")


async def waits(note: Any) -> None:
    """Sets of tasks as asyncio.wait() and all_tasks() give them."""
    draw = random.Random("waits")

    async def nap(number: int) -> int:
        await asyncio.sleep(draw.choice([1, 1, 2, 3]))
        return number

    pending = {asyncio.create_task(nap(number)) for number in range(100)}
    note("all", len(asyncio.all_tasks()))
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        note("done", [task.result() for task in done])


async def abandoned(note: Any) -> None:
    """Asynchronous generators left in cycles are closed by the collector, whenever it comes."""

    async def numbers() -> Any:
        try:
            while True:
                yield 1
        finally:
            note("generator closed")

    for number in range(50):
        holder: list[Any] = [numbers()]
        holder.append(holder)
        await anext(holder[0])
        del holder
        await asyncio.sleep(0.01)
        note("left", number)


async def talks(note: Any, directory: str) -> None:
    """Many connections that do the same at the same time."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            note("server", line)
            await asyncio.sleep(0.25)
            writer.write(line.upper())
        writer.close()

    server = await asyncio.start_unix_server(serve, f"{directory}/s")

    async def talk(number: int) -> None:
        reader, writer = await asyncio.open_unix_connection(f"{directory}/s")
        for word in ("stop", "cont"):
            writer.write(f"{word} {number}\n".encode())
            note("client", await reader.readline())
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(talk(number))
    server.close()
    await server.wait_closed()


async def main(directory: str) -> str:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    digest = hashlib.sha256()

    def note(*what: Any) -> None:
        digest.update(f"{loop.time_ns()} {what}\n".encode())

    await cancelled_group(note)
    await waits(note)
    await abandoned(note)
    await talks(note, directory)
    return f"{digest.hexdigest()} {loop.time_ns()}"


if __name__ == "__main__":
    net: Any = sys.argv[1]
    garbage = [[object()] for _ in range(int(sys.argv[2]))]  # moves the automatic collector's next turn
    with tempfile.TemporaryDirectory() as directory:
        print(run(main("" if net == "memory" else directory), net=net))  # noqa: T201
