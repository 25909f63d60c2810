"""Backups: what is on a disk at one moment, copied while the guest goes on.

Knows QEMU 7.2's block/backup.c and do_backup_common. Must not know states of jobs.
"""

from __future__ import annotations

from fakeqemu.block import graph_of
from fakeqemu.block.perms import CONSISTENT_READ, DATA, WRITE, WRITE_UNCHANGED
from fakeqemu.jobs.engine import engine_of
from fakeqemu.jobs.job import Driver
from fakeqemu.jobs.nodes import Holder, Keeper, check_node_name, held, job_name, refuse, skip_filters, wrong
from fakeqemu.jobs.txn import Txn
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.node import BlockNode
    from fakeqemu.jobs.job import Job
    from fakeqemu.jobs.moving import Mover
    from fakeqemu.machine import FakeQemu

__all__ = ["Backup", "backup", "prepare_backup"]

_INT_MAX = (1 << 31) - 1
#: What is copied before it is written.
CLUSTER = 65536


class Backup(Driver):
    """A backup.

    Attributes:
        source: what is copied.
        target: where to.
        sync: ``full``, ``top``, ``none`` or ``bitmap``.
        began: how much the guest had written when it began.
        bitmap: the dirty bitmap that says what to copy, or is to be cleared; or None.
        mode: what becomes of the bitmap.
        extra: keeps the node that was opened for the job.
    """

    __slots__ = ("began", "bitmap", "extra", "filter", "graph", "mode", "source", "sync", "target")

    kind = "backup"
    chunk = 1 << 20
    eager = False

    def __init__(self, graph: Graph, source: BlockNode, target: BlockNode, sync: str) -> None:
        super().__init__()
        self.graph, self.source, self.target, self.sync = graph, source, target, sync
        self.bitmap: Any = None
        self.mode = "on-success"
        #: How much the guest had written when the backup began.
        self.began = 0
        self.filter: BlockNode | None = None
        self.extra = Keeper(graph)

    def fault(self) -> tuple[str, str] | None:
        """What blkdebug puts into reading or writing."""
        return wrong(self.source, self.target)

    def run(self, job: Job) -> None:
        """Its length is that of what it copies; without anything to copy it only stands by."""
        pace = job.pace
        if self.sync == "none":
            pace.total, pace.endless = self.source.size, True
        elif self.sync == "top":
            pace.total = pace.work = self._held()
        elif self.sync == "bitmap":
            pace.total = pace.work = self.bitmap.marked()
            pace.instant = not pace.total
        else:
            # What no layer holds reads as zeroes, and is written as such in no time.
            pace.total, pace.work = self.source.size, self._held()

    def mover(self) -> Mover | None:
        """All of the disk, or what its uppermost image holds; bitmaps mark nothing in files."""
        if self.sync in ("none", "bitmap"):
            return None
        from fakeqemu.jobs.moving import mover

        source = skip_filters(self.source)
        base = source.backing if self.sync == "top" else None
        return mover(self.graph, source, base, self.target, whole=base is None)

    def commit(self, job: Job) -> None:
        """The target has it all."""
        self.target.absorb(max(min(job.pace.work, self._held()) - self.target.allocated(), 0))
        self._bitmap(job.pace.total - job.pace.current, succeeded=True)

    def abort(self, job: Job) -> None:
        """What was written stays; the bitmap is as if nothing had happened, unless it is always to follow."""
        self.target.absorb(min(job.pace.moved, self._held()))
        self._bitmap(job.pace.total - job.pace.current, succeeded=False)

    def clean(self, job: Job) -> None:
        """Give back whatever it held."""
        del job
        if self.holder is not None:
            self.holder.let_go()
        self.unfilter()
        self.extra.let_go()

    def unfilter(self) -> None:
        """Take the filter out again."""
        if self.filter is not None:
            edge = self.filter.edges.get("target")
            if edge is not None:
                self.graph.detach(edge)
            self.graph.drop(self.filter)
            self.filter = None

    def _held(self) -> int:
        source = skip_filters(self.source)
        return held(source, source.backing if self.sync == "top" else None)

    def _bitmap(self, left: int, *, succeeded: bool) -> None:
        if self.bitmap is None:
            return
        bitmap = self.bitmap
        bitmap.busy = False
        if succeeded and self.mode != "never":  # what was written meanwhile stays marked
            bitmap.dirty, bitmap.since = 0, self.began
        elif not succeeded and self.mode == "always":
            bitmap.dirty = left
        # It is made anew from itself and what recorded meanwhile.
        self.source.bitmaps.pop(bitmap.name, None)
        self.source.bitmaps[bitmap.name] = bitmap


def prepare_backup(machine: FakeQemu, arguments: dict[str, Any], *, drive: bool, txn: Txn) -> Job:
    """Make a backup job that does not run yet: for ``transaction``.

    When all actions have succeeded, `start_backup` lets it run, and after the last one of them
    ``Job.release()`` lets it go on; ``Job.cancel(force=True)`` gives it up.

    Args:
        machine: the machine.
        arguments: of ``blockdev-backup``, or of ``drive-backup``.
        drive: whether it is ``drive-backup``.
        txn: the jobs that are grouped with it; a fresh `Txn` for one of its own.

    Raises:
        CommandError: what QEMU says against it.
    """
    graph = graph_of(machine)
    if drive:
        from fakeqemu.jobs.drives import open_target

        source, target = open_target(machine, arguments, "backup")
    else:
        source = graph.lookup(arguments["device"], arguments["device"])
        target = graph.lookup(arguments["target"], arguments["target"])
    driver = Backup(graph, source, target, arguments["sync"])
    if drive:
        driver.extra.keep(target)
    held = engine_of(machine).hold_around(source)
    try:
        job = _prepare(machine, driver, arguments, txn)
    except CommandError:
        for other in reversed(held):
            other.release()
        driver.extra.let_go()
        raise
    job.pause_count += 1
    job.companions = held[::-1]
    return job


def backup(machine: FakeQemu, arguments: dict[str, Any], *, drive: bool) -> None:
    """``blockdev-backup`` or ``drive-backup``: a transaction with one action.

    Raises:
        CommandError: what QEMU says against it.
    """
    engine_of(machine).drain()
    job = prepare_backup(machine, arguments, drive=drive, txn=Txn())
    job.launch()
    job.release()


def _prepare(machine: FakeQemu, driver: Backup, arguments: dict[str, Any], txn: Txn) -> Job:
    """do_backup_common and backup_job_create."""
    source, target = driver.source, driver.target
    if driver.sync == "top" and skip_filters(source).backing is None:
        driver.sync = "full"
    _choose_bitmap(driver, arguments)
    if source is target:
        raise refuse("Source and target cannot be the same")
    if arguments.get("compress") and target.driver not in ("qcow2", "qcow", "vmdk"):
        raise refuse(f"Compression is not supported for this drive {target.device_name}")
    source.check_op("backup-source")
    target.check_op("backup-target")
    perf = arguments.get("x-perf", {})
    if not 1 <= perf.get("max-workers", 64) <= _INT_MAX:
        raise refuse(f"max-workers must be between 1 and {_INT_MAX}")
    if perf.get("max-chunk", 0) < 0:
        raise refuse("max-chunk must be zero (which means no limit) or positive")
    if source.size != target.size:
        raise refuse("Source and target image have different sizes")
    driver.policies = {
        "read": arguments.get("on-source-error", "report"),
        "write": arguments.get("on-target-error", "report"),
    }
    _filter(driver, arguments.get("filter-node-name"))
    try:
        if 0 < perf.get("max-chunk", 0) < CLUSTER:
            text = f"Required max-chunk ({perf['max-chunk']}) is less than backup cluster size ({CLUSTER})"
            raise refuse(text)
        return _job(machine, driver, arguments, txn)
    except CommandError:
        driver.unfilter()
        raise


def _filter(driver: Backup, name: str | None) -> None:
    """Copies what the guest overwrites before it does (bdrv_cbw_append)."""
    check_node_name(driver.graph, name, "Could not create node: ")
    try:
        if driver.target.read_only:
            raise refuse("Block node is read-only")
        driver.filter = _inserted(driver, name)
        driver.filter.implicit = False
        shared = CONSISTENT_READ | WRITE_UNCHANGED
        driver.graph.attach(driver.filter, "target", driver.target, DATA, WRITE, shared)
    except CommandError as error:
        driver.unfilter()
        raise refuse(f"Could not create node: {error.desc}") from None


def _inserted(driver: Backup, name: str | None) -> BlockNode:
    """Put the filter in; a target whose backing image is the source goes on using that itself."""
    own = [edge for node in driver.target.chain() for edge in node.edges.values()]
    stay = [edge for edge in own if edge.child is driver.source and not edge.fixed]
    for edge in stay:
        edge.fixed = True
    try:
        return driver.graph.insert("copy-before-write", driver.source, name)
    finally:
        for edge in stay:
            edge.fixed = False


def _job(machine: FakeQemu, driver: Backup, arguments: dict[str, Any], txn: Txn) -> Job:
    name = job_name(arguments, driver.source)
    job = engine_of(machine).asked(name, driver, arguments, txn=txn)
    holder = driver.holder = Holder(driver.graph, "backup", name)
    if driver.filter is not None:
        holder.block(driver.filter)
    holder.block(driver.target)
    driver.began = driver.source.guest_written()
    if driver.bitmap is not None:
        driver.bitmap.busy = True
        holder.mark(driver.source, lambda: 0, recording=True)
    if driver.filter is not None:
        holder.mark(driver.filter, lambda: 0, recording=False)
        holder.mark(driver.filter, lambda: driver.source.size, recording=False)
    holder.mark(skip_filters(driver.source), lambda: job.pace.total - job.pace.current, recording=False)
    return job


def _choose_bitmap(driver: Backup, arguments: dict[str, Any]) -> None:
    sync, mode, name = driver.sync, arguments.get("bitmap-mode"), arguments.get("bitmap")
    if sync in ("bitmap", "incremental") and name is None:
        raise refuse(f"must provide a valid bitmap name for '{sync}' sync mode")
    if sync == "incremental":
        if mode not in (None, "on-success"):
            raise refuse("Bitmap sync mode must be 'on-success' when using sync mode 'incremental'")
        sync = driver.sync = "bitmap"
        mode = "on-success"
    if name is not None:
        driver.bitmap = _bitmap(driver, name, sync, mode)
        driver.mode = str(mode)
    elif mode is not None:
        raise refuse("Cannot specify bitmap sync mode without a bitmap")


def _bitmap(driver: Backup, name: str, sync: str, mode: str | None) -> Any:
    found = driver.source.bitmaps.get(name)
    if found is None:
        raise refuse(f"Bitmap '{name}' could not be found")
    if mode is None:
        raise refuse("Bitmap sync mode must be given when providing a bitmap")
    found.check()
    if sync == "none":
        raise refuse("sync mode 'none' does not produce meaningful bitmap outputs")
    if mode == "never" and sync != "bitmap":
        raise refuse(
            f"Bitmap sync mode 'never' has no meaningful effect when combined with sync mode '{sync}'"
        )
    return found
