"""How what the machine says leaves it: whole and at once, or as a rule wants it.

Knows bytes and time. Must not know what they mean. There is an outlet only once a rule has asked for one, so
that an honest machine pays nothing.
"""

from __future__ import annotations

from collections import deque

from fakeqemu.actions import Close, Send
from fakeqemu.scripts.reshape import RESHAPES, reshaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.actions import Action
    from fakeqemu.machine import FakeQemu

__all__ = ["MANNERS", "Outlet", "bent"]

#: Words of a rule about how a message leaves.
MANNERS = frozenset({"corrupt", "duplicate", "reorder", "split", "truncate"}) | RESHAPES
#: What waits in pieces for its turn; more than this is sent whole, so that nothing grows without end.
MAX_WAITING = 16 << 20


def bent(machine: FakeQemu, name: str, do: dict[str, Any], act: Callable[[], None]) -> None:
    """Do something of which all that is said leaves as the rule's words want it.

    Args:
        machine: the machine that speaks.
        name: the rule's, for its stream of chance.
        do: the rule's words.
        act: what is done.
    """
    if MANNERS.isdisjoint(do):
        act()
        return
    if machine.outlet is None:
        machine.outlet = Outlet()
    outlet, before = machine.outlet, machine.outlet.manner
    outlet.manner = (name, do)
    try:
        act()
    finally:
        outlet.manner = before


class _Message:
    """Bytes on their way: how many times, in pieces of which size, with how much time between two."""

    __slots__ = ("copies", "data", "first", "gap", "offset", "size")

    def __init__(self, data: bytes, do: dict[str, Any]) -> None:
        split = do.get("split") or {}
        self.data = data
        self.offset = 0
        self.size: int = split.get("size", 0) or len(data)
        self.gap: int = split.get("gap", 0)
        self.copies: int = 1 + do.get("duplicate", 0)
        #: How many others may still go first.
        self.first: int = do["reorder"]["after"] if "reorder" in do else 0

    @property
    def whole(self) -> bool:
        """Whether it leaves in one piece."""
        return self.size >= len(self.data)


class _Way:
    """What is on its way to one connection: messages that wait, and those that let others go first."""

    __slots__ = ("closing", "held", "moving", "queue", "size")

    def __init__(self) -> None:
        self.queue: deque[_Message] = deque()
        self.held: list[_Message] = []
        self.moving = self.closing = False
        self.size = 0


class Outlet:
    """Where the steps of a machine go that bends what it says."""

    __slots__ = ("_ways", "manner")

    def __init__(self) -> None:
        self.manner: tuple[str, dict[str, Any]] | None = None
        self._ways: dict[int, _Way] = {}

    def do(self, machine: FakeQemu, delay_ns: int, action: Action) -> None:
        """Add a step, in the order in which its connection hears of it."""
        if delay_ns:
            machine.plainly(delay_ns, action)
        elif isinstance(action, Send):
            self._say(machine, action)
        elif isinstance(action, Close):
            self._close(machine, action)
        else:
            machine.plainly(0, action)

    def _say(self, machine: FakeQemu, action: Send) -> None:
        conn, data, manner = action.conn, action.data, self.manner
        if manner is None:
            if conn not in self._ways:
                machine.plainly(0, action)
                return
            message = _Message(data, {})
        else:
            name, do = manner
            if not RESHAPES.isdisjoint(do):
                data = reshaped(data, do, lambda: machine.chance(f"respell/{name}"))
            if "corrupt" in do:
                data = _corrupted(machine, name, data, do["corrupt"])
            message = _Message(data[: do.get("truncate", len(data))], do)
        way = self._ways.get(conn) or self._ways.setdefault(conn, _Way())
        if message.first:
            way.held.append(message)
            within = manner[1]["reorder"]["within"] if manner is not None else 0
            machine.later(within, lambda: self._late(machine, conn, message))
            return
        self._put(machine, conn, way, message)
        for held in list(way.held):
            held.first -= 1
            if held.first <= 0:
                way.held.remove(held)
                self._put(machine, conn, way, held)
        self._tidy(conn, way)

    def _late(self, machine: FakeQemu, conn: int, message: _Message) -> None:
        """Nothing has overtaken it: it goes all the same."""
        way = self._ways.get(conn)
        if way is not None and message in way.held:
            way.held.remove(message)
            self._put(machine, conn, way, message)
            self._tidy(conn, way)

    def _close(self, machine: FakeQemu, action: Close) -> None:
        way = self._ways.get(action.conn)
        if way is None:
            machine.plainly(0, action)
            return
        held, way.held = way.held, []
        for message in held:
            self._put(machine, action.conn, way, message)
        way.closing = True
        if not way.moving:
            self._end(machine, action.conn)

    def _put(self, machine: FakeQemu, conn: int, way: _Way, message: _Message) -> None:
        if not way.moving and message.whole:
            for _ in range(message.copies):
                machine.plainly(0, Send(conn, message.data))
            return
        if way.size > MAX_WAITING:
            message.size, message.gap = len(message.data), 0
        way.queue.append(message)
        way.size += len(message.data) * message.copies
        if not way.moving:
            way.moving = True
            self._move(machine, conn, way)

    def _move(self, machine: FakeQemu, conn: int, way: _Way) -> None:
        """Send the next piece, and come back for the one after it."""
        if conn not in machine.channels and conn not in machine.conns:
            self._ways.pop(conn, None)  # the peer has gone
            return
        if not way.queue:
            way.moving = False
            if way.closing:
                self._end(machine, conn)
            self._tidy(conn, way)
            return
        message = way.queue[0]
        piece = message.data[message.offset : message.offset + message.size]
        machine.plainly(0, Send(conn, piece))
        way.size -= len(piece)
        message.offset += len(piece)
        if message.offset >= len(message.data):
            message.offset = 0
            message.copies -= 1
            if message.copies <= 0:
                way.queue.popleft()
        machine.later(message.gap, lambda: self._move(machine, conn, way))

    def _end(self, machine: FakeQemu, conn: int) -> None:
        self._ways.pop(conn, None)
        machine.plainly(0, Close(conn))

    def _tidy(self, conn: int, way: _Way) -> None:
        if not way.moving and not way.held:
            self._ways.pop(conn, None)


def _corrupted(machine: FakeQemu, name: str, data: bytes, number: int) -> bytes:
    """Some bytes are others; the end of the line stays, so that the reader finds the next one."""
    chance = machine.chance(f"corrupt/{name}")
    body = bytearray(data.rstrip(b"\r\n"))
    for _ in range(min(number, len(body))):
        place = chance.randrange(len(body))
        body[place] ^= 1 << chance.randrange(8)
    return bytes(body) + data[len(body) :]
