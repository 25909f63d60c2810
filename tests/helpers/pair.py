"""Machines wired together: what one connects to, another accepts; files are streams that can be read again.

Built on `tests.helpers.puppet`: everything happens in memory, on one clock.
"""

from __future__ import annotations

from typing import Any

from fakeqemu import actions as do
from tests.helpers.puppet import ARGV, Puppet

__all__ = ["Pair", "Wires", "argv_with", "capabilities"]


def argv_with(*more: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The usual command line and more."""
    return (*[word for word in ARGV if word not in without], *more)


def capabilities(*names: str) -> list[dict[str, Any]]:
    """Arguments of migrate-set-capabilities: these on."""
    return [{"capability": name, "state": True} for name in names]


class _Member(Puppet):
    """A machine among others."""

    wires: Wires

    def _act(self, action: do.Action) -> None:
        if not self.wires.act(self, action):
            super()._act(action)


class Wires:
    """The world that machines share: sockets by address, and descriptors that are files.

    Attributes:
        files: what was written to each descriptor.
        links: the two ends of every connection that is open.
    """

    def __init__(self) -> None:
        self.members: list[_Member] = []
        self.files: dict[int, bytearray] = {}
        self.broken: dict[int, str] = {}
        self.listening: dict[Any, tuple[_Member, str]] = {}
        self.links: dict[tuple[int, int], tuple[int, int]] = {}
        self._adopted: dict[tuple[int, int], int] = {}
        self._conn = 1000

    def member(self, *rules: dict[str, Any], argv: tuple[str, ...] = ARGV, **more: Any) -> _Member:
        """Another machine, started."""
        made = _Member(*rules, argv=argv, **more)
        made.wires = self
        self.members.append(made)
        made.start()
        return made

    def run(self, ns: int, step: int = 1_000_000) -> None:
        """Let time pass for all of them, a step at a time."""
        end = max(member.now for member in self.members) + ns
        while any(member.now < end and member.ended is None for member in self.members):
            for member in self.members:
                if member.ended is None and member.now < end:
                    member.run(min(step, end - member.now))

    def act(  # noqa: C901 - one branch for each action
        self, member: _Member, action: do.Action
    ) -> bool:
        """Carry out what concerns wires; False for everything else."""
        index = self.members.index(member)
        if isinstance(action, do.Listen) and action.chardev == "-incoming":
            self._listen(member, action)
        elif isinstance(action, do.CloseListener) and action.chardev == "-incoming":
            self.listening = {key: one for key, one in self.listening.items() if one[0] is not member}
        elif isinstance(action, do.Connect):
            self._connect(index, member, action)
        elif isinstance(action, do.Adopt):
            self._adopt(index, member, action)
        elif isinstance(action, do.Send) and (index, action.conn) in self._adopted:
            fd = self._adopted[index, action.conn]
            self.files[fd] += action.data
        elif isinstance(action, do.Send) and (index, action.conn) in self.links:
            other, conn = self.links[index, action.conn]
            peer = self.members[other]
            peer._plan(peer.machine.received(peer.now, conn, action.data))
            peer.run(0)
        elif isinstance(action, do.Send) and action.conn not in member.sent:
            pass  # a connection that is gone swallows it
        elif isinstance(action, do.Drain):
            member._plan(member.machine.drained(member.now, action.conn))
        elif isinstance(action, do.Close) and (index, action.conn) in self.links:
            self.cut(index, action.conn)
        else:
            if isinstance(action, do.Exit | do.Kill):
                for key in [key for key in self.links if key[0] == index]:
                    self.cut(*key)
            return False
        member.log.append((member.now, action))
        return True

    def cut(self, index: int, conn: int) -> None:
        """One end hangs up."""
        other, their = self.links.pop((index, conn))
        self.links.pop((other, their), None)
        peer = self.members[other]
        peer.hang_up(their)

    def _listen(self, member: _Member, action: do.Listen) -> None:
        key = action.path or action.address
        if isinstance(key, str) and key.startswith("/nonexist"):
            steps = member.machine.bind_failed(member.now, action.chardev, key, "No such file or directory")
            member._plan(steps)
            return
        self.listening[key] = member, action.chardev

    def _connect(self, index: int, member: _Member, action: do.Connect) -> None:
        found = self.listening.get(action.address)
        if found is None:
            reason = "No such file or directory" if isinstance(action.address, str) else "Connection refused"
            member._plan(member.machine.opened(member.now, action.conn, reason))
            return
        peer, name = found
        self._conn += 1
        other = self.members.index(peer)
        self.links[index, action.conn] = other, self._conn
        self.links[other, self._conn] = index, action.conn
        peer.sent[self._conn] = b""
        peer._plan(peer.machine.connected(peer.now, name, self._conn))
        peer.run(0)
        member._plan(member.machine.opened(member.now, action.conn, None))

    def _adopt(self, index: int, member: _Member, action: do.Adopt) -> None:
        reason = self.broken.get(action.fd)
        member._plan(member.machine.opened(member.now, action.conn, reason))
        if reason is not None:
            return
        if action.fd in self.files and action.reading:
            data = bytes(self.files[action.fd])
            member._plan(member.machine.received(member.now, action.conn, data))
            member._plan(member.machine.disconnected(member.now, action.conn))
            return
        self.files.setdefault(action.fd, bytearray())
        self._adopted[index, action.conn] = action.fd


class Pair:
    """Two machines, the second one waiting for the first one's guest; with a monitor on each.

    Attributes:
        here: where the guest is.
        there: where it goes.
    """

    def __init__(
        self,
        *rules: dict[str, Any],
        there: tuple[dict[str, Any], ...] = (),
        argv: tuple[str, ...] = ARGV,
        incoming: str = "unix:/run/mig",
        their_argv: tuple[str, ...] | None = None,
        events: bool = True,
    ) -> None:
        self.wires = Wires()
        self.here = self.wires.member(*rules, argv=argv)
        self.there = self.wires.member(*there, argv=(*(their_argv or argv), "-incoming", incoming))
        self.a, self.b = self.here.open(), self.there.open()
        if events:
            self.set("events")

    def set(self, *names: str) -> None:
        """Switch capabilities on, at both ends."""
        for member, conn in ((self.here, self.a), (self.there, self.b)):
            assert member.ask(conn, "migrate-set-capabilities", capabilities=capabilities(*names)) == {}

    def run(self, ns: int, step: int = 1_000_000) -> None:
        """Let time pass for both."""
        self.wires.run(ns, step)

    def said(self, member: Puppet, conn: int) -> list[str]:
        """What came since the last time, in short: events with their status, and replies."""
        return [short(message) for message in member.messages(conn)]


def short(message: dict[str, Any]) -> str:
    """An event or a reply as one word."""
    if "event" not in message:
        return "error" if "error" in message else "return"
    data = message.get("data", {})
    value = data.get("status", data.get("pass"))
    return f"{message['event']}" if value is None else f"{message['event']} {value}"
