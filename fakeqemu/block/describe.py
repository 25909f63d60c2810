"""Nodes as the query commands tell of them.

Knows bdrv_block_device_info, bdrv_query_image_info and xdbg of QEMU 7.2 ``block/qapi.c`` and
``block.c``. Must not know commands.
"""

from __future__ import annotations

from fakeqemu.block.node import BlockNode
from fakeqemu.block.perms import qapi_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.block.graph import Graph
    from fakeqemu.block.image import Image

__all__ = ["device_info", "graph_info", "image_info"]

LIMITS = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")
#: Drivers that know what an image takes up on the disk.
_WITHOUT_SIZE = ("blkdebug", "blkverify")


def actual_size(graph: Graph, node: BlockNode) -> int | None:
    """What a node's files take up (bdrv_get_allocated_file_size)."""
    if node.path is not None:
        return graph.files.allocated(node.path) if node.driver == "file" else 0
    if node.driver.startswith("null-"):
        return 0
    if node.driver in _WITHOUT_SIZE:
        return None
    edges = [edge.child for name, edge in node.edges.items() if name != "backing" or node.kind.filter]
    total = 0
    for child in edges:
        size = actual_size(graph, child)
        if size is None:
            return None
        total += size
    return total


def _informed(node: BlockNode) -> bool:
    """Whether the driver knows something about the image (bdrv_get_info)."""
    if node.path is not None or (node.kind.format and node.driver != "raw"):
        return True
    if node.driver == "raw" or node.kind.filter:
        under = node.primary()
        return under is not None and _informed(under)
    return False


def image_info(graph: Graph, node: BlockNode, *, chain: bool) -> dict[str, Any]:  # noqa: C901 - QAPI's members
    """The image of a node, and with ``chain`` those below it; members in QAPI's order."""
    image = node.image
    info: dict[str, Any] = {"filename": node.filename, "format": node.driver}
    if _informed(node):
        info["dirty-flag"] = image.dirty if image is not None else False
    taken = actual_size(graph, node)
    if taken is not None:
        info["actual-size"] = taken
    info["virtual-size"] = node.size
    under = _unfiltered(node)
    if under.image is not None and under.image.cluster_size:
        info["cluster-size"] = under.image.cluster_size
    if image is not None:
        if image.encrypted:
            info["encrypted"] = True
        if image.backing:
            info["backing-filename"] = image.backing
            info["full-backing-filename"] = image.auto_backing or image.backing
            if image.backing_format:
                info["backing-filename-format"] = image.backing_format
        if image.snapshots:
            info["snapshots"] = [snapshot.described() for snapshot in image.snapshots.values()]
    below = _without_filters(node.below())
    if chain and below is not None:
        info["backing-image"] = image_info(graph, below, chain=True)
    if image is not None and image.format == "qcow2":
        info["format-specific"] = {"type": "qcow2", "data": _qcow2(image)}
    return info


def _qcow2(image: Image) -> dict[str, Any]:
    if image.version == 2:
        return {"compat": "0.10", "refcount-bits": 16, "compression-type": "zlib"}
    found: dict[str, Any] = {
        "compat": "1.1", "extended-l2": image.extended_l2, "lazy-refcounts": image.lazy_refcounts,
        "corrupt": image.corrupt, "refcount-bits": image.refcount_bits, "compression-type": image.compression,
    }  # fmt: skip
    return found


def device_info(
    graph: Graph, node: BlockNode, backend: Backend | None = None, *, flat: bool = False
) -> dict[str, Any]:
    """A node as BlockDeviceInfo; ``backend`` brings its limits."""
    # QEMU's own filters are left out where a disk is asked for, and told of where nodes are.
    top = node if backend is None else _without_filters(node)
    backing = _without_filters(node.below()) if not node.kind.filter else None
    info: dict[str, Any] = {
        "file": node.filename, "node-name": node.name, "ro": node.read_only, "drv": node.driver,
    }  # fmt: skip
    if backing is not None:
        info["backing_file"] = backing.filename
    info["backing_file_depth"] = 0 if flat else _depth(node)
    info["encrypted"] = node.image is not None and node.image.encrypted
    info["detect_zeroes"] = node.detect_zeroes
    limits = backend.limits if backend is not None else None
    info |= limits.averages() if limits is not None else dict.fromkeys(LIMITS, 0)
    info["image"] = image_info(graph, top, chain=not flat)
    if limits is not None:
        info |= limits.bursts()
    info["cache"] = {"writeback": _writeback(backend), "direct": node.direct, "no-flush": node.no_flush}
    info["write_threshold"] = node.threshold
    if node.bitmaps:
        info["dirty-bitmaps"] = [bitmap.described() for bitmap in reversed(node.bitmaps.values())]
    return info


def _writeback(backend: Backend | None) -> bool:
    """Whether the guest's cache is on: a firmware's virtio driver knows of none (virtio_blk_set_status)."""
    if backend is None:
        return True
    if backend.kind.startswith("virtio-blk"):
        machine = backend.graph.machine
        booting = machine.boot_done is not None and machine.boot_done > machine.now_ns
        if booting and machine.runstate != "inmigrate":
            return False
    return backend.writeback


def _without_filters(node: BlockNode | None) -> Any:
    """What remains when QEMU's own filters are left out."""
    while node is not None and node.implicit and node.filtered is not None:
        node = node.filtered
    return node


def _unfiltered(node: BlockNode) -> BlockNode:
    while node.kind.filter and node.filtered is not None:
        node = node.filtered
    return node


def _depth(node: BlockNode) -> int:
    """How many images are behind it (bdrv_get_backing_file_depth)."""
    return sum(1 for below in node.chain() if not below.implicit and below.below() is not None)


def graph_info(graph: Graph, jobs: list[tuple[str, list[Any]]]) -> dict[str, Any]:  # noqa: C901 - three kinds of nodes
    """The whole graph: nodes and edges, the newest first (x-debug-query-block-graph).

    Args:
        graph: of the machine.
        jobs: each block job's id, with its uses of nodes.
    """
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    ids: dict[object, int] = {}

    def ident(thing: object) -> int:
        return ids.setdefault(thing, len(ids) + 1)

    def told(thing: object, kind: str, name: str) -> None:
        nodes.insert(0, {"name": name, "type": kind, "id": ident(thing)})

    def used(user: object, edge: Any) -> None:
        number = ident(user)
        edges.insert(
            0,
            {
                "name": edge.name, "parent": number, "shared-perm": qapi_names(edge.shared),
                "perm": qapi_names(edge.perm), "child": ident(edge.child),
            },
        )  # fmt: skip

    for backend in graph.backends:
        told(backend, "block-backend", backend.name or backend.attached)
        if backend.edge is not None:
            used(backend, backend.edge)
    for user in graph.users():
        told(user, "block-backend", "")
        for node in graph.nodes.values():
            for edge in node.parents:
                if edge.user is user:
                    used(user, edge)
    for name, uses in jobs:
        job = object()
        told(job, "block-job", name)
        for edge in uses:
            used(job, edge)
    for node in graph.nodes.values():
        told(node, "block-driver", node.name)
        for edge in reversed(node.edges.values()):
            used(node, edge)
    return {"edges": edges, "nodes": nodes}
