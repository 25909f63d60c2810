"""How far a job has come: bytes at a rate, on the machine's time.

Knows rates and limits. Must not know what is done with the bytes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeqemu.jobs.moving import Mover
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

    A job with a limit moves a chunk at once and then sleeps until the limit allows for the next, as QEMU's
    do (RateLimit); without a limit it moves on evenly at the rate of the storage. Of a disk, what has to be
    moved comes first, and then what need not.

    Attributes:
        total: what the job shows as its length, in its own units.
        work: bytes that really have to be moved; the rest of the length costs no time.
        chunk: bytes that are moved at once.
        eager: whether a chunk is moved as soon as it goes on after a pause.
        instant: nothing has to be done at all, which takes no time.
        endless: it never comes to its end by itself.
        done: whether all has been done.
        mover: who moves real bytes meanwhile, or None; nothing is done before it is.
        trouble: told what went wrong with them.
    """

    __slots__ = (
        "_base", "_limited", "_since", "_turn", "chunk", "done", "eager", "endless", "instant", "machine",
        "mover", "over", "rate", "total", "trouble", "work",
    )  # fmt: skip

    def __init__(self, machine: FakeQemu, total: int, work: int) -> None:
        self.machine = machine
        self.total, self.work = total, work
        self.rate, self.chunk = FAST, STEP
        self.eager = True
        self.done = self.instant = self.endless = False
        #: Called when the work is done.
        self.over: Callable[[], None] | None = None
        self.mover: Mover | None = None
        self.trouble: Callable[[str, str | None], None] | None = None
        self._base = 0
        self._since: int | None = None
        self._limited = False
        self._turn = 0

    def again(self) -> None:
        """The last of it has to be done again."""
        self.done = False
        self._base = max(self.work - 1, 0) // STEP * STEP

    @property
    def current(self) -> int:
        """How far the job is, of `total`."""
        if self.done:
            return self.total
        moved = 0 if self.endless else self.moved
        if self._limited:  # what is known to be zero goes with a chunk for nothing
            moved = -(-moved // self.chunk) * self.chunk
        return min(self.total, moved)

    @property
    def moved(self) -> int:
        """Bytes that were moved so far, of `work`."""
        if self.done:
            return self.work
        if self._since is None:
            return self._base
        moved = (self.machine.now_ns - self._since) * self.rate // SECOND
        if self._limited:
            moved = (moved // self.chunk + (self.eager or not self._base)) * self.chunk
        else:
            moved = moved // STEP * STEP
        return min(self._base + moved, self.work)

    def run(self, speed: int) -> None:
        """Work on, with a limit in bytes a second (0: none)."""
        self.halt()
        if self.done or self.endless:
            return
        if self.instant:
            self.done = True
            return
        usual = rate_of(self.machine)
        self.rate, self._limited = (speed, True) if speed and speed < usual else (usual, False)
        self._since = self.machine.now_ns
        self._turn += 1
        turn = self._turn
        left = max(self.work - self._base, 0)
        if (
            self._limited and self.total <= self.work and (self.eager or not self._base)
        ):  # nobody waits after the last chunk
            left = max(-(-left // self.chunk) - 1, 0) * self.chunk
        wait = -(-left * SECOND // self.rate)
        self.machine.later(max(wait, LEAST_NS), lambda: self._end(turn))
        self._move_later(turn)

    def halt(self) -> None:
        """Stand still where the work is."""
        if self._since is not None:
            self._base = min(self.moved, max(self.work - 1, 0))
            self._since = None
            self._turn += 1

    def _move_later(self, turn: int) -> None:
        """The next real bytes are moved when as many are due."""
        if self.mover is not None and not self.mover.done:
            from fakeqemu.jobs.moving import CHUNK

            self.machine.later(max(CHUNK * SECOND // self.rate, LEAST_NS), lambda: self._move(turn))

    def _move(self, turn: int) -> None:
        if turn == self._turn and self._since is not None and self._moved():
            self._move_later(turn)

    def _moved(self) -> bool:
        """Move some real bytes: whether that went well."""
        from fakeqemu.block.images.disks import Trouble

        try:
            if self.mover is not None:
                self.mover.step()
        except Trouble as error:
            self.halt()
            if self.trouble is not None:
                self.trouble(error.text, error.operation)
            return False
        return True

    def _end(self, turn: int) -> None:
        if turn != self._turn or self._since is None:
            return
        if self.mover is not None and not self.mover.done:
            if self._moved():
                self.machine.later(LEAST_NS, lambda: self._end(turn))
            return
        self._since = None
        self._turn += 1
        self.done = True
        if self.over is not None:
            self.over()
