"""One monitor connection: greeting, negotiation, and the queue of commands.

Knows what a QMP session holds (monitor/qmp.c). Must not know what commands do.
"""

from __future__ import annotations

from fakeqemu.actions import Send
from fakeqemu.channel import Channel, close_all
from fakeqemu.qjson import JSONReader, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["Session", "error_text", "event_text", "greet", "open_session", "reply_text"]


class Session(Channel):
    """What is known of one connection to a monitor."""

    __slots__ = ("busy", "fds", "greeted", "negotiated", "oob", "queue", "reader")

    def __init__(self, conn: int) -> None:
        super().__init__(conn)
        #: Descriptors that came with the last message; the command that wants them takes them out.
        self.fds: list[int] = []
        self.reader = JSONReader()
        self.queue: list[tuple[Any, str | None]] = []
        self.greeted = self.negotiated = self.oob = self.busy = False

    def received(self, machine: FakeQemu, data: bytes, fds: Sequence[int]) -> None:
        """Take bytes in; commands that they complete are carried out one after the other."""
        if fds:  # the descriptors of one message replace those of the one before (tcp_chr_read_poll)
            close_all(machine, self.fds)
            self.fds = list(fds)
        self.queue += self.reader.feed(data)
        if self.greeted and not self.busy:
            self.pump(machine)

    def pump(self, machine: FakeQemu) -> None:
        """Carry out what is queued, until a command takes its time or the machine ends."""
        from fakeqemu.dispatch import dispatch

        while self.queue and not self.busy and not machine.dead and self.conn in machine.sessions:
            value, error = self.queue.pop(0)
            dispatch(machine, self, value, error)


def open_session(machine: FakeQemu, chardev: str, conn: int) -> None:
    """A client was accepted: greet it, unless the script has other ideas."""
    monitor = next((monitor for monitor in machine.line.monitors if monitor.chardev == chardev), None)
    if monitor is None or not monitor.control:
        from fakeqemu.frontends import attach

        channel = attach(machine, chardev, conn)
        if channel is not None:
            machine.channels[conn] = channel
        return
    session = machine.sessions[conn] = machine.channels[conn] = Session(conn)
    rule = machine.pick("accept", chardev)
    if rule is None:
        _accepted(machine, session)
    else:
        from fakeqemu.effects import at_step

        at_step(machine, rule, lambda: _accepted(machine, session), conn=conn)


def _accepted(machine: FakeQemu, session: Session) -> None:
    words: dict[str, Any] = machine.word("greeting") or {}
    if words:
        detail = ", ".join(words)
        machine.note(machine.word("rules").get("greeting", "script"), f"greeting: {detail}")
    if words.get("never"):
        return
    if words.get("delay"):
        machine.later(words["delay"], lambda: greet(machine, session))
    else:
        greet(machine, session)


def greet(machine: FakeQemu, session: Session) -> None:
    """Say hello, and then answer what has been asked meanwhile."""
    if session.conn not in machine.sessions:
        return
    rule = machine.pick("greeting", machine.conns.get(session.conn, ""))
    if rule is None:
        _greet(machine, session)
    else:
        from fakeqemu.effects import at_step

        def act() -> None:
            # The nonsense has been said already, instead of the greeting.
            if "garbage" not in rule.do:
                _greet(machine, session)
            else:
                session.greeted = True

        at_step(machine, rule, act, conn=session.conn)


def _greet(machine: FakeQemu, session: Session) -> None:
    words: dict[str, Any] = machine.word("greeting") or {}
    session.greeted = True
    if "garbage" in words:
        machine.do(0, Send(session.conn, f"{words['garbage']}\r\n".encode()))
    else:
        machine.send(session.conn, machine.profile.greeting)
    session.pump(machine)


def reply_text(value: str, ident: Any, *, has_id: bool) -> str:
    """The text of a successful reply: ``value`` is encoded already."""
    if not has_id:
        return f'{{"return": {value}}}'
    return f'{{"return": {value}, "id": {encode(ident)}}}'


def error_text(kind: str, desc: str, ident: Any, *, has_id: bool) -> str:
    """The text of an error reply."""
    error = f'"error": {{"class": "{kind}", "desc": {encode(desc)}}}'
    return f'{{"id": {encode(ident)}, {error}}}' if has_id else f"{{{error}}}"


def event_text(event: str, data: dict[str, Any] | None, wall_ns: int) -> str:
    """The text of an event at a time of day."""
    seconds, rest = divmod(wall_ns // 1000, 1_000_000)
    stamp = f'{{"timestamp": {{"seconds": {seconds}, "microseconds": {rest}}}, "event": "{event}"'
    return f"{stamp}}}" if data is None else f'{stamp}, "data": {encode(data)}}}'
