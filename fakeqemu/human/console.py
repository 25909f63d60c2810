"""The monitor for people on a character device: greeting, prompt, echo, one line after the other.

Knows monitor/hmp.c of QEMU 7.2. Must not know how a line is edited (`fakeqemu.human.readline`)
or carried out.
"""

from __future__ import annotations

from fakeqemu.actions import Send
from fakeqemu.channel import Channel, close_all
from fakeqemu.human.readline import Editor
from fakeqemu.registry import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fakeqemu.machine import FakeQemu

__all__ = ["Console", "open_console"]

#: Bytes that may wait while a command takes its time.
_WAITING = 1 << 14


class Console(Channel):
    """One person at the monitor."""

    __slots__ = ("_busy", "_editor", "_leaving", "_machine", "_waiting")

    def __init__(self, machine: FakeQemu, conn: int) -> None:
        super().__init__(conn)
        self._machine = machine
        self._editor = Editor(_completions)
        self._busy = self._leaving = False
        self._waiting = b""

    def greet(self) -> None:
        """Say which QEMU this is, and prompt."""
        from fakeqemu.protocol.asking import ask

        number = ask(self._machine, "query-version")["qemu"]
        text = f"QEMU {number['major']}.{number['minor']}.{number['micro']} monitor"
        text += " - type 'help' for more information\n"
        self._say(text)

    def received(self, machine: FakeQemu, data: bytes, fds: Sequence[int]) -> None:
        """Keys were typed."""
        close_all(machine, fds)
        self._waiting = (self._waiting + data)[:_WAITING]
        self._type()

    def _type(self) -> None:
        machine = self._machine
        while self._waiting and not self._busy and not machine.dead:
            key, self._waiting = self._waiting[0], self._waiting[1:]
            text, line = self._editor.byte(key)
            if text:
                self._write(text.encode("latin-1"))
            if line is not None:
                self._run(line.encode("latin-1").decode("utf-8", "replace"))

    def _run(self, line: str) -> None:
        from fakeqemu.human import execute

        printed = execute(self._machine, line)
        self._leaving = line.strip() in ("q", "quit")
        if isinstance(printed, Deferred):
            self._busy = True
            printed.then(lambda text, _error: self._done(str(text or "")))
        else:
            self._said(printed)

    def _done(self, text: str) -> None:
        self._busy = False
        if self._machine.channels.get(self.conn) is self:
            self._said(text)
            self._type()

    def _said(self, text: str) -> None:
        if not self._machine.dead and not self._leaving:
            self._say(text)

    def _say(self, text: str) -> None:
        """Something for the person, and the prompt after it; keys are echoed as the bytes that they are."""
        self._write(text.encode("utf-8", "replace") + self._editor.prompt().encode("latin-1"))

    def _write(self, data: bytes) -> None:
        self._machine.do(0, Send(self.conn, data.replace(b"\n", b"\r\n")))


def _completions(head: str) -> Iterable[str]:
    """Words that may stand next: commands, or topics after ``info``."""
    from fakeqemu.human.info import TOPICS
    from fakeqemu.human.table import COMMANDS

    words = head.split(" ")
    commands = [name for entry in COMMANDS for name in entry.split("|")]
    if len(words) < 2:
        return commands
    if len(words) == 2 and words[0] == "info":
        return TOPICS
    if len(words) == 2 and words[0] in ("help", "?"):
        return commands
    return ()


def open_console(machine: FakeQemu, chardev: str, conn: int) -> Console:
    """A client has come to the monitor on a character device."""
    del chardev
    console = Console(machine, conn)
    console.greet()
    return console
