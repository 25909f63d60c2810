"""How a disk gets another size.

Knows bdrv_co_truncate of QEMU 7.2 and its drivers. Must not know commands.
"""

from __future__ import annotations

from fakeqemu.block.node import BlockNode, User
from fakeqemu.block.perms import ALL, FILTERED, PRIMARY, RESIZE
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.block.graph import Graph

__all__ = ["resize", "truncate"]


def resize(graph: Graph, node: BlockNode, size: int) -> None:
    """Truncate a node to a size, and whatever it stands on.

    Raises:
        CommandError: somebody's use of it forbids that, or the driver.
    """
    edge = graph.attach(User(), "root", node, FILTERED | PRIMARY, RESIZE, ALL)
    try:
        truncate(graph, node, size)
    finally:
        graph.detach(edge)
    for backend in graph.backends:
        if backend.node is not None and node in backend.node.chain() and backend.kind:
            backend.stats.settle()


def truncate(graph: Graph, node: BlockNode, size: int) -> None:  # noqa: C901 - by kind of driver
    """Truncate a node that its user may resize, and whatever it stands on.

    Raises:
        CommandError: the driver cannot.
    """
    if node.read_only and not node.kind.filter:
        raise CommandError("GenericError", "Image is read-only")
    if node.path is not None:
        reason = graph.files.resize(node.path, size)
        if reason is not None:
            raise CommandError("GenericError", f"Failed to resize the file: {reason}")
        node.size = -(-size // 512) * 512
        return
    if node.driver == "raw" or node.kind.filter:
        under = node.primary()
        offset = int(node.options.get("offset", 0)) if node.driver == "raw" else 0
        if node.driver == "raw" and "size" in node.options:
            raise CommandError("GenericError", "Cannot resize fixed-size raw disks")
        if under is not None:
            truncate(graph, under, size + offset)
            node.size = under.size - offset
        return
    if node.driver != "qcow2" or node.image is None:
        raise CommandError("GenericError", "Image format driver does not support resize")
    if size % 512:
        raise CommandError("GenericError", "The new size must be a multiple of 512")
    if node.image.snapshots and node.image.version < 3:
        raise CommandError("GenericError", "Can't resize a v2 image which has snapshots")
    from fakeqemu.block.images import set_size

    path = node.protocol().path
    if path is not None and graph.files.known(path):
        set_size(graph.files, path, node.image, size)
        protocol = node.protocol()
        length = graph.files.length(path)
        protocol.size = -(-length // 512) * 512 if length is not None else protocol.size
    elif size > 1 << 61:
        raise CommandError("GenericError", "Failed to grow the L1 table: File too large")
    node.image.size = node.size = size
