"""A driver for the sans-I/O fake that keeps everything in lists: for tests of the machine itself."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from typing import Any

from fakeqemu import actions as do
from fakeqemu.machine import FakeQemu
from fakeqemu.scripts.grammar import compile_rules
from fakeqemu.scripts.script import Script
from tests.helpers.schema_law import enforce

__all__ = ["ARGV", "MS", "SECOND", "Puppet", "script_of"]

MS = 1_000_000
SECOND = 1_000_000_000
enforce()

#: As a manager starts a domain: a monitor on a socket of its own, nothing else, nothing running yet.
ARGV = (
    "/usr/bin/qemu-system-x86_64", "-name", "guest=vm,debug-threads=on", "-S", "-machine", "pc",
    "-accel", "tcg", "-m", "1024", "-smp", "2,sockets=2", "-nodefaults", "-no-shutdown",
    "-chardev", "socket,id=charmonitor,path=/run/m,server=on,wait=off",
    "-mon", "chardev=charmonitor,id=monitor,mode=control",
    "-device", '{"driver":"virtio-balloon-pci","id":"balloon0"}',
)  # fmt: skip


def script_of(*rules: dict[str, Any]) -> Script:
    """A script from rules as a file would hold them."""
    return Script.from_compiled(compile_rules(list(rules)))


class Puppet:
    """One machine whose time only moves when told to.

    Attributes:
        log: every action but Wake and Send, as (nanoseconds, action).
        sent: connection -> bytes sent and not yet taken.
        ended: the last action, once the machine has ended.
    """

    def __init__(
        self, *rules: dict[str, Any], argv: Sequence[str] = ARGV, seed: str = "0", **more: Any
    ) -> None:
        script = script_of(*rules) if rules else None
        self.machine = FakeQemu(
            list(argv), script=script, seed=seed, pid=4000, wall_ns=1_700_000_000 * SECOND, **more
        )
        self.now = 0
        self.log: list[tuple[int, do.Action]] = []
        self.sent: dict[int, bytes] = {}
        self.ended: do.Action | None = None
        #: The terminals that were opened: character device -> connection.
        self.ptys: dict[str, int] = {}
        self._heap: list[tuple[int, int, do.Action]] = []
        self._sequence = 0
        self._conn = 0

    def start(self) -> Puppet:
        self._plan(self.machine.start(self.now))
        self.run(0)
        return self

    def run(self, ns: int) -> None:
        """Let time pass."""
        end = self.now + ns
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heapq.heappop(self._heap)
            self._act(action)
            if self.ended is not None:
                return
        self.now = end

    def connect(self, chardev: str = "charmonitor") -> int:
        """A client arrives; its connection's number."""
        assert chardev in self.accepting, f"{chardev} does not accept"
        self._conn += 1
        self.sent[self._conn] = b""
        self.log.append((self.now, do.Note("test", "connected")))
        self._plan(self.machine.connected(self.now, chardev, self._conn))
        self.run(0)
        return self._conn

    def hang_up(self, conn: int) -> None:
        self._plan(self.machine.disconnected(self.now, conn))
        self.run(0)

    def signal(self, signum: int) -> None:
        self._plan(self.machine.signalled(self.now, signum, (77, "/sbin/init")))
        self.run(0)

    def write(self, conn: int, data: bytes) -> None:
        self._plan(self.machine.received(self.now, conn, data))
        self.run(0)

    def take(self, conn: int) -> bytes:
        """What was sent since the last time."""
        data, self.sent[conn] = self.sent[conn], b""
        return data

    def messages(self, conn: int) -> list[Any]:
        """The same as messages; every line must end as QEMU's do."""
        data = self.take(conn)
        assert not data or data.endswith(b"\r\n")
        return [json.loads(line) for line in data.split(b"\r\n") if line]

    def ask(self, conn: int, command: str, **arguments: Any) -> Any:
        """Send a command; the value of its reply, or the error; events are left out."""
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = {
                name.rstrip("_").replace("__", "-"): value for name, value in arguments.items()
            }
        self.write(conn, json.dumps(message).encode())
        replies = [reply for reply in self.messages(conn) if "event" not in reply]
        assert len(replies) == 1, replies
        return replies[0].get("return", replies[0].get("error"))

    def open(self) -> int:
        """A client that has negotiated its capabilities."""
        conn = self.connect()
        self.take(conn)
        self.ask(conn, "qmp_capabilities")
        return conn

    def done(self, kind: type[do.Action]) -> list[int]:
        """When actions of a kind were taken."""
        return [at for at, action in self.log if type(action) is kind]

    @property
    def stderr(self) -> str:
        return "".join(action.text for _, action in self.log if isinstance(action, do.Stderr))

    @property
    def stdout(self) -> str:
        return "".join(action.text for _, action in self.log if isinstance(action, do.Stdout))

    @property
    def notes(self) -> list[str]:
        return [f"{action.rule}: {action.action}" for _, action in self.log if isinstance(action, do.Note)]

    @property
    def accepting(self) -> list[str]:
        """The character devices that wait for a client."""
        waiting: list[str] = []
        for _, action in self.log:
            if isinstance(action, do.Accept):
                waiting.append(action.chardev)
            elif isinstance(action, do.CloseListener) and action.chardev in waiting:
                waiting.remove(action.chardev)
        return waiting

    def _plan(self, steps: list[tuple[int, do.Action]]) -> None:
        for delay, action in steps:
            assert delay >= 0
            self._sequence += 1
            heapq.heappush(self._heap, (self.now + delay, self._sequence, action))

    def _act(self, action: do.Action) -> None:
        if isinstance(action, do.Wake):
            self._plan(self.machine.woken(self.now, action.token))
            return
        if isinstance(action, do.Send):
            self.sent[action.conn] += action.data
            return
        self.log.append((self.now, action))
        if isinstance(action, do.OpenPty):
            self._conn += 1
            self.sent[self._conn] = b""
            self.ptys[action.chardev] = self._conn
            name = f"/dev/pts/{len(self.ptys) - 1}"
            self._plan(self.machine.pty_opened(self.now, action.chardev, self._conn, name))
        if isinstance(action, do.Exit | do.Kill):
            self.ended = action
