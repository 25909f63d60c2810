"""A main loop that hangs: whatever happens to the machine waits until it goes on.

Knows the inputs of a machine. Must not know why it hangs. SIGKILL, which no process can wait with, is the
driver's own business.

The machine becomes one of another class for as long as it hangs: an honest machine pays nothing.
"""

from __future__ import annotations

from fakeqemu.machine import FakeQemu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from fakeqemu.machine import Step

__all__ = ["stall", "stalled", "unstall"]

#: Bytes that wait for a hanging machine, for each connection; the driver reads no more of it then.
MAX_WAITING = 1 << 20
#: The listener of the control socket (`fakeqemu.ctl`).
CONTROL = "fakeqemu-ctl"


class _Turn:
    """The end of a stall."""

    __slots__ = ("until",)

    def __init__(self, until: int) -> None:
        self.until = until

    def __call__(self) -> None:
        """Only the driver's word counts: see `_Stalled.woken`."""


class _Pause:
    """What a hanging machine has not looked at yet."""

    __slots__ = ("held", "mute", "until", "waiting")

    def __init__(self) -> None:
        self.until: int | None = None
        self.held: list[tuple[Callable[..., list[Step]], tuple[Any, ...]]] = []
        self.waiting: dict[int, int] = {}
        self.mute: set[int] = set()


def stalled(machine: FakeQemu) -> bool:
    """Whether the machine hangs just now."""
    return type(machine) is _Stalled


def stall(machine: FakeQemu, span_ns: int) -> None:
    """Hang for so long; 0 is for ever. A stall within a stall lasts until the later of the two ends."""
    if machine.dead:
        return
    pause: _Pause = machine.parts.setdefault("stall", _Pause())
    if span_ns == 0:
        pause.until = None
    elif not stalled(machine) or (pause.until is not None and machine.now_ns + span_ns > pause.until):
        pause.until = machine.now_ns + span_ns
        machine.later(span_ns, _Turn(pause.until))
    machine.__class__ = _Stalled


def unstall(machine: FakeQemu) -> None:
    """Let a machine that hangs go on at once."""
    pause: _Pause = machine.parts["stall"]
    pause.until = machine.now_ns
    machine.later(0, _Turn(machine.now_ns))


class _Stalled(FakeQemu):
    """A machine whose main loop hangs."""

    __slots__ = ()

    def connected(self, now_ns: int, chardev: str, conn: int) -> list[Step]:
        """Wait, unless it is a client of the control socket."""
        if chardev == CONTROL:
            return FakeQemu.connected(self, now_ns, chardev, conn)
        return self._hold(FakeQemu.connected, now_ns, chardev, conn)

    def pty_opened(self, now_ns: int, chardev: str, conn: int, name: str) -> list[Step]:
        """Wait."""
        return self._hold(FakeQemu.pty_opened, now_ns, chardev, conn, name)

    def opened(self, now_ns: int, conn: int, reason: str | None) -> list[Step]:
        """Wait."""
        return self._hold(FakeQemu.opened, now_ns, conn, reason)

    def received(self, now_ns: int, conn: int, data: bytes, fds: Sequence[int] = ()) -> list[Step]:
        """Wait; of a peer that goes on sending nothing more is read. The control socket is served."""
        if self._control(conn):
            return FakeQemu.received(self, now_ns, conn, data, fds)
        pause: _Pause = self.parts["stall"]
        size = pause.waiting[conn] = pause.waiting.get(conn, 0) + len(data)
        steps = self._hold(FakeQemu.received, now_ns, conn, data, tuple(fds))
        if size > MAX_WAITING and conn not in pause.mute:
            from fakeqemu.actions import Pace

            pause.mute.add(conn)
            steps.append((0, Pace(conn, reading=False)))
        return steps

    def drained(self, now_ns: int, conn: int) -> list[Step]:
        """Wait."""
        return self._hold(FakeQemu.drained, now_ns, conn)

    def disconnected(self, now_ns: int, conn: int) -> list[Step]:
        """Wait."""
        if self._control(conn):
            return FakeQemu.disconnected(self, now_ns, conn)
        return self._hold(FakeQemu.disconnected, now_ns, conn)

    def _control(self, conn: int) -> bool:
        control = self.parts.get("ctl")
        return control is not None and conn in control.clients

    def signalled(self, now_ns: int, signum: int, sender: tuple[int, str] | None = None) -> list[Step]:
        """Wait: QEMU's main loop is where SIGTERM is obeyed."""
        return self._hold(FakeQemu.signalled, now_ns, signum, sender) if signum else []

    def woken(self, now_ns: int, token: object) -> list[Step]:
        """Wait, unless this is the end of it."""
        pause: _Pause = self.parts["stall"]
        if getattr(token, "wakeful", False):
            return FakeQemu.woken(self, now_ns, token)
        if type(token) is not _Turn:
            return self._hold(FakeQemu.woken, now_ns, token)
        if token.until != pause.until:
            return []
        return _resume(self, now_ns, pause)

    def _hold(self, what: Callable[..., list[Step]], now_ns: int, *words: Any) -> list[Step]:
        self.now_ns = now_ns
        if not self.dead:
            pause: _Pause = self.parts["stall"]
            pause.held.append((what, words))
        return []


def _resume(machine: FakeQemu, now_ns: int, pause: _Pause) -> list[Step]:
    """Look at what has happened meanwhile, in its order, until the machine hangs again."""
    from fakeqemu.actions import Pace

    machine.__class__ = FakeQemu
    steps: list[Step] = [(0, Pace(conn)) for conn in sorted(pause.mute)]
    held, pause.held = pause.held, []
    pause.waiting.clear()
    pause.mute.clear()
    pause.until = None
    for number, (what, words) in enumerate(held):
        if stalled(machine):
            pause.held = held[number:] + pause.held
            break
        steps += what(machine, now_ns, *words)
    return steps
