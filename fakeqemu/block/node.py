"""A node of the block graph, and the edges between users and nodes.

Knows what a node is and who uses it. Must not know how one is opened (`fakeqemu.block.opening`) nor how it
is described (`fakeqemu.block.describe`).
"""

from __future__ import annotations

from fakeqemu.block.perms import (
    ALL,
    CONSISTENT_READ,
    FILTERED,
    RESIZE,
    WRITE,
    WRITE_UNCHANGED,
    child_perms,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from fakeqemu.block.bitmaps import Bitmap
    from fakeqemu.block.drivers import Driver
    from fakeqemu.block.image import Image

__all__ = ["BlockNode", "Edge", "User"]


class User:
    """Whoever uses nodes without being one: the backend of a guest's disk, a job, an export."""

    __slots__ = ()

    def description(self) -> str:
        """What an error message calls it."""
        return "an unnamed block device"

    @property
    def backend_name(self) -> str:
        """The name of the block backend it is, or nothing."""
        return ""

    @property
    def is_backend(self) -> bool:
        """Whether it is a block backend (bdrv_has_blk)."""
        return False

    def writes(self) -> int:
        """Bytes it has written into its node since it began to use it."""
        return 0

    def moved(self) -> None:
        """It uses another node from now on."""


class Edge:
    """Somebody's use of a node: ``name`` is the child's ("file", "backing", "root", ...).

    A ``fixed`` use stays with its node when all others move to another one: a job's.
    """

    __slots__ = ("child", "fixed", "name", "perm", "role", "shared", "user")

    def __init__(  # noqa: PLR0917 - an edge is that much
        self, user: BlockNode | User, name: str, child: BlockNode, role: int, perm: int = 0, shared: int = ALL
    ) -> None:
        self.user, self.name, self.child, self.role = user, name, child, role
        self.perm, self.shared = perm, shared
        self.fixed = False

    def told(self) -> str:
        """The edge as an error message tells of it (bdrv_child_user_desc)."""
        user = self.user
        return f"node '{user.name}'" if isinstance(user, BlockNode) else user.description()


class BlockNode:
    """One node.

    Attributes:
        name: its node-name; one was made up for a node that was given none.
        driver: its driver's name.
        options: what it was opened with, nested as the command had it, without its children.
        edges: its children by name, in the order of their opening.
        parents: the edges of its users, the newest first.
        size: of the disk, in bytes.
        read_only: whether it was opened read-only.
        monitored: whether the manager made it (blockdev-add) and has to delete it.
        image: what is known of the image, for a driver that has one.
        blockers: reasons why operations are refused: (owner, reason, the operations, or None for all).
        path: of the file, for a node that opened one itself; others that open it must get their locks.
        implicit: whether QEMU put it in itself, and most queries leave it out.
        unlocked: whether it takes no locks on its file.
        detect_zeroes: what becomes of zeroes that are written.
        written: bytes that were written into this layer since it was opened.
        threshold: offset whose crossing by a write is told once, or 0.
    """

    __slots__ = (
        "bitmaps",
        "blockers",
        "detect_zeroes",
        "direct",
        "discard",
        "driver",
        "edges",
        "force_share",
        "image",
        "implicit",
        "kind",
        "monitored",
        "name",
        "no_flush",
        "options",
        "parents",
        "path",
        "read_only",
        "size",
        "threshold",
        "unlocked",
        "written",
    )  # fmt: skip

    def __init__(self, name: str, kind: Driver, options: dict[str, Any]) -> None:
        self.name, self.kind, self.driver, self.options = name, kind, kind.name, options
        self.edges: dict[str, Edge] = {}
        self.parents: list[Edge] = []
        self.size = 0
        self.read_only = self.monitored = self.force_share = self.direct = self.no_flush = False
        self.implicit = self.unlocked = False
        self.detect_zeroes = "off"
        self.discard = "ignore"
        self.image: Image | None = None
        self.path: str | None = None
        self.blockers: list[tuple[object, str, frozenset[str] | None]] = []
        self.bitmaps: dict[str, Bitmap] = {}
        self.threshold = 0
        self.written = 0

    # -- the graph around it --------------------------------------------------------------------------------

    @property
    def children(self) -> dict[str, BlockNode]:
        """The nodes it uses, by the name of the child ("file", "backing", "children.0", ...)."""
        return {name: edge.child for name, edge in self.edges.items()}

    def child(self, name: str) -> BlockNode | None:
        """The child of that name, if there is one."""
        edge = self.edges.get(name)
        return edge.child if edge is not None else None

    @property
    def backing(self) -> BlockNode | None:
        """The next image of the chain, or None."""
        return self.child("backing")

    @property
    def filtered(self) -> BlockNode | None:
        """The node that a filter passes everything to, or None."""
        if not self.kind.filter:
            return None
        return self.child("backing") or self.child("file") or self.child("image") or self.child("raw")

    def below(self) -> BlockNode | None:
        """The next node downwards: what is filtered, or the backing image (bdrv_filter_or_cow_bs)."""
        return self.filtered if self.kind.filter else self.backing

    def chain(self) -> Iterator[BlockNode]:
        """This node and all below it along filters and backing images."""
        node: BlockNode | None = self
        while node is not None:
            yield node
            node = node.below()

    def primary(self) -> BlockNode | None:
        """The child that holds what the node shows (bdrv_primary_bs)."""
        for name in self.kind.primary:
            edge = self.edges.get(name)
            if edge is not None:
                return edge.child
        return None

    def protocol(self) -> BlockNode:
        """The node at the bottom, where the file is."""
        node = self
        while True:
            under = node.primary()
            if under is None:
                return node
            node = under

    # -- permissions ----------------------------------------------------------------------------------------

    def wanted(self) -> tuple[int, int]:
        """What its users ask for together, and what all of them share."""
        perm, shared = 0, ALL
        for edge in self.parents:
            perm |= edge.perm
            shared &= edge.shared
        return perm, shared

    def wants(self, edge: Edge) -> tuple[int, int]:
        """What it asks for on one of its children, and shares (the drivers' bdrv_child_perm)."""
        perm, shared = self.wanted()
        name = self.driver
        want, share = child_perms(edge.role, perm, shared, writable=not self.read_only, inactive=False)
        if name == "raw" and not edge.role & FILTERED:
            want &= ~(WRITE | RESIZE) | perm
        elif name == "quorum":
            want, share = perm, shared & (CONSISTENT_READ | WRITE_UNCHANGED)
        elif name == "copy-on-read" and not self.read_only:
            want |= WRITE_UNCHANGED
        elif name == "commit_top":
            want, share = 0, ALL
        elif name == "mirror_top" and self.options.get("commit"):
            want, share = want & ~CONSISTENT_READ, share | WRITE
        elif name == "copy-before-write":
            if edge.role & FILTERED:
                want, share = want | CONSISTENT_READ, share & ~(WRITE | RESIZE)
            else:
                want, share = WRITE, ALL & ~RESIZE
        if edge.child.force_share:
            share = ALL
        return want, share

    # -- what it holds --------------------------------------------------------------------------------------

    @property
    def filename(self) -> str:
        """The node's file name, or its options as a ``json:`` name (bdrv_refresh_filename)."""
        from fakeqemu.block.naming import filename

        return filename(self)

    def guest_written(self) -> int:
        """Bytes the guest, or whoever uses it, has written into it."""
        total = self.written
        for edge in self.parents:
            user = edge.user
            if isinstance(user, BlockNode):
                if user.kind.filter or user.driver == "raw":
                    total += user.guest_written()
            else:
                total += user.writes()
        return total

    def allocated(self) -> int:
        """Bytes of the disk that this layer holds itself, not its backing image."""
        if self.kind.filter:
            under = self.filtered
            return under.allocated() if under is not None else 0
        if self.image is not None:
            return min(self.size, self.image.data + self.guest_written())
        return min(self.size, self.written) if self.kind.name.startswith("null") else self.size

    def absorb(self, amount: int) -> None:
        """``amount`` bytes were copied into this layer (commit, mirror, stream, backup)."""
        if self.kind.filter:
            under = self.filtered
            if under is not None:
                under.absorb(amount)
            return
        held = self.image.data if self.image is not None else 0
        self.written = max(self.written, min(self.size - held, self.written + amount))

    def empty(self) -> None:
        """Everything in this layer was dropped: it shows its backing image again."""
        self.written = 0
        if self.image is not None:
            self.image.data = 0

    @property
    def device_name(self) -> str:
        """The name of the backend on top, if it has one (bdrv_get_device_name)."""
        for edge in self.parents:
            if isinstance(edge.user, User) and edge.user.backend_name:
                return edge.user.backend_name
        return ""

    @property
    def called(self) -> str:
        """What messages call it: by the backend's name, else by its own (bdrv_get_device_or_node_name)."""
        return self.device_name or self.name

    @property
    def has_backend(self) -> bool:
        """Whether a block backend sits on it (bdrv_has_blk)."""
        return any(isinstance(edge.user, User) and edge.user.is_backend for edge in self.parents)

    # -- operations that are refused ------------------------------------------------------------------------

    def block(self, owner: object, reason: str, operations: frozenset[str] | None = None) -> None:
        """Refuse operations (all of them for None) until ``owner`` unblocks, for ``reason``."""
        self.blockers.insert(0, (owner, reason, operations))

    def unblock(self, owner: object) -> None:
        """Take back whatever ``owner`` refused."""
        self.blockers = [blocker for blocker in self.blockers if blocker[0] is not owner]

    def check_op(self, operation: str) -> None:
        """Refuse an operation that somebody blocks (bdrv_op_is_blocked).

        Raises:
            CommandError: "Node 'x' is busy: ...".
        """
        for _, reason, operations in self.blockers:
            if operations is None or operation in operations:
                from fakeqemu.registry import CommandError

                raise CommandError("GenericError", f"Node '{self.called}' is busy: {reason}")
