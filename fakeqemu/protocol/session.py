"""One monitor connection: greeting, negotiation, and the queue of commands.

Knows what a QMP session holds (monitor/qmp.c). Must not know what commands do.
"""

from __future__ import annotations

from fakeqemu.actions import Pace, Send
from fakeqemu.channel import Channel, close_all
from fakeqemu.protocol.qjson import JSONReader, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["QUEUE", "Session", "error_text", "event_text", "greet", "open_session", "reply_text"]


#: In-band commands that wait at most (QMP_REQ_QUEUE_LEN_MAX); without out-of-band execution it is one.
QUEUE = 8
#: Messages beyond the queue that are taken in before the socket is read no more.
_AHEAD = 256


class Session(Channel):
    """What is known of one connection to a monitor.

    Attributes:
        fds: descriptors that came with the last message; the command that wants them takes them out.
        inbox: messages that have been read, but not yet looked at: the monitor is suspended.
        queue: in-band commands that wait for their turn.
        busy: a command of this monitor is under way; no other monitor's may begin meanwhile.
        pretty: messages are written as -qmp-pretty asks.
    """

    __slots__ = ("_paused", "_resumes", "_suspended", "busy", "fds", "greeted", "inbox", "negotiated", "oob",
                 "pretty", "queue", "reader")  # fmt: skip

    def __init__(self, conn: int, *, pretty: bool = False) -> None:
        super().__init__(conn)
        self.fds: list[int] = []
        self.reader = JSONReader()
        self.inbox: list[tuple[Any, str | None]] = []
        self.queue: list[tuple[Any, str | None]] = []
        self.greeted = self.negotiated = self.oob = self.busy = False
        self.pretty = pretty
        self._suspended = self._resumes = self._paused = False

    def received(self, machine: FakeQemu, data: bytes, fds: Sequence[int]) -> None:
        """Take bytes in; commands that they complete are carried out one after the other."""
        if fds:  # the descriptors of one message replace those of the one before (tcp_chr_read_poll)
            close_all(machine, self.fds)
            self.fds = list(fds)
        self.inbox += self.reader.feed(data)
        if self.greeted:
            self.pump(machine)
        if len(self.inbox) > _AHEAD and not self._paused and not machine.dead:
            self._paused = True
            machine.do(0, Pace(self.conn, reading=False))

    def pump(self, machine: FakeQemu) -> None:
        """Carry out what is queued, until a command takes its time or the machine ends.

        As monitor/qmp.c does: one dispatcher carries out the in-band commands of all monitors one after the
        other; a monitor whose queue is full is read no further, so that its out-of-band commands wait too.
        """
        from fakeqemu.protocol.dispatch import dispatch

        while not machine.dead and self.conn in machine.sessions:
            if self._resumes and not self.busy:
                self._resumes = self._suspended = False
            self._take_in(machine)
            if not self.queue or _anyone_busy(machine):
                break
            value, error = self.queue.pop(0)
            if not self.oob or len(self.queue) == QUEUE - 1:
                self._resumes = True
            dispatch(machine, self, value, error)
        if self._paused and not self.inbox and not machine.dead:
            self._paused = False
            machine.do(0, Pace(self.conn, reading=True))
        if len(machine.sessions) > 1 and not _anyone_busy(machine):
            for other in list(machine.sessions.values()):
                if other is not self and other.greeted and (other.queue or other.inbox):
                    other.pump(machine)

    def _take_in(self, machine: FakeQemu) -> None:
        """Look at what was read: out-of-band commands are carried out, the others queued."""
        while self.inbox and not self._suspended and not machine.dead:
            value, error = self.inbox.pop(0)
            if self.oob and type(value) is dict and "exec-oob" in value and "execute" not in value:
                from fakeqemu.protocol.dispatch import dispatch

                dispatch(machine, self, value, None)
                continue
            self.queue.append((value, error))
            self._suspended = not self.oob or len(self.queue) == QUEUE


def _anyone_busy(machine: FakeQemu) -> bool:
    return any(session.busy for session in machine.sessions.values())


def open_session(machine: FakeQemu, chardev: str, conn: int) -> None:
    """A client was accepted: greet it, unless the script has other ideas."""
    monitor = next((monitor for monitor in machine.line.monitors if monitor.chardev == chardev), None)
    if monitor is None or not monitor.control:
        from fakeqemu.frontends import attach

        channel = attach(machine, chardev, conn)
        if channel is not None:
            machine.channels[conn] = channel
        return
    session = machine.sessions[conn] = machine.channels[conn] = Session(conn, pretty=monitor.pretty)
    rule = machine.pick("accept", chardev)
    if rule is None:
        _accepted(machine, session)
    else:
        from fakeqemu.scripts.effects import at_step

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
        from fakeqemu.scripts.effects import at_step

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
