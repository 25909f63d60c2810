"""What block jobs need to find and hold in the block graph.

Knows QEMU 7.2's ways through a chain of images. Must not know jobs' states.
"""

from __future__ import annotations

from fakeqemu.block import graph_of
from fakeqemu.block.node import BlockNode, User
from fakeqemu.block.perms import ALL
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.node import Edge
    from fakeqemu.machine import FakeQemu

__all__ = [
    "Holder", "Keeper", "above", "chain_has", "check_node_name", "find_backing", "has_overlay", "held",
    "job_name", "overlay_of", "refuse", "rename", "root_node", "skip_filters", "skip_implicit", "wrong",
]  # fmt: skip


def wrong(reading: BlockNode, writing: BlockNode) -> tuple[str, str] | None:
    """An error that a blkdebug node puts into reading or writing; one that is for once is taken out."""
    from os import strerror

    for node, operation in ((reading, "read"), (writing, "write")):
        for one in node.chain():
            rules = one.options.get("inject-error") if one.driver == "blkdebug" else None
            for rule in rules or ():
                if rule.get("iotype", operation) == operation and not rule.get("spent"):
                    if rule.get("once"):
                        rule["spent"] = True
                    return strerror(rule.get("errno", 5)), operation
    return None


def refuse(text: str) -> CommandError:
    """The usual error."""
    return CommandError("GenericError", text)


class Keeper(User):
    """Whoever opened a node for a job, and lets it go with the job (bdrv_ref, bdrv_unref)."""

    __slots__ = ("edges", "graph")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.edges: list[Edge] = []

    def keep(self, node: BlockNode) -> None:
        """Keep a node until further notice."""
        self.edges.append(self.graph.attach(self, "kept", node, 0, 0, ALL))

    def let_go(self) -> None:
        """Keep nothing any more; a node that nobody uses goes."""
        while self.edges:
            self.graph.detach(self.edges.pop())


class Unnamed(User):
    """The backend without a name through which a job writes to its target."""

    __slots__ = ()

    @property
    def is_backend(self) -> bool:
        """It is one."""
        return True


class Holder(User):
    """A job as a user of nodes: what it holds and what it blocks.

    Attributes:
        kind: of the job.
        name: of the job.
        edges: its uses.
        nodes: those on which it refuses operations.
        marks: its own dirty bitmaps: the node, and the key there.
    """

    __slots__ = ("edges", "graph", "kind", "marks", "name", "nodes")

    def __init__(self, graph: Graph, kind: str, name: str) -> None:
        self.graph, self.kind, self.name = graph, kind, name
        self.edges: list[Edge] = []
        self.nodes: list[BlockNode] = []
        self.marks: list[tuple[BlockNode, str]] = []

    def description(self) -> str:
        """What an error message calls it (child_job_get_parent_desc)."""
        return f"{self.kind} job '{self.name}'"

    def hold(self, name: str, node: BlockNode, perm: int, shared: int) -> None:
        """Use a node, and refuse whatever somebody wants to do with it (block_job_add_bdrv).

        Raises:
            CommandError: the permissions do not go together with those of others.
        """
        edge = self.graph.attach(self, name, node, 0, perm, shared)
        edge.fixed = True
        self.edges.append(edge)
        self.block(node)

    def use(self, node: BlockNode, perm: int, shared: int) -> None:
        """Let a backend without a name, which belongs to the job, use a node (blk_new, blk_insert_bs).

        Raises:
            CommandError: the permissions do not go together with those of others.
        """
        edge = self.graph.attach(Unnamed(), "root", node, 0, perm, shared)
        edge.fixed = True
        self.edges.append(edge)

    def block(self, node: BlockNode) -> None:
        """Refuse operations on a node."""
        node.block(self, f"block device is in use by block job: {self.kind}")
        self.nodes.append(node)

    def mark(self, node: BlockNode, count: Callable[[], int], *, recording: bool) -> None:
        """Let a node show a dirty bitmap without a name, by which a job knows what is left."""
        from fakeqemu.block.bitmaps import Bitmap

        class Own(Bitmap):
            """Counts what the job says."""

            __slots__ = ()

            def marked(self) -> int:
                """What is left."""
                return count()

        made = Own(node, "", 65536)
        made.enabled = recording
        key = f"\0{self.name}/{len(self.marks)}"
        node.bitmaps[key] = made
        self.marks.append((node, key))

    def touches(self, node: BlockNode) -> bool:
        """Whether it holds something of a node's chain, above or below."""
        below = list(node.chain())
        held = [*self.nodes, *(edge.child for edge in self.edges)]
        return any(one in below or chain_has(one, node) for one in held)

    def let_go(self) -> None:
        """Give everything back."""
        for node, key in self.marks:
            node.bitmaps.pop(key, None)
        self.marks.clear()
        for node in self.nodes:
            node.unblock(self)
        self.nodes.clear()
        while self.edges:
            self.graph.detach(self.edges.pop())


def root_node(machine: FakeQemu, name: str) -> BlockNode:
    """A node that no other node uses (qmp_get_root_bs).

    Raises:
        CommandError: there is none of that name, or it is inside of a chain.
    """
    node = graph_of(machine).lookup(name, name)
    if has_overlay(node):
        raise refuse("Need a root block node")
    return node


def has_overlay(node: BlockNode) -> bool:
    """Whether another node or a job uses it (not bdrv_is_root_node)."""
    return any(isinstance(edge.user, (BlockNode, Holder)) for edge in node.parents)


def held(top: BlockNode, end: BlockNode | None) -> int:
    """Bytes that the layers from ``top`` to before ``end`` hold."""
    return min(sum(node.allocated() for node in above(top, end) if not node.kind.filter), top.size)


def rename(graph: Graph, overlay: BlockNode, name: str, form: str) -> None:
    """Write into an overlay's header what its backing file is called now; nothing if it has none."""
    image, path = overlay.image, overlay.protocol().path
    if image is None:
        return
    backing, backing_format = (name, form) if name else (None, None)
    if path is not None and image.format == "qcow2":
        from fakeqemu.block.images import rewrite_backing

        rewrite_backing(graph.files, path, image, backing, backing_format)
    image.backing, image.backing_format = backing, backing_format
    image.auto_backing = backing


def job_name(arguments: dict[str, Any], node: BlockNode) -> str:
    """The name a block job gets: its own, or that of its device (block_job_create)."""
    given = arguments.get("job-id")
    return given if isinstance(given, str) else node.device_name


def chain_has(top: BlockNode, node: BlockNode) -> bool:
    """Whether a node is in the chain of another (bdrv_chain_contains)."""
    return any(one is node for one in top.chain())


def above(top: BlockNode, end: BlockNode | None) -> list[BlockNode]:
    """The nodes of a chain from the top to before ``end``; all of it for None."""
    found = []
    for node in top.chain():
        if node is end:
            break
        found.append(node)
    return found


def overlay_of(top: BlockNode, node: BlockNode) -> BlockNode | None:
    """The image whose backing image is ``node`` (bdrv_find_overlay)."""
    last: BlockNode | None = None
    for one in top.chain():
        if skip_filters(one) is skip_filters(node):
            break
        if not one.kind.filter:
            last = one
    return last


def skip_filters(node: BlockNode) -> BlockNode:
    """What is below all filters (bdrv_skip_filters)."""
    while node.kind.filter:
        under = node.filtered
        if under is None:
            break
        node = under
    return node


def skip_implicit(node: BlockNode) -> BlockNode:
    """What is below the filters that QEMU put there itself (bdrv_skip_implicit_filters)."""
    while node.implicit:
        under = node.filtered
        if under is None:
            break
        node = under
    return node


def find_backing(top: BlockNode, name: str) -> BlockNode | None:
    """The image of that file name below ``top`` (bdrv_find_backing_image)."""
    for node in top.chain():
        named = node.image.backing if node.image is not None else None
        under = node.backing
        if node.kind.filter or under is None:
            continue
        under = skip_filters(under)
        if name in (under.filename, named):
            return under
    return None


def check_node_name(graph: Graph, name: str | None, prefix: str = "") -> None:
    """Refuse a node name that a new filter cannot have (bdrv_assign_node_name)."""
    if name is None:
        return
    from fakeqemu.jobs.engine import well_formed

    if not well_formed(name):
        raise refuse(f"{prefix}Invalid node-name: '{name}'")
    if graph.backend(name) is not None:
        raise refuse(f"{prefix}node-name={name} is conflicting with a device id")
    if name in graph.nodes:
        raise refuse(f"{prefix}Duplicate nodes with node-name='{name}'")
