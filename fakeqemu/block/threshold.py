"""Write thresholds: BLOCK_WRITE_THRESHOLD when the guest writes behind an offset.

Knows block/write-threshold.c of QEMU 7.2. Must not know commands.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.block.backend import Backend
    from fakeqemu.block.graph import Graph
    from fakeqemu.block.node import BlockNode

__all__ = ["arm"]


def arm(graph: Graph, node: BlockNode) -> None:
    """Look again when the guest, running on, has passed the threshold; and whenever it runs again."""
    machine = graph.machine
    if not node.threshold:
        return

    def watch(old: str, new: str) -> None:
        del old
        if node.threshold and new == "running":
            _wait(graph, node)

    machine.watchers.append(watch)
    if machine.runstate == "running":
        _wait(graph, node)


def _writer(node: BlockNode) -> Backend | None:
    """The drive whose guest writes end in this node."""
    from fakeqemu.block.backend import Backend
    from fakeqemu.block.node import BlockNode

    for edge in node.parents:
        user = edge.user
        if isinstance(user, Backend):
            return user
        if edge.name in ("file", "image", "raw") and isinstance(user, BlockNode):
            found = _writer(user)
            if found is not None:
                return found
    return None


def _wait(graph: Graph, node: BlockNode) -> None:
    backend = _writer(node)
    left = backend.stats.crossing_ns(node.threshold) if backend is not None else None
    if left is not None:
        graph.machine.later(left, lambda: _look(graph, node))


def _look(graph: Graph, node: BlockNode) -> None:
    threshold = node.threshold
    backend = _writer(node)
    if not threshold or backend is None or graph.machine.runstate != "running":
        return
    over = backend.stats.written() - threshold
    if over < 0:
        _wait(graph, node)
        return
    node.threshold = 0
    data = {"node-name": node.name, "amount-exceeded": over, "write-threshold": threshold}
    graph.machine.emit("BLOCK_WRITE_THRESHOLD", data)
