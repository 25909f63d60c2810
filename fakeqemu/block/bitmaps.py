"""Dirty bitmaps: which parts of a disk were written since somebody wanted to know.

Knows block/dirty-bitmap.c and monitor/bitmap-qmp-cmds.c of QEMU 7.2. Must not know the guest's writes: a
bitmap counts what it is told.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.node import BlockNode

__all__ = ["Bitmap", "add", "clear", "find", "merge", "remove", "set_enabled"]

MAX_NAME = 1023
DEFAULT_GRANULARITY = 65536


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


class Bitmap:
    """A bitmap: bits are set from the start of the disk, as many as bytes were written."""

    __slots__ = (
        "busy",
        "dirty",
        "enabled",
        "granularity",
        "inconsistent",
        "name",
        "node",
        "persistent",
        "since",
    )

    def __init__(self, node: BlockNode, name: str, granularity: int) -> None:
        self.node, self.name, self.granularity = node, name, granularity
        self.enabled, self.persistent, self.busy, self.inconsistent = True, False, False, False
        #: Bytes that are marked, and the node's count of written bytes when it began to look.
        self.dirty = 0
        self.since = node.guest_written()

    def marked(self) -> int:
        """Bytes that are marked, in whole granules, never more than the disk has."""
        more = self.node.guest_written() - self.since if self.enabled else 0
        granules = -(-(self.dirty + more) // self.granularity) * self.granularity
        return min(granules, self.node.size)

    def settle(self) -> None:
        """Keep what was marked so far."""
        self.dirty, self.since = self.marked(), self.node.guest_written()

    def described(self) -> dict[str, Any]:
        """As BlockDirtyInfo."""
        found: dict[str, Any] = {"name": self.name} if self.name else {}
        found |= {
            "count": self.marked(), "granularity": self.granularity,
            "recording": self.enabled, "busy": self.busy, "persistent": self.persistent,
        }  # fmt: skip
        if self.inconsistent:
            found["inconsistent"] = True
        return found

    def check(self, *, busy: bool = True) -> None:
        """bdrv_dirty_bitmap_check.

        Raises:
            CommandError: it is in use.
        """
        if busy and self.busy:
            text = "is currently in use by another operation and cannot be used"
            raise _fail(f"Bitmap '{self.name}' {text}")


def node_named(graph: Graph, name: str) -> BlockNode:
    """The node of a bitmap command.

    Raises:
        CommandError: there is none (block_dirty_bitmap_lookup's text).
    """
    try:
        return graph.lookup(name, name)
    except CommandError:
        raise _fail(f"Node '{name}' not found") from None


def find(graph: Graph, node: str, name: str) -> Bitmap:
    """A bitmap by its node and name.

    Raises:
        CommandError: there is none.
    """
    found = node_named(graph, node).bitmaps.get(name)
    if found is None:
        raise _fail(f"Dirty bitmap '{name}' not found")
    return found


def add(graph: Graph, arguments: dict[str, Any]) -> Bitmap:
    """Make one (block-dirty-bitmap-add).

    Raises:
        CommandError: QEMU's text.
    """
    name = arguments["name"]
    if not name:
        raise _fail("Bitmap name cannot be empty")
    node = graph.lookup(arguments["node"], arguments["node"])
    granularity = arguments.get("granularity")
    if granularity is None:
        cluster = node.image.cluster_size if node.image is not None else 0
        granularity = min(max(4096, cluster), 65536) if cluster else DEFAULT_GRANULARITY
    elif granularity < 512 or granularity & (granularity - 1):
        raise _fail("Granularity must be power of 2 and at least 512")
    persistent = bool(arguments.get("persistent"))
    if persistent:
        _storable(node, name)
    if name in node.bitmaps:
        raise _fail(f"Bitmap already exists: {name}")
    if len(name.encode()) > MAX_NAME:
        raise _fail(f"Bitmap name too long: {name}")
    made = node.bitmaps[name] = Bitmap(node, name, granularity)
    made.persistent = persistent
    made.enabled = not arguments.get("disabled", False)
    graph.note(lambda: node.bitmaps.pop(name, None))
    return made


def _storable(node: BlockNode, name: str) -> None:
    if node.driver != "qcow2":
        raise _fail(f"Can't store persistent bitmaps to {node.called}: Operation not supported")
    if node.image is not None and node.image.version < 3:
        text = "Cannot store dirty bitmaps in qcow2 v2 files"
        raise _fail(f"Can't make bitmap '{name}' persistent in '{node.called}': {text}")
    if name in node.bitmaps:
        raise _fail(
            f"Can't make bitmap '{name}' persistent in '{node.called}': Bitmap already exists: {name}"
        )
    if len(name.encode()) > MAX_NAME:
        text = f"Can't make bitmap '{name}' persistent in '{node.called}'"
        raise _fail(f"{text}: Name length exceeds maximum ({MAX_NAME} characters)")


def remove(graph: Graph, node: str, name: str) -> None:
    """Delete one (block-dirty-bitmap-remove).

    Raises:
        CommandError: QEMU's text.
    """
    bitmap = find(graph, node, name)
    bitmap.check()
    owner = bitmap.node
    before = dict(owner.bitmaps)
    del owner.bitmaps[name]
    graph.note(lambda: setattr(owner, "bitmaps", before))


def clear(graph: Graph, node: str, name: str) -> None:
    """Unmark everything.

    Raises:
        CommandError: QEMU's text.
    """
    bitmap = find(graph, node, name)
    bitmap.check()
    bitmap.settle()
    old = bitmap.dirty
    bitmap.dirty = 0
    graph.note(lambda: setattr(bitmap, "dirty", old))


def set_enabled(graph: Graph, node: str, name: str, *, enabled: bool) -> None:
    """Let one look, or not.

    Raises:
        CommandError: QEMU's text.
    """
    bitmap = find(graph, node, name)
    bitmap.check()
    bitmap.settle()
    old = bitmap.enabled
    bitmap.enabled = enabled
    graph.note(lambda: setattr(bitmap, "enabled", old))


def merge(graph: Graph, node: str, target: str, sources: list[Any]) -> None:
    """Mark in one what is marked in others (block-dirty-bitmap-merge).

    Raises:
        CommandError: QEMU's text.
    """
    into = find(graph, node, target)
    into.check()
    found = []
    for source in sources:
        where, name = (node, source) if isinstance(source, str) else (source["node"], source["name"])
        bitmap = into.node.bitmaps.get(name) if where == node else find(graph, where, name)
        if bitmap is None:
            raise _fail(f"Dirty bitmap '{name}' not found")
        if bitmap.node.size != into.node.size:
            sizes = f"destination size is {into.node.size}, source size is {bitmap.node.size}"
            raise _fail(f"Bitmaps are of different sizes ({sizes}) and can't be merged")
        found.append(bitmap)
    into.settle()
    old = into.dirty
    into.dirty = max([into.dirty, *(bitmap.marked() for bitmap in found)])
    graph.note(lambda: setattr(into, "dirty", old))
