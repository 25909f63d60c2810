"""Streams: what the images below hold, pulled up into an overlay.

Knows QEMU 7.2's block/stream.c and qmp_block_stream. Must not know states of jobs.
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
    held,
    job_name,
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

__all__ = ["block_stream"]


class Stream(Driver):
    """A stream into a node, down to a base that stays."""

    __slots__ = ("backing_file", "base", "filter", "graph", "node")

    kind = "stream"

    def __init__(self, graph: Graph, node: BlockNode, base: BlockNode | None) -> None:
        super().__init__()
        self.graph, self.node, self.base = graph, node, base
        self.backing_file: str | None = None
        self.filter: BlockNode | None = None

    def fault(self) -> tuple[str, str] | None:
        """What blkdebug puts into reading or writing."""
        return wrong(self.node, self.node)

    def run(self, job: Job) -> None:
        """Its length is that of the disk, unless there is nothing to pull."""
        if self._below() is None:
            job.pace.total, job.pace.instant = 0, True
            return
        job.pace.total = self.node.size
        job.pace.work = self._missing()

    def mover(self) -> Mover | None:
        """What the images between hold and this one does not."""
        from fakeqemu.jobs.moving import mover

        return mover(self.graph, self.node, self.base, self.node, kept=True)

    def prepare(self, job: Job) -> None:
        """The images between go out of the chain (stream_prepare)."""
        del job
        if self._below() is None:
            self._unfilter()
            return
        self.node.absorb(self._missing())
        if self.holder is not None:
            self.holder.let_go()
        self.graph.set_backing(self.node, self.base)
        base = None if self.base is None else skip_filters(self.base)
        name = self.backing_file or (base.filename if base is not None else "")
        rename(self.graph, self.node, name, base.driver if base is not None else "")
        self._unfilter()

    def abort(self, job: Job) -> None:
        """What was pulled stays."""
        self.node.absorb(min(job.pace.moved, self._missing()))

    def clean(self, job: Job) -> None:
        """Give back whatever it held."""
        del job
        if self.holder is not None:
            self.holder.let_go()
        self._unfilter()

    def _below(self) -> BlockNode | None:
        """The first image to pull from; None if there is none."""
        under = self.node.backing
        return None if under is None or under is self.base else under

    def _missing(self) -> int:
        under = self._below()
        if under is None:
            return 0
        return max(min(held(under, self.base), self.node.size - self.node.allocated()), 0)

    def _unfilter(self) -> None:
        if self.filter is not None:
            if self.holder is not None:
                self.holder.let_go()
            self.graph.drop(self.filter)
            self.filter = None


def block_stream(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``block-stream``.

    Raises:
        CommandError: what QEMU says against it.
    """
    graph = graph_of(machine)
    for one, other in (("base", "base-node"), ("base", "bottom"), ("bottom", "base-node")):
        if one in arguments and other in arguments:
            raise refuse(f"'{one}' and '{other}' cannot be specified at the same time")
    device = str(arguments["device"])
    node = graph.lookup(device, device)
    base = _base(graph, node, arguments)
    for one_node in above(node, base):
        if not one_node.kind.filter:
            one_node.check_op("stream")
    if "backing-file" in arguments and base is None:
        raise refuse("backing file specified, but streaming the entire chain")
    _start(machine, node, base, arguments)


def _base(graph: Graph, node: BlockNode, arguments: dict[str, Any]) -> BlockNode | None:
    if "base" in arguments:
        found = find_backing(node, arguments["base"])
        if found is None:
            raise refuse(f"Can't find '{arguments['base']}' in the backing chain")
        return found
    if "base-node" in arguments:
        base = graph.lookup(None, arguments["base-node"])
        if base is node or not chain_has(node, base):
            raise refuse(f"Node '{base.name}' is not a backing image of '{arguments['device']}'")
        return base
    if "bottom" in arguments:
        bottom = graph.lookup(None, arguments["bottom"])
        if bottom.kind.filter:
            raise refuse(f"Node '{bottom.name}' is a filter, use a non-filter node as 'bottom'")
        if not chain_has(node, bottom):
            raise refuse(f"Node '{bottom.name}' is not in a chain starting from '{arguments['device']}'")
        return bottom.backing
    return None


def _start(machine: FakeQemu, node: BlockNode, base: BlockNode | None, arguments: dict[str, Any]) -> None:
    graph = graph_of(machine)
    target = skip_filters(node)
    driver = Stream(graph, target, base)
    driver.policies = dict.fromkeys(("read", "write"), arguments.get("on-error", "report"))
    driver.backing_file = arguments.get("backing-file")
    given = arguments.get("filter-node-name")
    name = job_name(arguments, node)
    check_node_name(graph, given, "Could not create node: ")
    engine_of(machine).rest_around(node)
    driver.filter = graph.insert("copy-on-read", node, given)
    driver.filter.implicit = given is None
    try:
        job = engine_of(machine).asked(name, driver, arguments)
    except CommandError:
        if driver.filter is not None:
            graph.drop(driver.filter)
            driver.filter = None
        raise
    holder = driver.holder = Holder(graph, "stream", name)
    try:
        holder.hold("main node", driver.filter, 0, ALL & ~RESIZE)
        holder.hold("active node", target, 0, CONSISTENT_READ | WRITE_UNCHANGED | WRITE)
        for one in above(target, base)[1:]:
            holder.hold("intermediate node", one, 0, CONSISTENT_READ | WRITE_UNCHANGED)
    except CommandError:
        job.drop()
        raise
    job.launch()
