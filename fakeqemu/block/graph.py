"""The block graph of a machine: every node, who uses it, and whether that goes together.

Knows the graph and its permission rules (QEMU 7.2 ``block.c``). Must not know commands nor files.
"""

from __future__ import annotations

from fakeqemu.block.node import BlockNode, Edge, User
from fakeqemu.block.perms import ALL, CONSISTENT_READ, RESIZE, WRITE, WRITE_UNCHANGED, child_perms, names
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.block.drivers import Driver
    from fakeqemu.machine import FakeQemu

__all__ = ["Graph", "graph_of"]


class Graph:
    """The nodes of one machine.

    Attributes:
        nodes: by name, in the order in which they were made.
        backends: the guest's disks and drives.
        groups: throttle groups by name.
    """

    __slots__ = ("_counter", "_files", "_serial", "backends", "exports", "groups", "machine", "nodes", "undo")

    def __init__(self, machine: FakeQemu) -> None:
        self.machine = machine
        self.nodes: dict[str, BlockNode] = {}
        self.backends: list[Backend] = []
        self.groups: dict[str, Any] = {}
        self.exports: Any = None
        self._counter = 0
        self._files: Any = None
        #: While it is a list, whatever changes the graph adds here how to take it back.
        self.undo: list[Callable[[], None]] | None = None

    # -- nodes ----------------------------------------------------------------------------------------------

    def add(self, options: dict[str, Any]) -> BlockNode:
        """Open a node as blockdev-add does, with what it needs below.

        Raises:
            CommandError: QEMU's text.
        """
        from fakeqemu.block.opening import add

        return add(self, options)

    def remove(self, name: str) -> None:
        """Delete a node as blockdev-del does.

        Raises:
            CommandError: it is not there, or somebody uses it.
        """
        from fakeqemu.block.opening import remove

        remove(self, name)

    def find(self, name: str) -> BlockNode:
        """A node by its name, or by its backend's.

        Raises:
            CommandError: there is none.
        """
        return self.lookup(name, name)

    def lookup(self, device: str | None, node: str | None) -> BlockNode:
        """A node by its backend's name or its own (bdrv_lookup_bs).

        Raises:
            CommandError: there is none, or the drive is empty.
        """
        if device is not None:
            backend = self.backend(device)
            if backend is not None:
                if backend.node is None:
                    raise CommandError("GenericError", f"Device '{device}' has no medium")
                return backend.node
        found = self.nodes.get(node) if node is not None else None
        if found is None:
            text = f"Cannot find device='{device or ''}' nor node-name='{node or ''}'"
            raise CommandError("GenericError", text)
        return found

    def backend(self, name: str) -> Backend | None:
        """The backend of that name (a -drive's id)."""
        return next((backend for backend in self.backends if backend.name and backend.name == name), None)

    def new_name(self) -> str:
        """A name for a node that was given none (id_generate)."""
        self._counter += 1
        return f"#block{self._counter - 1}{self.machine.chance('block').randrange(100):02d}"

    # -- edges ----------------------------------------------------------------------------------------------

    def attach(
        self, user: BlockNode | User, name: str, child: BlockNode, role: int, perm: int = 0, shared: int = ALL
    ) -> Edge:
        """Let somebody use a node.

        Raises:
            CommandError: what it asks for does not go together with the other users.
        """
        edge = Edge(user, name, child, role, perm, shared)
        child.parents.insert(0, edge)
        if isinstance(user, BlockNode):
            user.edges[name] = edge
        return edge

    def detach(self, edge: Edge) -> None:
        """End a use; a node that nobody needs any more goes."""
        edge.child.parents.remove(edge)

    def replace(self, old: BlockNode, new: BlockNode) -> None:
        """Let all users of ``old`` use ``new`` from now on (bdrv_replace_node).

        Raises:
            CommandError: that would not go together.
        """
        raise NotImplementedError

    def insert(self, driver: str, node: BlockNode, name: str | None = None) -> BlockNode:
        """Put a filter (``mirror_top``, ``commit_top``, ...) between a node and all its users."""
        raise NotImplementedError

    def drop(self, node: BlockNode) -> None:
        """Take a filter out again: its users use what was below it."""
        raise NotImplementedError

    def set_backing(self, node: BlockNode, backing: BlockNode | None) -> None:
        """Give a node another backing image."""
        raise NotImplementedError


def graph_of(machine: FakeQemu) -> Graph:
    """The block graph of a machine; made when first asked for."""
    graph: Graph | None = machine.parts.get("block")
    if graph is None:
        graph = machine.parts["block"] = Graph(machine)
    return graph
