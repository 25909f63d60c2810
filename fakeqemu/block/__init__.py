"""The block layer: nodes and their edges, permissions, backends, image files, bitmaps, throttling, exports.

Knows QEMU 7.2's block graph: which nodes exist, who uses whom under which permissions, and what the files
behind them hold. Must not know sockets, sessions or how a command is spelled (commands stand in
`fakeqemu.commands`), nor the life of jobs (`fakeqemu.jobs`, which comes here for nodes). Nothing of it is
imported before a manager asks for a disk, but for a glance at the disks of the command line.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.block.graph import Graph, graph_of
    from fakeqemu.block.node import BlockNode, Edge

__all__ = ["BlockNode", "Edge", "Graph", "graph_of"]


def __getattr__(name: str) -> object:
    """The names above, imported when first asked for: a start-up glances at disks and needs no graph."""
    if name in ("Graph", "graph_of"):
        from fakeqemu.block import graph as home
    elif name in ("BlockNode", "Edge"):
        from fakeqemu.block import node as home  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(home, name)
    globals()[name] = found
    return found
