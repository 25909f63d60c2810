"""What a control socket remembers: commands and events by number, and who waits for the next one.

Knows how much is kept. Must not know the protocol that asks for it.
"""

from __future__ import annotations

from collections import deque

from fakeqemu.protocol.qjson import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.dispatch import Request

__all__ = ["KEPT", "Control", "Waiter"]

#: So many commands and so many events are remembered; older ones are forgotten.
KEPT = 1000
#: What was said is remembered up to so many characters of JSON.
LONGEST = 4096
#: So many may wait at once.
WAITERS = 64


class Waiter:
    """Somebody waits for something of a kind with a name."""

    __slots__ = ("done", "kind", "match")

    def __init__(self, kind: str, match: str, done: Callable[[dict[str, Any] | None], None]) -> None:
        self.kind, self.match, self.done = kind, match, done


class Control:
    """The memory behind a control socket."""

    __slots__ = ("calls", "clients", "events", "numbers", "waiters")

    def __init__(self) -> None:
        self.calls: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.events: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.numbers = {"command": 0, "event": 0}
        self.waiters: list[Waiter] = []
        #: The connections of the socket's own clients.
        self.clients: set[int] = set()

    def called(self, machine: FakeQemu, conn: int, request: Request) -> dict[str, Any]:
        """A command has come; what became of it is filled in by `answered`."""
        entry = self._entry(machine, "command")
        entry |= {
            "monitor": machine.conns.get(conn, ""),
            "command": request.name,
            "arguments": _short(request.arguments),
        }
        if request.has_id:
            entry["id"] = _short(request.ident)
        self.calls.append(entry)
        self._tell("command", request.name, entry)
        return entry

    def answered(self, machine: FakeQemu, entry: dict[str, Any], text: str) -> None:
        """The reply to a command: an error's text, or that there was none."""
        entry["took_ns"] = machine.now_ns - entry["at_ns"]
        if '"error": {"class":' not in text[:LONGEST]:
            entry["outcome"] = "return"
            return
        import json

        error = json.loads(text).get("error", {})
        entry["outcome"] = "error"
        entry["error"] = _short(error)

    def told(self, machine: FakeQemu, event: str, data: dict[str, Any] | None) -> None:
        """An event leaves for the monitors."""
        entry = self._entry(machine, "event")
        entry |= {"event": event, "data": _short(data if data is not None else {})}
        self.events.append(entry)
        self._tell("event", event, entry)

    def changed(self, machine: FakeQemu, state: str) -> None:
        """The run state is another one."""
        self._tell("runstate", state, {"runstate": state, "at_ns": machine.now_ns})

    def add(self, waiter: Waiter) -> bool:
        """Let somebody wait; False when too many do."""
        if len(self.waiters) >= WAITERS:
            return False
        self.waiters.append(waiter)
        return True

    def _entry(self, machine: FakeQemu, kind: str) -> dict[str, Any]:
        self.numbers[kind] += 1
        return {"number": self.numbers[kind], "at_ns": machine.now_ns}

    def _tell(self, kind: str, name: str, entry: dict[str, Any]) -> None:
        if not self.waiters:
            return
        from fakeqemu.ctl.line import fits

        for waiter in list(self.waiters):
            if waiter.kind == kind and fits(waiter.match, name):
                self.waiters.remove(waiter)
                waiter.done(entry)


def _short(value: Any) -> Any:
    """A value that is worth remembering, or how long it was."""
    text = encode(value)
    return value if len(text) <= LONGEST else {"x-fakeqemu-omitted": len(text)}
