"""Real processes, fake or not, and a plain blocking QMP client for them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fakeqemu.scripts.check import compile_text

__all__ = ["BOOT", "QEMU", "Client", "Program", "fake_argv", "needs", "real_argv"]

BOOT = str(Path(__file__).resolve().parents[2] / "fakeqemu" / "boot.py")
QEMU = "qemu-system-x86_64"
#: Longer than anything here takes on a loaded machine.
PATIENCE_S = 20.0


def fake_argv(*words: str) -> list[str]:
    """The fake, on its fast path."""
    return [sys.executable, "-I", "-S", BOOT, QEMU, *words]


def real_argv(*words: str) -> list[str]:
    return [QEMU, *words]


def needs(arch: str) -> pytest.MarkDecorator:
    """The mark of a test that starts the real QEMU of an architecture."""
    return pytest.mark.real_qemu if arch == "x86_64" else pytest.mark.real_qemus


class Program:
    """A process with a monitor socket in a directory of its own."""

    def __init__(
        self, argv: Sequence[str], directory: Path, *, script: str | None = None, fds: Sequence[int] = ()
    ) -> None:
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        if script is not None:
            path = directory / "script.json"
            path.write_text(json.dumps(compile_text(script.encode(), "script")))
            env["FAKEQEMU_SCRIPT"] = str(path)
        self.process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
            pass_fds=tuple(fds), cwd=directory,
        )  # fmt: skip

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ended(self) -> tuple[int, str]:
        """Exit status (negative: signal) and standard error."""
        _, words = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, words.decode()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def errno_until(self, path: Path, wanted: int) -> None:
        """Connect until that is what comes of it."""
        end = time.monotonic() + PATIENCE_S  # noqa: TID251
        while time.monotonic() < end:  # noqa: TID251
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                if sock.connect_ex(str(path)) == wanted:
                    return
            select.select([], [], [], 0.001)
        raise AssertionError(f"never {os.strerror(wanted)}")

    def client(self, path: Path) -> Client:
        """A client, as soon as the socket lets one in."""
        end = time.monotonic() + PATIENCE_S  # noqa: TID251
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            if not sock.connect_ex(str(path)):
                return Client(sock)
            sock.close()
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            assert time.monotonic() < end, "the socket did not show up"  # noqa: TID251
            select.select([], [], [], 0.001)


class Client:
    """A blocking QMP client that keeps bytes as they come."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE_S)
        self.held = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        # Who has gone does not hear it; reading will tell.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line without its end; empty at the end of file."""
        while b"\r\n" not in self.held:
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                return b""
            self.held += data
        line, _, self.held = self.held.partition(b"\r\n")
        return line

    def message(self) -> Any:
        line = self.line()
        return json.loads(line) if line else None

    def negotiate(self) -> Client:
        try:
            assert "QMP" in self.message()
            assert self.ask("qmp_capabilities") == {"return": {}}
        except BaseException:
            self.sock.close()
            raise
        return self

    def ask(self, command: str, **arguments: Any) -> Any:
        """The reply to a command; events before it are dropped."""
        self.send(
            json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})}).encode()
        )
        while True:
            message = self.message()
            if message is None or "event" not in message:
                return message

    def talk(self, data: bytes) -> list[bytes]:
        """Send anything; every line that it brings, up to the answer to a command with an id of its own."""
        # The byte ff is wrong anywhere: after it a half message is forgotten, and both begin anew.
        self.send(data + b'\n\xff\n{"execute":"query-name","id":"end of talk"}\n')
        lines = []
        while line := self.line():
            if b'"id": "end of talk"' in line:
                break
            lines.append(line)
        return lines


def terminate(program: Program) -> tuple[int, str]:
    program.signal(signal.SIGTERM)
    return program.ended()
