"""What is known of an image: its header, read once when it is opened."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Image", "Snapshot"]


class Snapshot:
    """A snapshot inside an image."""

    __slots__ = ("clock_ns", "icount", "ident", "made_ns", "name", "vm_size")

    def __init__(self, ident: str, name: str, made_ns: int, clock_ns: int, vm_size: int = 0) -> None:
        self.ident, self.name, self.made_ns, self.clock_ns, self.vm_size = (
            ident, name, made_ns, clock_ns, vm_size,
        )  # fmt: skip
        self.icount: int | None = None

    def described(self) -> dict[str, Any]:
        """As SnapshotInfo."""
        made, clock = divmod(self.made_ns, 1_000_000_000), divmod(self.clock_ns, 1_000_000_000)
        found: dict[str, Any] = {
            "id": self.ident, "name": self.name, "vm-state-size": self.vm_size, "date-sec": made[0],
            "date-nsec": made[1], "vm-clock-sec": clock[0], "vm-clock-nsec": clock[1],
        }  # fmt: skip
        if self.icount is not None:
            found["icount"] = self.icount
        return found


class Image:
    """An image's header.

    Attributes:
        format: the driver it is for.
        size: of the disk.
        cluster_size: bytes of a cluster, or 0.
        version: of the format.
        backing: the backing file's name as the header has it, or None.
        backing_format: its format, or None.
        auto_backing: that name, made full, as the node keeps it to notice another backing image.
        data: bytes of the disk that the file holds.
        snapshots: the internal ones, by id.
        encrypted: whether it is.
    """

    __slots__ = (
        "auto_backing", "backing", "backing_format", "cluster_size", "compression", "corrupt", "data",
        "dirty", "encrypted", "extended_l2", "format", "lazy_refcounts", "refcount_bits", "size", "snapshots",
        "version",
    )  # fmt: skip

    def __init__(self, format_: str, size: int, cluster_size: int = 65536) -> None:
        self.format, self.size, self.cluster_size = format_, size, cluster_size
        self.version = 3
        self.backing: str | None = None
        self.backing_format: str | None = None
        self.auto_backing: str | None = None
        self.compression = "zlib"
        self.refcount_bits = 16
        self.lazy_refcounts = self.corrupt = self.extended_l2 = self.encrypted = self.dirty = False
        self.data = 0
        self.snapshots: dict[str, Snapshot] = {}

    def add_snapshot(self, name: str, made_ns: int, clock_ns: int, vm_size: int = 0) -> Snapshot:
        """Take an internal snapshot; its id is one more than the greatest."""
        ident = str(max((int(key) for key in self.snapshots if key.isdigit()), default=0) + 1)
        made = self.snapshots[ident] = Snapshot(ident, name, made_ns, clock_ns, vm_size)
        return made
