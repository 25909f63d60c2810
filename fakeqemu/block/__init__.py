"""The block layer: nodes and their edges, permissions, backends, image files, bitmaps, throttling, exports.

Knows QEMU 7.2's block graph: which nodes exist, who uses whom under which permissions, and what the files
behind them hold. Must not know sockets, sessions or how a command is spelled (commands stand in
`fakeqemu.commands`), nor the life of jobs (`fakeqemu.jobs`, which comes here for nodes). Nothing of it is
imported before a manager asks for a disk.
"""

from __future__ import annotations

from fakeqemu.block.graph import Graph, graph_of
from fakeqemu.block.node import BlockNode, Edge

__all__ = ["BlockNode", "Edge", "Graph", "graph_of"]
