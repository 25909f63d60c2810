"""ServerLauncher does what every launcher must do: fakes that are forked by ``fakeqemu server``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from fakeqemu.scripts.check import compile_text
from virtsim.host.abc import ExitStatus, Process
from virtsim.host.server import ServerLauncher
from virtsim.testing.launcher_contract import LauncherContract

#: It has to be there, and is not run.
QEMU = sys.executable
SCRIPTS = {
    "bye": "- {at: 1ms, do: {exit: {code: 0, stderr: '@'}}}",
    "stubborn": "- {at: start, ignore: [SIGTERM]}",
}


class ServerBench:
    """Fakes for ServerLauncher, and /proc as the witness."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, case: Coroutine[Any, Any, None]) -> None:
        asyncio.run(case)

    def launcher(self) -> ServerLauncher:
        return Scripted(self.directory)

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def exits(self, code: int, text: str) -> list[str]:
        if code == 0:
            self.script("bye", SCRIPTS["bye"].replace("@", text))
            return [QEMU, "-name", "bye", "-S"]
        return [QEMU, "-uuid", text]  # not a UUID: QEMU says so and leaves with 1

    def script(self, name: str, text: str) -> None:
        (self.directory / f"{name}.json").write_text(json.dumps(compile_text(text.encode(), name)))

    def sleeps(self) -> list[str]:
        return [QEMU, "-S"]

    def ends_on_sigterm(self) -> list[str]:
        return [QEMU, "-S", "-pidfile", self.path("pid")]

    def ignores_sigterm(self) -> list[str]:
        self.script("stubborn", SCRIPTS["stubborn"])
        return [QEMU, "-name", "stubborn", "-S", "-pidfile", self.path("pid")]

    def greets(self, fd: int) -> list[str]:
        return [
            QEMU, "-S", "-chardev", f"socket,id=m,fd={fd},server=on,wait=off",
            "-mon", "chardev=m,mode=control",
        ]  # fmt: skip

    def missing(self) -> list[str]:
        return [self.path("no-such-program"), "-S"]

    async def ready(self, process: Process, log: str) -> None:
        del log
        async with asyncio.timeout(30):
            while not self.written():
                assert process.alive()
                await asyncio.sleep(0.002)

    def written(self) -> bool:
        path = Path(self.path("pid"))
        return path.exists() and path.read_bytes().endswith(b"\n")

    def exists(self, pid: int) -> bool:
        return Path(f"/proc/{pid}").exists()

    def end(self, process: Process) -> None:
        os.kill(process.pid, signal.SIGKILL)

    def descriptors(self) -> int:
        return len(list(Path("/proc/self/fd").iterdir()))


class Scripted(ServerLauncher):
    """The script of a guest is the file of its name."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory

    async def spawn(self, argv: Any, **more: Any) -> Any:
        if "-name" in argv:
            more["env"] = {"FAKEQEMU_SCRIPT": str(self.directory / f"{argv[argv.index('-name') + 1]}.json")}
        return await super().spawn(argv, **more)


class TestServerLauncher(LauncherContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> ServerBench:
        return ServerBench(tmp_path)


def ask(sock: socket.socket, request: bytes, fds: list[int]) -> dict[str, Any]:
    """What the server answers; None when it hangs up."""
    socket.send_fds(sock, [request + b"\n"], fds)
    return json.loads(sock.makefile().readline() or "null")


@pytest.fixture
def server(tmp_path: Path):
    """A connection to a server of its own."""
    ours, theirs = socket.socketpair()
    parent = str(Path(__file__).resolve().parents[3])
    code = (
        "import sys; sys.path[:0] = sys.argv[1:2]; from fakeqemu.driver.server import serve_fd; serve_fd(0)"
    )
    with ours, theirs:
        ours.settimeout(20)
        pid = os.posix_spawn(
            sys.executable, [sys.executable, "-I", "-S", "-c", code, parent], dict(os.environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
        )  # fmt: skip
        theirs.close()
        yield ours
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    "request_",
    [
        b"{", b"[]", b"1", b"{}", b'{"argv": []}', b'{"argv": "x"}', b'{"argv": ["q"], "env": {"A": 1}}',
        b'{"argv": ["q"], "fds": [9]}', b'{"argv": ["q"], "fds": [-1]}', b'{"argv": ["q"], "fds": 1}',
        b'{"argv": ["q"], "umask": "x"}', b"\xff", b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_bad_request_is_answered(server: socket.socket, request_: bytes) -> None:
    assert ask(server, request_, [])["error"].startswith("bad request: ")


def test_descriptors_get_their_numbers(server: socket.socket, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        request = {"id": "x", "argv": ["qemu-system-x86_64", "-version"], "fds": [[1, 2]]}
        answer = ask(server, json.dumps(request).encode(), [out.fileno()])
        assert answer["id"] == "x"
        assert json.loads(server.makefile().readline()) == {"exit": answer["pid"], "code": 0}
    assert (tmp_path / "out").read_bytes().startswith(b"QEMU emulator version 7.2")


def test_a_server_that_dies_is_noticed(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = ServerLauncher()
        process = await launcher.spawn([QEMU, "-S"], log=str(tmp_path / "log"))
        assert launcher._server is not None
        launcher._server.kill()
        with pytest.raises(RuntimeError):
            await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await launcher.aclose()

    asyncio.run(main())


def test_the_environment_and_the_name_arrive(tmp_path: Path) -> None:
    async def main() -> None:
        launcher = ServerLauncher()
        process = await launcher.spawn([QEMU, "-S"], log=str(tmp_path / "log"))
        assert (Path("/proc") / str(process.pid) / "comm").read_text().strip() == Path(QEMU).name[:15]
        process.signal(signal.SIGKILL)
        assert await process.wait() == ExitStatus(signal=signal.SIGKILL)
        await launcher.aclose()

    asyncio.run(main())


def test_an_end_that_comes_with_the_beginning_is_not_lost(tmp_path):
    """The server's two lines may be read at once, before whoever asked comes round to the first."""

    async def case():
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "server"))
            listener.listen()
            launcher = ServerLauncher(path=str(tmp_path / "server"))
            asked = asyncio.ensure_future(launcher.spawn([QEMU], log=str(tmp_path / "log")))
            await asyncio.sleep(0)
            theirs, _ = listener.accept()
        with theirs:
            request, fds, *_ = socket.recv_fds(theirs, 65536, 8)
            for fd in fds:
                os.close(fd)
            number = json.loads(request)["id"]
            theirs.sendall(b'{"id": %d, "pid": 77}\n{"exit": 77, "code": 3}\n' % number)
            process = await asked
            status = await process.wait()
            await launcher.aclose()
            return process.pid, status.code

    assert asyncio.run(case()) == (77, 3)
