"""What is thrown at ``fakeqemu server``: lines and descriptors from anybody who can connect.

Knows the server's protocol. The server is a real one behind a socket pair; it answers, but forks nobody.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from random import Random
from typing import Any

from fakeqemu.driver.server import Server

__all__ = ["server"]

_PID = 4711
_WORDS: tuple[Any, ...] = (
    "qemu-system-x86_64", "/usr/bin/qemu-system-s390x", "", "/", "-S", "\0", "\ud800", "\u00fc", None, True,
    0, 1, 2, 3, -1, 22, 63, 1 << 16, 1 << 70, 1.5, [], {}, [1, 2], [[1, 2], 5], [[], []],
    {"FAKEQEMU_SCRIPT": "/nowhere"}, {"FAKEQEMU_SCRIPT": "\0"}, {"FAKEQEMU_PRESET": "hostil"},
    {"": ""}, {"a=b": "\0"}, "/tmp", "x" * 5000,
)  # fmt: skip
_MEMBERS = ("id", "argv", "env", "fds", "umask", "cwd", "nonsense")


class _Tame(Server):
    """A server that says what it would start."""

    def _become(self, *_request: Any) -> Any:
        raise AssertionError("nobody is forked here")

    def _fork(self) -> int:
        return _PID

    def prepare(self, program: str = "qemu-system-x86_64") -> None:
        """Nothing is loaded."""


def _line(chance: Random) -> bytes:
    kind = chance.random()
    if kind < 0.15:
        return chance.randbytes(chance.randrange(60)) + b"\n"
    if kind < 0.25:
        depth = chance.choice((5, 400, 5000, 20_000, chance.randrange(900, 1000)))
        return b'{"id": ' + b"[" * depth + b"]" * depth + b', "argv": ["qemu-system-x86_64"]}\n'
    request: dict[str, Any] = {"id": 1, "argv": ["/bin/qemu-system-x86_64", "-S"], "env": {}, "fds": []}
    for _ in range(chance.randrange(4)):
        request[chance.choice(_MEMBERS)] = chance.choice(_WORDS)
    if chance.random() < 0.3:
        request["argv"] = [chance.choice(_WORDS) for _ in range(chance.randrange(4))]
    if chance.random() < 0.2:
        request.pop(chance.choice(list(request)))
    data = json.dumps(request).encode() + b"\n"
    return data if chance.random() < 0.9 else data[: chance.randrange(len(data))] + b"\n"


def server(chance: Random) -> None:
    """Requests of any sort, with descriptors; each line has one answer, and no descriptor stays."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    spare = os.open("/dev/null", os.O_RDONLY)
    tame = _Tame(client=theirs)
    try:
        ours.setblocking(False)
        for _ in range(chance.randrange(1, 6)):
            line = _line(chance)
            handed = [spare] * chance.choice((0, 0, 1, 2, 9))
            socket.send_fds(ours, [line], handed) if handed else ours.sendall(line)
            wanted = sum(1 for piece in line.split(b"\n")[:-1] if piece.strip())
            answers = _answers(tame, ours, wanted, len(line))
            assert all("error" in answer or answer["pid"] == _PID for answer in answers), answers
    finally:
        ours.close()
        for _ in range(3):
            tame.turn(0)
        tame.close()
        os.close(spare)
    after = len(list(Path("/proc/self/fd").iterdir()))
    assert after == before, f"{after - before} descriptors stay open"


def _answers(tame: _Tame, ours: socket.socket, wanted: int, length: int) -> list[dict[str, Any]]:
    got = b""
    for _ in range(10 + length // 1000):
        tame.turn(0)
        try:
            got += ours.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if got.count(b"\n") >= wanted:
                break
    assert got.count(b"\n") == wanted, f"{wanted} requests, and the answers {got[:200]!r}"
    return [json.loads(line) for line in got.splitlines()]
