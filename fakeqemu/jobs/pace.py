"""How far a job has come: bytes at a rate, on the machine's time.

Knows rates and limits. Must not know what is done with the bytes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeqemu.machine import FakeQemu

__all__ = ["FAST", "Pace", "rate_of"]

#: Bytes a second of a storage about which the script says nothing.
FAST = 1 << 30
#: The least time the work of a job takes, in nanoseconds.
LEAST_NS = 1_000_000
#: Progress is made in steps of this many bytes.
STEP = 65536
SECOND = 1_000_000_000


def rate_of(machine: FakeQemu) -> int:
    """Bytes a second that a job without a limit copies: the script's ``jobs: {rate: ...}``, or fast."""
    words = machine.word("jobs")
    rate = words.get("rate") if isinstance(words, dict) else None
    return int(rate) if rate else FAST


class Pace:
    """The progress of one job.

    Attributes:
        total: what the job shows as its length, in its own units.
        work: bytes that really have to be moved; the rest of the length costs no time.
    """

    __slots__ = ("_base", "_since", "_turn", "machine", "over", "rate", "total", "work")

    def __init__(self, machine: FakeQemu, total: int, work: int) -> None:
        self.machine = machine
        self.total, self.work = total, work
        self.rate = FAST
        #: Called when the work is done.
        self.over: Callable[[], None] | None = None
        self._base = 0
        self._since: int | None = None
        self._turn = 0

    @property
    def done(self) -> bool:
        """Whether all the work has been done."""
        return self._since is None and self._base >= max(self.work, 1)

    @property
    def current(self) -> int:
        """How far the job is, of `total`."""
        if self.done:
            return self.total
        moved = self._moved()
        if not self.work:
            return 0
        return min(self.total, moved // STEP * STEP * self.total // self.work)

    def run(self, speed: int) -> None:
        """Work on, with a limit in bytes a second (0: none)."""
        self.halt()
        if self.done:
            return
        self.rate = min(speed, rate_of(self.machine)) if speed else rate_of(self.machine)
        self._since = self.machine.now_ns
        self._turn += 1
        turn = self._turn
        left = max(self.work - self._base, 0)
        wait = -(-left * SECOND // self.rate)
        if not self._base:
            wait = max(wait, LEAST_NS)
        self.machine.later(wait, lambda: self._end(turn))

    def halt(self) -> None:
        """Stand still where the work is."""
        if self._since is not None:
            self._base = min(self._moved(), max(self.work - 1, 0))
            self._since = None
            self._turn += 1

    def finish(self) -> None:
        """All is done, whatever is left."""
        self._since, self._base = None, max(self.work, 1)
        self._turn += 1

    def _moved(self) -> int:
        if self._since is None:
            return self._base
        elapsed = self.machine.now_ns - self._since
        return min(self._base + elapsed * self.rate // SECOND, self.work)

    def _end(self, turn: int) -> None:
        if turn != self._turn or self._since is None:
            return
        self.finish()
        if self.over is not None:
            self.over()
