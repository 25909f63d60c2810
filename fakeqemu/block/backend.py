"""A block backend: the guest's disk or drive, and the node behind it.

Knows QEMU 7.2 ``block/block-backend.c`` and what the disk models ask of it (``hw/block/block.c``). Must not
know the models themselves.
"""

from __future__ import annotations

from fakeqemu.block.node import BlockNode, Edge, User
from fakeqemu.block.perms import ALL, CONSISTENT_READ, FILTERED, PRIMARY, RESIZE, WRITE, WRITE_UNCHANGED
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.statistics import Statistics
    from fakeqemu.block.throttling import Limits

__all__ = ["Backend"]


class Backend(User):
    """A disk or drive.

    Attributes:
        name: of a -drive; nothing for what a device's ``drive`` made of a node.
        ident: the device's id, or nothing.
        path: the QOM path of the device that has the medium (virtio-backend, or the device itself).
        kind: the device's model, or nothing while no device has it.
        tray_open: whether a tray is.
        edge: its use of a node, or None without a medium.
        limits: what throttles it, or None.
        writeback: whether the guest's cache is.
        stats: what went through.
    """

    __slots__ = (
        "_before",
        "_stats",
        "asks",
        "edge",
        "graph",
        "histograms",
        "ident",
        "io_status",
        "kind",
        "limits",
        "locked",
        "name",
        "owned",
        "path",
        "read_only",
        "removable",
        "resizable",
        "share",
        "tray",
        "tray_open",
        "type",
        "writeback",
    )  # fmt: skip

    def __init__(self, graph: Graph, name: str = "") -> None:
        self.graph, self.name = graph, name
        self.ident = self.path = self.kind = ""
        self.edge: Edge | None = None
        self.limits: Limits | None = None
        self.histograms: dict[str, list[int]] = {}
        self.tray = self.tray_open = self.locked = False
        #: A drive that no device has yet may get one with a removable medium.
        self.removable = True
        self.read_only = self.owned = self.resizable = False
        self.writeback = True
        self.io_status: str | None = None
        self.type = "unknown"
        self.asks, self.share = 0, ALL
        self._stats: Statistics | None = None
        #: Bytes the guest had written when the present medium came.
        self._before = 0

    @property
    def node(self) -> BlockNode | None:
        """The medium's node, or None."""
        return self.edge.child if self.edge is not None else None

    @property
    def attached(self) -> str:
        """The device's id, or its path without one (blk_get_attached_dev_id)."""
        return self.ident or self.path

    @property
    def key(self) -> str:
        """What it is found by after a migration."""
        return self.name or self.attached

    @property
    def backend_name(self) -> str:
        """The name of the backend."""
        return self.name

    @property
    def is_backend(self) -> bool:
        """It is one."""
        return True

    def description(self) -> str:
        """What an error message calls it (blk_root_get_parent_desc)."""
        name = self.name or self.attached
        return f"block device '{name}'" if name else "an unnamed block device"

    @property
    def stats(self) -> Statistics:
        """What went through it."""
        if self._stats is None:
            from fakeqemu.block.statistics import Statistics

            self._stats = Statistics(self.graph.machine, self)
        return self._stats

    def writes(self) -> int:
        """Bytes the guest has written into the medium that is in."""
        return self.stats.written() - self._before if self.kind else 0

    def moved(self) -> None:
        """The guest writes into another node from now on: a snapshot was taken, or a job has ended."""
        self._before = self.stats.written() if self.kind else 0

    # -- the medium -----------------------------------------------------------------------------------------

    def insert(self, node: BlockNode) -> None:
        """Put a medium in (blk_insert_bs).

        Raises:
            CommandError: somebody else's use of the node forbids it.
        """
        self.edge = self.graph.attach(self, "root", node, FILTERED | PRIMARY, self.asks, self.share)
        self.graph.note(lambda: setattr(self, "edge", None))

    def remove(self) -> None:
        """Take the medium out (blk_remove_bs)."""
        edge = self.edge
        if edge is None:
            return
        self.edge = None
        if self.limits is not None:
            self.limits = None
        self.graph.detach(edge)

    def ask(self, *, writes: bool, share_writes: bool, resizable: bool) -> None:
        """Ask for what a disk of the guest needs (blkconf_apply_backend_options).

        Raises:
            CommandError: somebody else's use of the node forbids it.
        """
        self.asks = CONSISTENT_READ | (WRITE if writes else 0)
        self.share = CONSISTENT_READ | WRITE_UNCHANGED | (RESIZE if resizable else 0)
        if share_writes:
            self.share |= WRITE
        edge = self.edge
        if edge is None:
            return
        old = edge.perm, edge.shared
        edge.perm, edge.shared = self.asks, self.share
        try:
            self.graph.attempt(lambda: self.graph.refresh(edge.child))
        except CommandError:
            edge.perm, edge.shared = old
            self.asks, self.share = old
            raise

    def move_tray(self, *, opened: bool) -> None:
        """The tray moves, and says so."""
        if not self.tray or self.tray_open is opened:
            return
        self.tray_open = opened
        self.told_tray(opened=opened)

    def told_tray(self, *, opened: bool) -> None:
        """Say that the tray moved."""
        data = {"device": self.name, "id": self.attached, "tray-open": opened}
        self.graph.machine.emit("DEVICE_TRAY_MOVED", data)

    def saved(self) -> dict[str, Any]:
        """What moves with the guest."""
        return {"tray": self.tray_open, "stats": self.stats.saved()}

    def restored(self, value: dict[str, Any]) -> None:
        """Take over what was saved."""
        self.tray_open = value.get("tray") is True
        stats = value.get("stats")
        if isinstance(stats, dict):
            self.stats.restored(stats)
