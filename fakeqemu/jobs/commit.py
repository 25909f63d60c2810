"""Commits: what an overlay holds, written into an image below it.

Knows QEMU 7.2's block/commit.c and qmp_block_commit. Must not know states of jobs. A commit of the image that
the guest writes to is a mirror in disguise (`fakeqemu.jobs.mirror`).
"""

from __future__ import annotations

from fakeqemu.block import graph_of
from fakeqemu.block.perms import ALL, CONSISTENT_READ, RESIZE, WRITE, WRITE_UNCHANGED
from fakeqemu.jobs.engine import engine_of
from fakeqemu.jobs.job import Driver
from fakeqemu.jobs.nodes import (
    Holder,
    above,
    chain_has,
    check_node_name,
    find_backing,
    has_overlay,
    held,
    job_name,
    overlay_of,
    refuse,
    rename,
    skip_filters,
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

__all__ = ["block_commit"]


class Commit(Driver):
    """A commit of an image in the middle of a chain."""

    __slots__ = ("backing_file", "base", "filter", "graph", "opened", "overlay", "top")

    kind = "commit"

    def __init__(self, graph: Graph, top: BlockNode, base: BlockNode, overlay: BlockNode | None) -> None:
        super().__init__()
        self.graph, self.top, self.base, self.overlay = graph, top, base, overlay
        self.backing_file: str | None = None
        self.filter: BlockNode | None = None
        #: Images that were opened for writing on this occasion.
        self.opened: list[BlockNode] = []

    def fault(self) -> tuple[str, str] | None:
        """What blkdebug puts into reading or writing."""
        return wrong(self.top, self.base)

    def run(self, job: Job) -> None:
        """Its length is that of the disk; what the layers above the base hold has to be moved."""
        if self.base.size < self.top.size:
            from fakeqemu.block.sizes import truncate

            truncate(self.graph, self.base, self.top.size)
        job.pace.total = self.top.size
        job.pace.work = held(self.top, self.base)

    def mover(self) -> Mover | None:
        """All that the layers above the base hold goes into it."""
        from fakeqemu.jobs.moving import mover

        return mover(self.graph, self.top, self.base, self.base)

    def prepare(self, job: Job) -> None:
        """The layers go out of the chain (commit_prepare, bdrv_drop_intermediate)."""
        del job
        moved = held(self.top, self.base)
        self._unfilter()
        self.graph.replace(self.top, self.base)
        self.base.absorb(moved)
        if self.overlay is not None:
            rename(self.graph, self.overlay, self.backing_file or self.base.filename, self.base.driver)

    def abort(self, job: Job) -> None:
        """What was written stays."""
        self.base.absorb(job.pace.moved)

    def clean(self, job: Job) -> None:
        """Give back whatever it held."""
        del job
        if self.holder is not None:
            self.holder.let_go()
        self._unfilter()
        for node in self.opened:
            self.graph.set_read_only(node, read_only=True)
        self.opened = []

    def _unfilter(self) -> None:
        if self.filter is not None:
            if self.holder is not None:
                self.holder.let_go()
            self.graph.drop(self.filter)
            self.filter = None


def writable(driver: Commit, node: BlockNode) -> None:
    """Open an image for writing while the job lasts (bdrv_reopen_set_read_only)."""
    if node.read_only:
        driver.graph.set_read_only(node, read_only=False)
        driver.opened.append(node)


def block_commit(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``block-commit``.

    Raises:
        CommandError: what QEMU says against it.
    """
    graph = graph_of(machine)
    device = str(arguments["device"])
    try:
        node = graph.lookup(device, device)
    except CommandError:
        raise CommandError("DeviceNotFound", f"Device '{device}' not found") from None
    if has_overlay(node):
        raise refuse("Need a root block node")
    node.check_op("commit-source")
    top = _top(graph, node, arguments)
    base = _base(graph, top, arguments)
    for one in (*above(top, base), base):
        one.check_op("commit-target")
    if top is base:
        raise refuse("cannot commit an image into itself")
    name = job_name(arguments, node)
    if skip_filters(top) is skip_filters(node):
        if "backing-file" in arguments:
            raise refuse("'backing-file' specified, but 'top' is the active layer")
        from fakeqemu.jobs.mirror import commit_active

        commit_active(machine, name, top, base, arguments)
        return
    overlay = overlay_of(node, top)
    if overlay is not None:
        overlay.check_op("commit-target")
    _start(machine, name, (node, top, base, overlay), arguments)


def _top(graph: Graph, node: BlockNode, arguments: dict[str, Any]) -> BlockNode:
    if "top-node" in arguments and "top" in arguments:
        raise refuse("'top-node' and 'top' are mutually exclusive")
    if "top-node" in arguments:
        top = graph.lookup(None, arguments["top-node"])
        if not chain_has(node, top):
            raise refuse(f"'{arguments['top-node']}' is not in this backing file chain")
        return top
    if "top" in arguments and arguments["top"] != node.filename:
        found = find_backing(node, arguments["top"])
        if found is None:
            raise refuse(f"Top image file {arguments['top']} not found")
        return found
    return node


def _base(graph: Graph, top: BlockNode, arguments: dict[str, Any]) -> BlockNode:
    if "base-node" in arguments and "base" in arguments:
        raise refuse("'base-node' and 'base' are mutually exclusive")
    if "base-node" in arguments:
        base = graph.lookup(None, arguments["base-node"])
        if not chain_has(top, base):
            raise refuse(f"'{arguments['base-node']}' is not in this backing file chain")
        return base
    if "base" in arguments:
        found = find_backing(top, arguments["base"])
        if found is None:
            raise refuse(f"Can't find '{arguments['base']}' in the backing chain")
        return found
    return [one for one in top.chain() if not one.kind.filter][-1]


def _start(
    machine: FakeQemu,
    name: str,
    nodes: tuple[BlockNode, BlockNode, BlockNode, BlockNode | None],
    arguments: dict[str, Any],
) -> None:
    node, top, base, overlay = nodes
    graph = graph_of(machine)
    driver = Commit(graph, top, base, overlay)
    driver.policies = dict.fromkeys(("read", "write"), arguments.get("on-error", "report"))
    driver.backing_file = arguments.get("backing-file")
    job = engine_of(machine).asked(name, driver, arguments)
    holder = driver.holder = Holder(graph, "commit", name)
    try:
        holder.hold("main node", node, 0, ALL)
        writable(driver, base)
        check_node_name(graph, arguments.get("filter-node-name"))
        given = arguments.get("filter-node-name")
        driver.filter = graph.insert("commit_top", top, given)
        driver.filter.implicit = given is None
        driver.filter.read_only = True
        holder.hold("commit_top", driver.filter, 0, ALL)
        for one in above(top, base):
            holder.hold("intermediate node", one, 0, WRITE_UNCHANGED | WRITE)
        holder.hold("base", base, 0, ALL)
        perm = CONSISTENT_READ | WRITE | (RESIZE if base.size < top.size else 0)
        holder.use(base, perm, CONSISTENT_READ | WRITE_UNCHANGED)
        holder.use(top, 0, ALL)
    except CommandError:
        job.drop()
        raise
    job.launch()
