"""QEMU's own client library (PyPI ``qemu.qmp``) talks to the fake: to a process and to a task of the loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import pytest
from qemu.qmp import ConnectError, ExecuteError, QMPClient

from tests.helpers.processes import Program, fake_argv
from tests.helpers.puppet import script_of
from virtsim.sim.launcher import SimLauncher
from virtsim.sim.loop import run
from virtsim.sim.net import net_of

QEMU = "/usr/bin/qemu-system-x86_64"


async def converse(path: str) -> list[str]:
    """What the library sees of a life from negotiation to quit."""
    client = QMPClient("test")
    seen: list[str] = []
    await client.connect(path)
    assert client.greeting is not None
    assert "'major': 7" in str(client.greeting._asdict())
    with client.listener() as events:
        assert (await client.execute("query-status"))["status"] == "prelaunch"
        await client.execute("cont")
        seen.append((await events.get())["event"])
        await client.execute("stop")
        seen.append((await events.get())["event"])
        with pytest.raises(ExecuteError) as caught:
            await client.execute("nonsense")
        assert caught.value.error_class == "CommandNotFound"
        with pytest.raises(ExecuteError, match="Parameter 'property' is missing"):
            await client.execute("qom-get", {"path": "/machine"})
        names = [entry["name"] for entry in await client.execute("query-commands")]
        assert "query-status" in names
        assert len(await client.execute("query-qmp-schema")) > 500
        # Several at once: each gets its own answer.
        answers = await asyncio.gather(*(client.execute("query-name") for _ in range(5)))
        assert answers == [{"name": "vm"}] * 5
        await client.execute("quit")
        seen.append((await events.get())["event"])
    # The library reports that QEMU hung up first; with the real one as well.
    with contextlib.suppress(EOFError):
        await client.disconnect()
    return seen


WORDS = ["-S", "-name", "guest=vm", "-machine", "pc", "-accel", "tcg"]


def test_a_process(tmp_path):
    path = tmp_path / "m"
    with Program(fake_argv(*WORDS, "-qmp", f"unix:{path},server=on,wait=off"), tmp_path) as program:
        program.client(path).sock.close()
        assert asyncio.run(converse(str(path))) == ["RESUME", "STOP", "SHUTDOWN"]
        assert program.ended() == (0, "")


async def launched(*rules):
    net = net_of(asyncio.get_running_loop())
    net.files.make_dirs("/run")
    script = script_of(*rules) if rules else None
    launcher = SimLauncher(script_for=lambda _argv: script, seed="0", files=net.files)
    argv = [QEMU, *WORDS, "-qmp", "unix:/run/m,server=on,wait=off"]
    return await launcher.spawn(argv, log="/run/log")


def test_a_task_of_the_loop():
    async def main():
        process = await launched()
        assert await converse("/run/m") == ["RESUME", "STOP", "SHUTDOWN"]
        assert (await process.wait()).code == 0

    run(main())


def test_what_the_library_says_to_a_garbled_greeting():
    async def main():
        process = await launched({"at": "start", "greeting": {"garbage": "hello?"}})
        with pytest.raises(ConnectError):
            await QMPClient("test").connect("/run/m")
        process.signal(signal.SIGKILL)
        await process.wait()

    run(main())
