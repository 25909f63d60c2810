"""The passes over the guest's memory: what is left, what has gone, how fast, and when to look again.

Knows ram.c and migration_update_counters() of QEMU 7.2. Must not know states, events or the stream.

Time follows the model of memory (`fakeqemu.migration.memory`): a pass takes as long as its bytes take at the
bandwidth, or as looking through the memory takes. Counters between two wakes are interpolated.
"""

from __future__ import annotations

from fakeqemu.migration.counters import ZERO, Counters, Price
from fakeqemu.migration.memory import PAGE, SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu
    from fakeqemu.migration.part import Migration

__all__ = ["Passes"]

MS = 1_000_000
#: QEMU measures its bandwidth, and from it what it may leave to the end, every so often (BUFFER_DELAY).
WINDOW = 100 * MS


class Passes:
    """How far one migration has come.

    Attributes:
        counters: what was sent.
        number: of the pass, from 1.
        zero: pages of zeroes that are left.
        normal: other pages that are left.
        where: whose bytes these are: precopy, downtime or postcopy.
        expected_ms: the downtime that QEMU expects.
        dirty_rate: pages written each second, as QEMU last measured.
        pages_rate: pages sent each second, as QEMU last measured.
        mbps: megabits sent each second, as QEMU last measured.
    """

    __slots__ = (
        "_anchor_ns", "_duration_ns", "_high", "_machine", "_migration", "_period_bytes", "_period_dirty",
        "_period_ns", "counters", "dirty_rate", "expected_ms", "mbps", "normal", "number", "pages_rate",
        "where", "zero",
    )  # fmt: skip

    def __init__(self, machine: FakeQemu, migration: Migration) -> None:
        self._machine, self._migration = machine, migration
        self.counters = Counters(Price(migration.capabilities))
        self.number = self.zero = self.normal = 0
        self.where = "precopy"
        self.expected_ms: int = migration.parameter("downtime-limit")
        self.dirty_rate = self.pages_rate = 0
        self.mbps = 0.0
        self._anchor_ns, self._duration_ns = machine.now_ns, 1
        self._period_ns, self._period_dirty, self._period_bytes, self._high = machine.now_ns, 0, 0, 0

    @property
    def left(self) -> int:
        """Pages that are left."""
        return self.zero + self.normal

    def begin(self) -> None:
        """The first pass: all of the memory."""
        memory = self._migration.memory
        memory.synchronise()
        pages, self.normal = memory.total // PAGE, memory.nonzero
        self.zero = pages - self.normal
        self._period_ns = self._machine.now_ns
        self._new_pass()
        names = sum(len(name) + 1 for name, _ in memory.blocks())
        self.counters.add(0, 0, self.where, number=1, extra=names + 8)

    def rate(self) -> int:
        """Bytes a second that may leave now."""
        link = self._migration.memory.link
        if self.where == "downtime" and self._machine.runstate == "finish-migrate":
            return link
        name = "max-postcopy-bandwidth" if self.where == "postcopy" else "max-bandwidth"
        limit: int = self._migration.parameter(name)
        return min(limit, link) if limit else link

    def fold(self) -> None:
        """Count what has been sent since the last time."""
        pages = self.left
        if not pages:
            return
        elapsed = max(0, min(self._machine.now_ns - self._anchor_ns, self._duration_ns))
        done = pages * elapsed // self._duration_ns
        normal = self.normal * done // pages
        self.counters.add(done - normal, normal, self.where, number=self.number)
        self.zero -= done - normal
        self.normal -= normal
        self._anchor_ns += elapsed
        self._duration_ns = max(1, self._duration_ns - elapsed)

    def halt(self) -> None:
        """Count what has been sent; nothing more is until `plan`."""
        self.fold()
        self._anchor_ns = 1 << 62

    def plan(self) -> int:
        """Nanoseconds that what is left takes from now on."""
        self._anchor_ns = self._machine.now_ns
        looking = self.left * PAGE * SECOND // self._migration.memory.scan
        duration = self._duration_ns = max(self._wire * SECOND // self.rate(), looking, 1)
        if self.left:
            self.pages_rate = self.left * SECOND // duration
            self.mbps = self._wire * 8_000 / duration
        return duration

    def until_look(self, duration: int, begun_ns: int) -> int:
        """Nanoseconds until QEMU looks for written pages: the end of the pass, or when the rest is small."""
        if not self.left:
            return duration
        enough = max(0, self.left - self.threshold() // PAGE)
        known = max(0, begun_ns + WINDOW - self._machine.now_ns)
        return min(duration, max(known, duration * enough // self.left, MS))

    @property
    def _wire(self) -> int:
        return self.zero * ZERO + self.normal * self.counters.price.normal(self.number)

    def threshold(self) -> int:
        """Bytes of memory that may be left to the end: as many as go over in the downtime limit."""
        limit: int = self._migration.parameter("downtime-limit")
        speed = self._wire * SECOND // self._duration_ns if self.left else self.rate()
        return speed * limit // 1000

    def look(self) -> None:
        """Look for pages that were written meanwhile: the next pass (migration_bitmap_sync)."""
        machine, memory = self._machine, self._migration.memory
        fresh = min(memory.synchronise(), memory.total // PAGE - self.left)
        self.normal += fresh
        self._period_dirty += fresh
        passed = machine.now_ns - self._period_ns
        if passed >= SECOND:
            self._throttle()
            self.dirty_rate = self._period_dirty * SECOND // passed
            if self.dirty_rate and self.left:
                self.expected_ms = self.left * PAGE * 1000 // self.rate()
            self._period_ns, self._period_dirty = machine.now_ns, 0
            self._period_bytes = self.counters.transferred
        self._new_pass()
        if fresh:
            name, _ = memory.blocks()[0]
            self.counters.add(0, 0, self.where, number=self.number, extra=len(name) + 1)

    def _new_pass(self) -> None:
        self.number += 1
        self.counters.syncs += 1
        self._anchor_ns = self._machine.now_ns

    def _throttle(self) -> None:
        """Hold the CPUs back when more is written than goes over, twice (migration_trigger_throttle)."""
        migration = self._migration
        if "auto-converge" not in migration.capabilities:
            return
        sent = self.counters.transferred - self._period_bytes
        if self._period_dirty * PAGE <= sent * int(migration.parameter("throttle-trigger-threshold")) // 100:
            return
        self._high += 1
        if self._high < 2:
            return
        self._high = 0
        memory = migration.memory
        percent = migration.parameter("cpu-throttle-initial")
        if memory.throttle:
            percent = memory.throttle + migration.parameter("cpu-throttle-increment")
        memory.hold_back(min(percent, migration.parameter("max-cpu-throttle")))
