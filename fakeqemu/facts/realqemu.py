"""A real QEMU to put questions to: a process of its own, and as much of a client as that needs.

Knows how a QEMU is started quietly and asked. Must not know the questions.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from typing import Any, Self

__all__ = ["Client", "Qemu", "RecordError", "printed"]

_PATIENCE_S = 60.0
#: A guest's clock that says the same at every recording.
_QUIET = ("-S", "-no-user-config", "-display", "none", "-rtc", "base=2000-01-01T00:00:00,clock=vm")


class RecordError(Exception):
    """The QEMU could not be asked."""


class Client:
    """As much of a QMP client as a list of questions needs."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_PATIENCE_S)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")
        self.greeting = self._lines.readline().decode("ascii").rstrip()
        self.ask("qmp_capabilities", {})

    def ask(self, command: str, arguments: dict[str, Any]) -> str:
        """The line of the reply, events left out.

        Raises:
            EOFError: QEMU closed the monitor.
        """
        message = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        while line := self._lines.readline():
            if b'"event"' not in line[:120]:
                return line.decode("ascii").rstrip()
        raise EOFError(command)

    def value(self, command: str, arguments: dict[str, Any]) -> Any:
        """The value of the reply; None when it is an error."""
        return json.loads(self.ask(command, arguments)).get("return")

    def close(self) -> None:
        """End the conversation."""
        self._lines.close()
        self._socket.close()


class Qemu:
    """A QEMU of one machine type, not running its guest.

    Args:
        qemu: path of the program.
        machine: the machine type; ``NAME defaults`` for one with its default devices.
    """

    def __init__(self, qemu: str, machine: str) -> None:
        self._qemu = qemu
        name, _, defaults = machine.partition(" ")
        # The empty machine refuses no -nodefaults either.
        self._words = [*_QUIET, *(() if defaults else ("-nodefaults",)), "-machine", f"{name},accel=tcg"]
        self._client: Client | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="fakeqemu-")
        try:
            self.restart()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._directory is not None:
            self._directory.cleanup()

    def client(self) -> Client:
        """The conversation with it."""
        if self._client is None:
            raise RecordError("it has not been started")
        return self._client

    def restart(self) -> None:
        """Start it, again if need be.

        Raises:
            RecordError: it does not start.
        """
        self._stop()
        if self._directory is None:
            raise RecordError("it has no directory")
        path = f"{self._directory.name}/monitor.sock"
        argv = [self._qemu, *self._words, "-qmp", f"unix:{path},server=on,wait=off"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the program that is to be recorded
                argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self._directory.name
            )
        except OSError as error:
            raise RecordError(f"{self._qemu}: {error.strerror}") from error
        self._client = self._connect(path, self._process)

    @staticmethod
    def _connect(path: str, process: subprocess.Popen[bytes]) -> Client:
        for _ in range(600):
            try:
                return Client(path)
            except (FileNotFoundError, ConnectionRefusedError):
                if process.poll() is not None:
                    words = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
                    raise RecordError(words or f"QEMU left with status {process.returncode}") from None
                time.sleep(0.05)  # noqa: TID251 - a tool that waits for a real process
        raise RecordError("the monitor socket did not show up within 30 s")

    def _stop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None


def printed(qemu: str, words: list[str]) -> str | None:
    """What the program writes to its standard output for an option; None when it refuses."""
    argv = [qemu, *words]
    try:
        done = subprocess.run(  # noqa: S603 - the program that is to be recorded
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RecordError(f"{qemu}: {error}") from error
    text = done.stdout.decode("utf-8", "replace")
    return text if done.returncode == 0 and text else None
