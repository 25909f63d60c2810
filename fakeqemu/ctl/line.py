"""The protocol of the control socket: a line of JSON each way.

Knows lines, replies and their bounds. Must not know what the verbs do: that is `fakeqemu.ctl.verbs`.
"""

from __future__ import annotations

from fakeqemu.actions import Accept, Close, Send
from fakeqemu.channel import Acceptor, Channel, close_all
from fakeqemu.protocol.qjson import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from fakeqemu.ctl.control import Control
    from fakeqemu.machine import FakeQemu

__all__ = ["CLIENTS", "LONGEST", "NAME", "PROTOCOL", "Door", "Later", "Line", "Refusal", "Turn", "fits"]

#: The listener's name among the machine's.
NAME = "fakeqemu-ctl"
#: Version of the protocol, said in the first line.
PROTOCOL = 1
#: A line is not longer: the state of a machine fits.
LONGEST = 16 << 20
#: So many clients at a time; one more is told so and sent away.
CLIENTS = 16
#: Lines that wait behind one that takes its time.
QUEUE = 1000


class Refusal(Exception):
    """A request that cannot be met; the text is the reply's ``error``."""


class Later:
    """A reply that comes later: what a verb returns instead of a value."""

    __slots__ = ("line", "request")

    def __init__(self) -> None:
        self.line: Line | None = None
        self.request: dict[str, Any] = {}

    def done(self, machine: FakeQemu, value: Any = None, error: str | None = None) -> None:
        """Reply, if the client is still there."""
        line = self.line
        if line is not None and line.conn in machine.channels:
            line.waits = False
            line.reply(machine, self.request, value, error)
            line.pump(machine)


class Turn:
    """Something that happens although the machine's main loop may hang."""

    __slots__ = ("_what",)

    #: `fakeqemu.scripts.stall` lets it pass.
    wakeful = True

    def __init__(self, what: Callable[[], None]) -> None:
        self._what = what

    def __call__(self) -> None:
        """Do it."""
        self._what()


def fits(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern with ``*`` and ``?``; an empty pattern fits all."""
    if pattern in ("", "*", name):
        return True
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)


class Door(Acceptor):
    """Who takes the clients of the control socket."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def accepted(self, machine: FakeQemu, conn: int) -> Channel | None:
        """Say hello, and wait for the next one."""
        machine.do(0, Accept(NAME))
        control: Control = machine.parts["ctl"]
        line = Line(conn)
        machine.channels[conn] = line
        if len(control.clients) >= CLIENTS:
            line.reply(machine, {}, None, f"{CLIENTS} clients are served already")
            machine.do(0, Close(conn))
            return line
        control.clients.add(conn)
        hello = {"protocol": PROTOCOL, "pid": machine.pid, "name": machine.line.name or ""}
        line.say(machine, {"fakeqemu": hello})
        return line

    def refused(self, machine: FakeQemu, reason: str) -> None:
        """Without its control socket a fake is not what its script says."""
        machine.finish(1, f"fakeqemu: control socket: {reason}", linger=False)


class Line(Channel):
    """One client of the control socket."""

    __slots__ = ("_buffer", "_queue", "waits")

    def __init__(self, conn: int) -> None:
        super().__init__(conn)
        self._buffer = bytearray()
        self._queue: list[bytes] = []
        #: A request takes its time; the next ones wait.
        self.waits = False

    def received(self, machine: FakeQemu, data: bytes, fds: Sequence[int]) -> None:
        """Take bytes in; each line is answered with a line."""
        close_all(machine, fds)
        self._buffer += data
        if b"\n" in data:
            *lines, rest = bytes(self._buffer).split(b"\n")
            self._buffer = bytearray(rest)
            self._queue += lines
        if len(self._buffer) > LONGEST or len(self._queue) > QUEUE:
            what = "a line is longer than" if len(self._buffer) > LONGEST else "more requests wait than"
            bound = LONGEST if len(self._buffer) > LONGEST else QUEUE
            self.reply(machine, {}, None, f"{what} {bound}")
            self._buffer.clear()
            self._queue.clear()
            machine.do(0, Close(self.conn))
            return
        self.pump(machine)

    def pump(self, machine: FakeQemu) -> None:
        """Answer what waits."""
        while self._queue and not self.waits and not machine.dead:
            line = self._queue.pop(0).strip()
            if line:
                self._answer(machine, line)

    def closed(self, machine: FakeQemu) -> None:
        """The client has gone."""
        control: Control = machine.parts["ctl"]
        control.clients.discard(self.conn)

    def _answer(self, machine: FakeQemu, line: bytes) -> None:
        from fakeqemu.ctl.verbs import perform

        request: Any = {}
        try:
            request = _read(line)
            value = perform(machine, request)
        except Refusal as refusal:
            self.reply(machine, request if isinstance(request, dict) else {}, None, str(refusal))
            return
        if isinstance(value, Later):
            value.line, value.request = self, request
            self.waits = True
        else:
            self.reply(machine, request, value, None)

    def reply(self, machine: FakeQemu, request: dict[str, Any], value: Any, error: str | None) -> None:
        """Send the answer to a request."""
        answer: dict[str, Any] = {"return": value} if error is None else {"error": error}
        if "id" in request:
            answer["id"] = request["id"]
        self.say(machine, answer)

    def say(self, machine: FakeQemu, message: dict[str, Any]) -> None:
        """Send a line, past whatever bends what monitors hear."""
        machine.plainly(0, Send(self.conn, f"{encode(message)}\n".encode("ascii", "replace")))


def _read(line: bytes) -> dict[str, Any]:
    import json

    try:
        request = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"not JSON: {' '.join(str(error).split())}") from error
    if not isinstance(request, dict):
        raise Refusal('a request is an object: {"do": VERB, ...}')
    return request


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
