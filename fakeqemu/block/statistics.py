"""What went through a disk: counters that move while the guest runs.

Knows block/accounting.c of QEMU 7.2 as far as it is shown, and a plain guest that reads and writes at steady
rates. Must not know commands.

The guest's rates are those of the script's word ``block``: ``{read: bytes/s, write: bytes/s}``; limits of the
disk hold for them. Everything follows from how long the guest has run, never from when somebody asked.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.block.node import BlockNode
    from fakeqemu.machine import FakeQemu

__all__ = ["NOTHING", "Statistics"]

SECOND = 1_000_000_000
#: Bytes a second that a guest reads and writes, and the size of one operation, unless the script says so.
READ_RATE, WRITE_RATE = 262144, 65536
READ_SIZE, WRITE_SIZE = 16384, 8192
#: What an operation takes.
READ_NS, WRITE_NS, FLUSH_NS = 91_746, 140_312, 512_004
#: What a firmware does to an empty drive: operations and bytes (INQUIRY, and what is wrong, twice).
EMPTY_TRAY = 3, 54
#: Writes between two flushes.
FLUSH_EVERY = 16

#: The counters that are always there, in QAPI's words.
NOTHING: dict[str, Any] = {
    "rd_bytes": 0, "wr_bytes": 0, "unmap_bytes": 0, "rd_operations": 0, "wr_operations": 0,
    "flush_operations": 0, "unmap_operations": 0, "rd_total_time_ns": 0, "wr_total_time_ns": 0,
    "flush_total_time_ns": 0, "unmap_total_time_ns": 0, "wr_highest_offset": 0, "rd_merged": 0,
    "wr_merged": 0, "unmap_merged": 0, "failed_rd_operations": 0, "failed_wr_operations": 0,
    "failed_flush_operations": 0, "failed_unmap_operations": 0, "invalid_rd_operations": 0,
    "invalid_wr_operations": 0, "invalid_flush_operations": 0, "invalid_unmap_operations": 0,
    "account_invalid": False, "account_failed": False, "timed_stats": [],
}  # fmt: skip


def _up_ns(machine: FakeQemu) -> int:
    """Nanoseconds the guest's system has run; before that the firmware reads one sector, and no more."""
    words = machine.word("guest")
    boot = words.get("boot", 0) if isinstance(words, dict) else 0
    return max(0, machine.ran_ns - boot) if isinstance(boot, int) else machine.ran_ns


class Statistics:
    """The counters of one disk."""

    __slots__ = ("_at", "_backend", "_machine", "_read", "_written")

    def __init__(self, machine: FakeQemu, backend: Backend) -> None:
        self._machine, self._backend = machine, backend
        #: Bytes before the last change of the rates, and the guest's time of that change.
        self._read = self._written = 0
        self._at = 0

    def _rates(self) -> tuple[int, int]:
        """Bytes a second that the guest reads and writes now."""
        backend = self._backend
        node = backend.node
        if node is None or not backend.kind or not node.size or backend.tray:
            return 0, 0
        words = self._machine.word("block")
        words = words if isinstance(words, dict) else {}
        read, write = words.get("read", READ_RATE), words.get("write", WRITE_RATE)
        if node.read_only:
            write = 0
        limits = backend.limits
        if limits is not None and limits.any:
            read = _limited(read, READ_SIZE, limits.average, "rd")
            write = _limited(write, WRITE_SIZE, limits.average, "wr")
        return read, write

    def settle(self) -> None:
        """The rates are about to change: keep what went through so far."""
        self._read, self._written = self._so_far()
        self._at = _up_ns(self._machine)

    def _so_far(self) -> tuple[int, int]:
        elapsed = _up_ns(self._machine) - self._at
        read, write = self._rates()
        # The first thing a firmware reads is the boot sector.
        first = 512 if read and self._machine.ran_ns and not self._read else 0
        more = read * elapsed // SECOND // READ_SIZE * READ_SIZE
        return self._read + first + more, self._written + write * elapsed // SECOND // WRITE_SIZE * WRITE_SIZE

    def written(self) -> int:
        """Bytes the guest has written."""
        return self._so_far()[1]

    def crossing_ns(self, offset: int) -> int | None:
        """In how many nanoseconds of the guest's time a write passes an offset; None for never."""
        _, write = self._rates()
        left = offset - self.written()
        return max(0, -(-left * SECOND // write)) if write else None

    def described(self) -> dict[str, Any]:
        """As BlockDeviceStats."""
        read, written = self._so_far()
        node = self._backend.node
        size = node.size if node is not None else 0
        reads, writes = -(-read // READ_SIZE), written // WRITE_SIZE
        if node is None and self._backend.kind == "ide-cd" and self._machine.ran_ns and not read:
            reads, read = EMPTY_TRAY
        flushes = writes // FLUSH_EVERY
        found = dict(NOTHING)
        if reads or writes:
            found = {}
            for name, nothing in NOTHING.items():
                found[name] = nothing
                if name == "unmap_merged":
                    found["idle_time_ns"] = self._machine.ran_ns % (SECOND // 16)
        found.update(
            rd_bytes=read, wr_bytes=written, rd_operations=reads, wr_operations=writes,
            flush_operations=flushes,
            rd_total_time_ns=reads * READ_NS, wr_total_time_ns=writes * WRITE_NS,
            flush_total_time_ns=flushes * FLUSH_NS,
            wr_highest_offset=min(written, size), account_invalid=True, account_failed=True,
        )  # fmt: skip
        for kind, bounds in self._backend.histograms.items():
            number = {"rd": reads, "wr": writes, "flush": flushes}[kind]
            took = {"rd": READ_NS, "wr": WRITE_NS, "flush": FLUSH_NS}[kind]
            bins = [0] * (len(bounds) + 1)
            bins[sum(1 for bound in bounds if took >= bound)] = number
            found[f"{kind}_latency_histogram"] = {"boundaries": bounds, "bins": bins}
        return found

    def saved(self) -> dict[str, int]:
        """What moves with the guest."""
        read, written = self._so_far()
        return {"read": read, "written": written}

    def restored(self, value: dict[str, Any]) -> None:
        """Take over what was saved."""
        self._read, self._written = int(value.get("read", 0)), int(value.get("written", 0))
        self._at = _up_ns(self._machine)


def _limited(rate: int, size: int, average: dict[str, int], kind: str) -> int:
    for name in ("bps", f"bps_{kind}"):
        if average[name]:
            rate = min(rate, average[name])
    for name in ("iops", f"iops_{kind}"):
        if average[name]:
            rate = min(rate, average[name] * size)
    return rate


def node_stats(node: BlockNode, *, below: bool) -> dict[str, Any]:
    """A node's own counters, with those of the nodes it uses (bdrv_query_bds_stats).

    Args:
        node: the node.
        below: whether this is about a drive, so that filters QEMU put in itself are left out.
    """
    found: dict[str, Any] = {"node-name": node.name, "stats": dict(NOTHING)}
    found["stats"]["wr_highest_offset"] = _highest(node)
    if node.driver == "file":
        found["driver-specific"] = {
            "driver": "file", "discard-nb-ok": 0, "discard-nb-failed": 0, "discard-bytes-ok": 0,
        }  # fmt: skip
    elif node.driver == "host_device":
        found["driver-specific"] = {
            "driver": "host_device", "discard-nb-ok": 0, "discard-nb-failed": 0, "discard-bytes-ok": 0,
        }  # fmt: skip
    under = node.primary()
    if under is not None and "backing" not in node.kind.primary:
        found["parent"] = node_stats(under, below=below)
    lower = node.below()
    if below and lower is not None and lower is not under:
        found["backing"] = node_stats(lower, below=below)
    return found


def _highest(node: BlockNode) -> int:
    return min(node.size, node.guest_written())
