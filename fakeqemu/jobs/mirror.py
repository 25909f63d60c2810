"""Mirrors: a disk copied to another, and kept in step until it takes its place.

Knows QEMU 7.2's block/mirror.c, blockdev-mirror, drive-mirror, and the commit of an active image, which is a
mirror to one of its own backing images. Must not know states of jobs.
"""

from __future__ import annotations

from fakeqemu.block import graph_of
from fakeqemu.block.perms import ALL, CONSISTENT_READ, RESIZE, WRITE, WRITE_UNCHANGED
from fakeqemu.jobs.engine import engine_of
from fakeqemu.jobs.job import Driver
from fakeqemu.jobs.nodes import (
    Holder,
    Keeper,
    above,
    chain_has,
    check_node_name,
    held,
    job_name,
    refuse,
    root_node,
    skip_filters,
    skip_implicit,
    wrong,
)
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.node import BlockNode
    from fakeqemu.jobs.job import Job
    from fakeqemu.jobs.moving import Mover
    from fakeqemu.machine import FakeQemu

__all__ = ["Mirror", "blockdev_mirror", "commit_active", "mirror"]

#: The least and the greatest ``granularity``.
GRANULARITY = (512, 64 << 20)


class Mirror(Driver):
    """A mirror, or the commit of an active image.

    Attributes:
        source: what is copied.
        target: where to.
        base: the image below which nothing is copied; None for all.
        none: only what is written from now on.
        zeroed: the target has to be overwritten as a whole.
        replaced: the node whose place the target takes; None for the source.
        backing: what becomes the target's backing image, if ``relink``.
        extra: keeps the node that was opened for the job.
    """

    __slots__ = (
        "backing", "base", "extra", "filter", "graph", "kind", "none", "opened", "relink",
        "replaced", "source", "target", "zeroed",
    )  # fmt: skip

    two_phase = True
    chunk = 16 << 20
    swift = False

    def __init__(self, graph: Graph, source: BlockNode, target: BlockNode, kind: str = "mirror") -> None:
        super().__init__()
        self.graph, self.source, self.target = graph, source, target
        self.kind = kind
        self.base: BlockNode | None = None
        self.none = self.zeroed = self.relink = False
        self.replaced: BlockNode | None = None
        self.backing: BlockNode | None = None
        self.filter: BlockNode | None = None
        self.opened: list[BlockNode] = []
        self.extra = Keeper(graph)

    def fault(self) -> tuple[str, str] | None:
        """What blkdebug puts into reading or writing."""
        return wrong(self.source, self.target)

    def run(self, job: Job) -> None:
        """Its length is what has to be copied; of a whole disk, what cannot be known to be zero."""
        if self.kind == "mirror" and self.source.size != self.target.size:
            raise refuse("Source and target image have different sizes")
        if self.kind == "commit" and self.target.size < self.source.size:
            from fakeqemu.block.sizes import truncate

            truncate(self.graph, self.target, self.source.size)
        if self.none:
            job.pace.total, job.pace.instant = 0, True
            return
        job.pace.work = held(self.source, self.base)
        job.pace.total = self.source.size if self.zeroed else job.pace.work

    def mover(self) -> Mover | None:
        """All that is above the base; of a whole disk, zeroes too."""
        from fakeqemu.jobs.moving import mover

        whole = self.kind == "mirror" and self.base is None
        return mover(self.graph, self.source, self.base, self.target, whole=whole)

    def complete(self, job: Job) -> None:
        """Whoever is to be replaced must not be in use."""
        del job
        if self.replaced is not None:
            self.replaced.check_op("replace")

    def prepare(self, job: Job) -> None:
        """The target takes the source's place, unless the job was only cancelled (mirror_exit_common)."""
        moved = held(self.source, self.base)
        if not self.none:
            self.target.absorb(max(moved - self.target.allocated(), 0) if self.kind == "mirror" else moved)
        self._unfilter()
        if self.relink and skip_filters(self.target).backing is not self.backing:
            self.graph.set_backing(skip_filters(self.target), self.backing)
        if job.cancelled:
            return
        place = self.replaced or self.source
        self.graph.replace(place, self.target)
        if not place.read_only:
            self.opened = [node for node in self.opened if node is not self.target]

    def abort(self, job: Job) -> None:
        """What was written stays."""
        self.target.absorb(job.pace.moved)

    def clean(self, job: Job) -> None:
        """Give back whatever it held."""
        del job
        self._unfilter()
        if self.holder is not None:
            self.holder.let_go()
        for node in self.opened:
            self.graph.set_read_only(node, read_only=True)
        self.opened = []
        self.extra.let_go()

    def _unfilter(self) -> None:
        if self.filter is not None:
            if self.holder is not None:
                self.holder.let_go()
            self.graph.drop(self.filter)
            self.filter = None


def _policies(arguments: dict[str, Any]) -> dict[str, str]:
    both = arguments.get("on-error", "report")
    return {
        "read": arguments.get("on-source-error", both),
        "write": arguments.get("on-target-error", both),
    }


def blockdev_mirror(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``blockdev-mirror``.

    Raises:
        CommandError: what QEMU says against it.
    """
    graph = graph_of(machine)
    node = root_node(machine, str(arguments["device"]))
    target = graph.lookup(arguments["target"], arguments["target"])
    driver = Mirror(graph, node, target)
    driver.zeroed = arguments["sync"] == "full" and target.discard != "unmap"
    mirror(machine, driver, arguments)


def mirror(machine: FakeQemu, driver: Mirror, arguments: dict[str, Any]) -> None:
    """What all commands that mirror do in the end (blockdev_mirror_common, mirror_start).

    Raises:
        CommandError: what QEMU says against it.
    """
    node, target, sync = driver.source, driver.target, arguments["sync"]
    granularity = arguments.get("granularity", 0)
    if granularity and not GRANULARITY[0] <= granularity <= GRANULARITY[1]:
        raise refuse("Parameter 'granularity' expects a value in range [512B, 64MB]")
    if granularity & (granularity - 1):
        raise refuse("Parameter 'granularity' expects a power of 2")
    node.check_op("mirror-source")
    target.check_op("mirror-target")
    if sync == "top" and skip_filters(node).backing is None:
        sync = "full"
    replaces = arguments.get("replaces")
    if replaces is None and skip_implicit(node) is not node:
        driver.replaced = skip_implicit(node)
    elif replaces is not None:
        driver.replaced = _to_replace(driver.graph, node, replaces)
    if sync in ("incremental", "bitmap"):
        raise refuse(f"Sync mode '{sync}' not supported")
    driver.none = sync == "none"
    driver.base = skip_filters(node).backing if sync == "top" else None
    driver.policies = _policies(arguments)
    _start(machine, job_name(arguments, node), driver, arguments)


def _to_replace(graph: Graph, node: BlockNode, name: str) -> BlockNode:
    found = graph.nodes.get(name)
    if found is None:
        raise refuse(f"Failed to find node with node-name='{name}'")
    found.check_op("replace")
    if skip_filters(node) is not skip_filters(found) and found not in node.children.values():
        raise refuse(
            f"Cannot replace '{name}' by a node mirrored from '{node.name}', because it cannot be "
            "guaranteed that doing so would not lead to an abrupt change of visible data"
        )
    if found.size != node.size:
        raise refuse("cannot replace image with a mirror image of different size")
    return found


def commit_active(
    machine: FakeQemu, name: str, top: BlockNode, base: BlockNode, arguments: dict[str, Any]
) -> None:
    """Commit an image to which the guest writes (commit_active_start).

    Raises:
        CommandError: what QEMU says against it.
    """
    driver = Mirror(graph_of(machine), top, base, "commit")
    driver.base = base
    driver.policies = _policies(arguments)
    if base.read_only:
        driver.graph.set_read_only(base, read_only=False)
        driver.opened.append(base)
    try:
        _start(machine, name, driver, arguments)
    except CommandError:
        for node in driver.opened:
            driver.graph.set_read_only(node, read_only=True)
        raise


def _start(machine: FakeQemu, name: str, driver: Mirror, arguments: dict[str, Any]) -> None:
    """mirror_start_job."""
    graph, source, target = driver.graph, driver.source, driver.target
    if arguments.get("buf-size", 0) < 0:
        raise refuse("Invalid parameter 'buf-size'")
    if skip_filters(source) is skip_filters(target):
        raise refuse("Can't mirror node into itself")
    given = arguments.get("filter-node-name")
    check_node_name(graph, given)
    engine_of(machine).rest_around(source)
    filter_ = driver.filter = graph.insert("mirror_top", source, given)
    filter_.implicit = given is None
    if driver.kind == "commit":  # the chain below is written to, and consistent at the top only
        filter_.options["commit"] = True
        graph.refresh(filter_)
    try:
        job = engine_of(machine).asked(name, driver, arguments)
    except CommandError:
        if driver.filter is not None:
            graph.drop(driver.filter)
            driver.filter = None
        raise
    try:
        _hold(driver, name, filter_)
    except CommandError:
        job.drop()
        raise
    job.launch()


def _hold(driver: Mirror, name: str, filter_: BlockNode) -> None:
    graph, source, target = driver.graph, driver.source, driver.target
    holder = driver.holder = Holder(graph, driver.kind, name)
    holder.hold("main node", filter_, CONSISTENT_READ, CONSISTENT_READ | WRITE_UNCHANGED | WRITE)
    holder.block(source)
    holder.mark(skip_filters(source), lambda: 0, recording=True)
    inside = chain_has(source, target)
    perm, shared = WRITE, WRITE_UNCHANGED
    if inside:
        shared |= CONSISTENT_READ | WRITE
        if target.size < source.size:
            perm |= RESIZE
    elif chain_has(source, skip_filters(target)):
        raise refuse("Cannot mirror to a filter on top of a node in the source's backing chain")
    if target.read_only:
        raise refuse("Block node is read-only")
    holder.use(target, perm, shared)
    holder.hold("target", target, 0, ALL)
    if inside:
        for node in above(source, target)[1:]:
            holder.hold("intermediate node", node, 0, WRITE_UNCHANGED | WRITE)
