"""The monitor of one running QEMU: commands one at a time, events as they come.

Knows how libvirt talks to a monitor (ids, order, what each failure is called). Must not know what a command
means, how the connection came about, or what the domain does about a failure.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from virtsim.errors import HostError, InternalError, OperationFailed, OperationTimeout, VirtsimError
from virtsim.host.context import CURRENT_CALL, Context
from virtsim.wire.errors import LocalProtocolError, ProtocolError
from virtsim.wire.qmp import NEED_DATA, ErrorReply, Event, Greeting, QmpEngine, Reply, Role

__all__ = ["CommandError", "EventCallback", "Monitor", "MonitorEOF", "MonitorReadError"]

#: ``on_event(name, data, timestamp)``: data is empty when QEMU sent none; timestamp has "seconds" since the
#: epoch and "microseconds", both -1 when QEMU did not know.
EventCallback: TypeAlias = Callable[[str, Mapping[str, Any], Mapping[str, int]], None]

#: Most commands that wait for their turn. A domain's job lock lets in one caller at a time, so this is only
#: ever reached by a mistake.
MAX_QUEUED = 256

#: Most commands that were given up (timed out, cancelled) and are still unanswered: then QEMU is taken for
#: hung.
MAX_GIVEN_UP = 64


class CommandError(InternalError):
    """QEMU answered a command with an error.

    Attributes:
        command: name of the command.
        error_class: QEMU's class: "GenericError", "CommandNotFound" ...
        desc: QEMU's text.
    """

    def __init__(self, command: str, error_class: str, desc: str) -> None:
        super().__init__(f"unable to execute QEMU command '{command}': {desc}")
        self.command = command
        self.error_class = error_class
        self.desc = desc


class MonitorEOF(InternalError):
    """QEMU closed the monitor."""


class MonitorReadError(HostError):
    """The connection to the monitor broke."""


class _Pending:
    """A command, from `Monitor.execute` to its reply."""

    __slots__ = ("arguments", "call", "future", "id", "name", "timer")

    def __init__(self, name: str, arguments: Mapping[str, Any] | None, future: asyncio.Future[Any]) -> None:
        self.name = name
        self.arguments = arguments
        self.future = future
        self.call = CURRENT_CALL.get()
        self.id = ""
        self.timer: asyncio.TimerHandle | None = None


class Monitor(asyncio.Protocol):
    """One connection to one QEMU's monitor.

    Commands are sent one after another, the next when the one before is answered, as libvirt does. Nothing is
    sent before QEMU has greeted. A command whose caller gives up (timeout, cancellation) makes way for the
    next at once; its reply, if it comes after all, is dropped.

    After a failure of the connection every command, waiting or new, fails with the same error at once.
    Garbage from QEMU is such a failure, although the connection stays and QEMU lives on.

    Args:
        context: where the conversation is noted (kinds "qmp.*").
        actor: the domain's name.
        on_event: called with name, data and timestamp of each event.
        on_closed: called with "error" when QEMU sent garbage, and with "eof" when the connection ended; each
            at most once, "error" never after "eof", neither after `close`.
    """

    def __init__(
        self,
        context: Context,
        actor: str,
        *,
        on_event: EventCallback | None = None,
        on_closed: Callable[[str], None] | None = None,
    ) -> None:
        self.on_event = on_event
        self.on_closed = on_closed
        self._observer = context.observer
        self._actor = actor
        self._loop = asyncio.get_running_loop()
        self._now_ns: Callable[[], int] = getattr(self._loop, "time_ns", context.now_ns)
        self._engine = QmpEngine(Role.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._greeting: Greeting | None = None
        self._greeted: asyncio.Future[Greeting] | None = None
        self._current: _Pending | None = None
        self._queue: deque[_Pending] = deque()
        self._given_up: dict[str, str] = {}
        self._serial = 0
        self._busy_since_ns: int | None = None
        #: Makes the error that every command fails with from now on.
        self._failure: Callable[[], VirtsimError] | None = None
        self._gone = False

    # -- for the owner

    @property
    def usable(self) -> bool:
        """Whether commands are taken: the monitor is neither closed, nor gone, nor in the error state."""
        return self._failure is None

    @property
    def busy_since_ns(self) -> int | None:
        """When the command that is being executed was sent (libvirt's ``monStart``), or None."""
        return self._busy_since_ns if self._current is not None else None

    def wait_greeting(self) -> asyncio.Future[Greeting]:
        """A future of QEMU's greeting; it fails with the monitor's error. There is no limit to the wait."""
        if self._greeted is None or self._greeted.cancelled():
            self._greeted = self._loop.create_future()
            if self._greeting is not None:
                self._greeted.set_result(self._greeting)
            elif self._failure is not None:
                self._greeted.set_exception(self._failure())
        return self._greeted

    def execute(
        self, name: str, arguments: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> asyncio.Future[Any]:
        """Execute a QMP command; await the result for the member ``return`` of the reply.

        When the caller is cancelled or the time is over, QEMU may still execute the command.

        Args:
            name: of the command.
            arguments: or None for none.
            timeout: limit for the wait, seconds, from now (waiting for its turn counts), or None.

        Raises:
            CommandError: QEMU's answer is an error.
            OperationTimeout: no answer in time (raised by the future).
            MonitorEOF: QEMU closed the monitor, before or meanwhile.
            MonitorReadError: the connection broke.
            ProtocolError: QEMU sent garbage, before or meanwhile.
            OperationFailed: `close` was called, or too many commands are waiting.
        """
        if self._failure is not None:
            raise self._failure()
        if len(self._queue) >= MAX_QUEUED:
            raise OperationFailed(f"too many monitor commands waiting to be sent ({MAX_QUEUED})")
        if len(self._given_up) >= MAX_GIVEN_UP:
            raise OperationFailed(f"QEMU has left {MAX_GIVEN_UP} monitor commands unanswered")
        pending = _Pending(name, arguments, self._loop.create_future())
        if timeout is not None:
            pending.timer = self._loop.call_later(timeout, self._expire, pending, timeout)
        current = self._current
        if self._greeting is None:
            self._queue.append(pending)
        elif current is None:
            self._write(pending)
        elif current.future.done():  # given up: it does not block the way
            self._queue.append(pending)
            self._advance()
        else:
            if not self._queue:  # only now somebody has to know at once when the one before is given up
                current.future.add_done_callback(self._make_way)
            self._queue.append(pending)
        return pending.future

    def close(self) -> None:
        """Close the connection. Commands that wait fail with "QEMU monitor was closed". Twice is fine."""
        if self._gone:
            return
        self._gone = True
        self.on_event = self.on_closed = None
        self._failure = None
        self._fail(lambda: OperationFailed("QEMU monitor was closed"))
        if self._transport is not None:
            self._transport.abort()
            self._note("qmp.closed", reason="closed")

    # -- for the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport."""
        self._transport = cast("asyncio.Transport", transport)
        if self._gone:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        engine = self._engine
        engine.receive_data(data)
        try:
            while (event := engine.next_event()) is not NEED_DATA:
                if type(event) is Reply:
                    self._answered(event.id, event)
                else:
                    self._take(event)
        except ProtocolError as error:
            self._break(error)

    def eof_received(self) -> None:
        """Called by the transport, which then closes."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport, once."""
        if self._gone:
            return
        self._gone = True
        number = exc.errno if isinstance(exc, OSError) else None
        if number is None:
            self._fail(lambda: MonitorEOF(f"End of file from qemu monitor (vm='{self._actor}')"))
        else:
            self._fail(lambda: MonitorReadError("Unable to read from monitor", number))
        self._closed("eof")

    # -- replies and events

    def _take(self, event: object) -> None:
        if isinstance(event, Event):
            data: Mapping[str, Any] = {} if event.data is None else event.data
            self._note("qmp.event", name=event.name, **({"data": data} if data else {}))
            if self.on_event is not None:
                seconds, microseconds = event.timestamp or (-1, -1)
                stamp = {"seconds": seconds, "microseconds": microseconds}
                self._tell(self.on_event, event.name, data, stamp)
        elif isinstance(event, ErrorReply):
            self._answered(event.id, event)
        elif isinstance(event, Greeting):
            self._greeting = event
            self._note("qmp.greeting", version=_version(event))
            if self._greeted is not None and not self._greeted.done():
                self._greeted.set_result(event)
            self._advance()

    def _answered(self, id_: Any, event: Reply | ErrorReply) -> None:
        """A reply has come; the engine has made sure that its command was sent."""
        pending = self._current
        if pending is None or (id_ != pending.id and id_ is not None):
            self._late(id_, event)
            return
        self._current = None
        if pending.timer is not None:
            pending.timer.cancel()
        fields: dict[str, Any] = {"id": pending.id, "name": pending.name}
        future = pending.future
        if isinstance(event, Reply):
            if not future.done():
                future.set_result(event.value)
        else:
            fields["error"] = event.error_class
            if not future.done():
                future.set_exception(CommandError(pending.name, event.error_class, event.desc))
        if pending.call:
            fields["call"] = pending.call
        self._observer("qmp.reply", self._actor, fields)
        if self._queue:
            self._advance()

    def _late(self, id_: Any, event: Reply | ErrorReply) -> None:
        """A reply has come to a command that was given up; without an id it is for the one given up last."""
        late = id_ if id_ is not None else next(reversed(self._given_up))
        error = {"error": event.error_class} if isinstance(event, ErrorReply) else {}
        self._note("qmp.reply", id=late, name=self._given_up.pop(late), **error)

    # -- turns

    def _write(self, pending: _Pending) -> None:
        """Send a command; it is its turn.

        Raises:
            LocalProtocolError: its arguments cannot be written as JSON.
        """
        self._serial += 1
        pending.id = id_ = f"libvirt-{self._serial}"
        data = self._engine.send_command(pending.name, pending.arguments, id_)
        self._current = pending
        self._busy_since_ns = self._now_ns()
        fields: dict[str, Any] = {"id": id_, "name": pending.name}
        if pending.arguments:
            fields["args"] = pending.arguments
        if pending.call:
            fields["call"] = pending.call
        self._observer("qmp.command", self._actor, fields)
        if self._transport is not None:  # always: QEMU has greeted
            self._transport.write(data)

    def _advance(self) -> None:
        """Send the next command if the one before is answered or given up."""
        current = self._current
        if current is not None:
            if not current.future.done():
                return
            self._given_up[current.id] = current.name
            self._current = None
        while self._queue:
            pending = self._queue.popleft()
            if pending.future.done():
                _forget_timer(pending)
                continue
            try:
                self._write(pending)
            except LocalProtocolError as error:
                _forget_timer(pending)
                pending.future.set_exception(error)
                continue
            if self._queue:
                pending.future.add_done_callback(self._make_way)
            return

    def _make_way(self, future: asyncio.Future[Any]) -> None:
        """A command with others behind it is done; if it was given up, nobody else would send the next."""
        if self._current is not None and self._current.future is future and self._failure is None:
            self._advance()

    def _expire(self, pending: _Pending, timeout_s: float) -> None:
        if not pending.future.done():
            text = f"no reply to QEMU command '{pending.name}' within {timeout_s:g} s"
            pending.future.set_exception(OperationTimeout(text))
            if pending is self._current:
                self._advance()

    # -- failures

    def _break(self, error: ProtocolError) -> None:
        """QEMU sent garbage: the monitor is of no more use, although the connection stays."""
        self._fail(lambda: type(error)(error.detail))
        self._closed("error")

    def _fail(self, failure: Callable[[], VirtsimError]) -> None:
        """From now on everything fails; the first failure counts."""
        if self._failure is None:
            self._failure = failure
        waiting = [*([self._current] if self._current is not None else ()), *self._queue]
        self._current = None
        self._queue.clear()
        for pending in waiting:
            _forget_timer(pending)
            if not pending.future.done():
                pending.future.set_exception(self._failure())
        if self._greeted is not None and not self._greeted.done():
            self._greeted.set_exception(self._failure())

    def _closed(self, reason: str) -> None:
        self._note("qmp.closed", reason=reason)
        if self.on_closed is not None:
            self._tell(self.on_closed, reason)

    # -- whoever watches

    def _note(self, kind: str, **fields: Any) -> None:
        self._observer(kind, self._actor, fields)

    @staticmethod
    def _tell(callback: Callable[..., None], *args: object) -> None:
        """Call back outside of any API call: the transport's context is that of the call which connected."""
        token = CURRENT_CALL.set(0)
        try:
            callback(*args)
        finally:
            CURRENT_CALL.reset(token)


def _forget_timer(pending: _Pending) -> None:
    if pending.timer is not None:
        pending.timer.cancel()


def _version(greeting: Greeting) -> str:
    """The version as "7.2.0", or "" when the greeting does not have it as QEMU writes it."""
    qemu = greeting.version.get("qemu")
    if not isinstance(qemu, dict):
        return ""
    return ".".join(str(qemu.get(part, 0)) for part in ("major", "minor", "micro"))
