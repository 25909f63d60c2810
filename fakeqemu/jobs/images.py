"""Image files that a job makes: where they are, and through which node.

Knows QEMU 7.2's bdrv_co_create of the drivers as far as nodes are concerned. Must not know formats on disk
(`fakeqemu.block.images`).
"""

from __future__ import annotations

from fakeqemu.block import graph_of
from fakeqemu.block.node import User
from fakeqemu.block.perms import ALL, RESIZE, WRITE
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.node import BlockNode
    from fakeqemu.machine import FakeQemu

__all__ = ["create", "formatted"]


def create(machine: FakeQemu, options: dict[str, Any]) -> None:
    """Make an image as BlockdevCreateOptions say.

    Raises:
        CommandError: QEMU's text, or that the format is not modelled.
    """
    from fakeqemu.block import images

    graph = graph_of(machine)
    driver = options["driver"]
    if driver == "file":
        mode = options.get("preallocation", "off")
        if mode == "metadata":
            raise CommandError("GenericError", f"Unsupported preallocation mode: {mode}")
        if options["size"] < 0:
            raise CommandError("GenericError", "Could not resize file: Invalid argument")
        images.create(graph.files, "file", options)
        return
    if driver == "luks" and options.get("key-secret") is None:
        raise CommandError("GenericError", "Parameter 'key-secret' is required for cipher")
    if driver != "qcow2":
        raise CommandError("GenericError", f"Making images of format '{driver}' is not modelled")
    what = options["file"]
    opened = None if isinstance(what, str) else what
    node: BlockNode = graph.find(what) if isinstance(what, str) else _opened(graph, what)
    try:
        _format(graph, node, options)
    finally:
        if opened is not None:
            graph.release(node)


def _opened(graph: Graph, options: dict[str, Any]) -> BlockNode:
    from fakeqemu.block.opening import open_node

    made: BlockNode = graph.attempt(lambda: open_node(graph, options))
    return made


def _format(graph: Graph, node: BlockNode, options: dict[str, Any]) -> None:
    from fakeqemu.block import images
    from fakeqemu.block.opening import file_size

    images.qcow2_of(options)
    encrypt = options.get("encrypt")
    if encrypt is not None:
        if encrypt.get("key-secret") is None:
            raise CommandError("GenericError", "Parameter 'encrypt.key-secret' is required for cipher")
        raise CommandError("GenericError", "Making encrypted images is not modelled")
    user = User()
    edge = graph.attach(user, "root", node, 0, WRITE | RESIZE, ALL)
    try:
        path = node.protocol().path
        if path is not None:
            images.create(graph.files, "qcow2", {**options, "filename": path})
            node.protocol().size = file_size(graph, path)
    finally:
        node.parents.remove(edge)
        graph.refresh(node)


def formatted(path: str, form: str, size: int, backing: tuple[str, str] | None) -> str:
    """What QEMU prints when a command makes an image (bdrv_img_create)."""
    text = f"Formatting '{path}', fmt={form}"
    if form == "qcow2":
        text += " cluster_size=65536 extended_l2=off compression_type=zlib"
    text += f" size={size}"
    if backing is not None:
        text += f" backing_file={backing[0]} backing_fmt={backing[1]}"
    if form == "qcow2":
        text += " lazy_refcounts=off refcount_bits=16"
    return f"{text}\n"
