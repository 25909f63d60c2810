"""Overlays on top of nodes, and snapshots inside of images.

Knows external_snapshot_prepare, internal_snapshot_prepare and qmp_change_backing_file of QEMU 7.2
``blockdev.c``. Must not know transactions: each function does its part and notes how to take it back.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.images.mapping import Qcow2Disk
    from fakeqemu.block.node import BlockNode

__all__ = ["delete_internal", "overlay", "overlay_sync", "rename_backing", "take_internal"]


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


def _ready(graph: Graph, node: BlockNode) -> None:
    """What must hold of a node that gets an overlay."""
    del graph
    node.check_op("external-snapshot")


def overlay(graph: Graph, arguments: dict[str, Any]) -> None:
    """Put a node on another one (blockdev-snapshot).

    Raises:
        CommandError: QEMU's text.
    """
    node = graph.lookup(arguments["node"], arguments["node"])
    _ready(graph, node)
    over = graph.lookup(arguments["overlay"], arguments["overlay"])
    _put_on(graph, node, over)


def _put_on(graph: Graph, node: BlockNode, over: BlockNode) -> None:
    if over.has_backend or (over is node and over.kind.supports_backing):
        raise _fail("The overlay is already in use")
    over.check_op("external-snapshot")
    if over.backing is not None:
        raise _fail("The overlay already has a backing image")
    if not over.kind.supports_backing:
        raise _fail("The overlay does not support backing images")
    graph.set_backing(over, node)
    graph.replace(node, over)
    graph.set_read_only(node, read_only=True)


def overlay_sync(graph: Graph, arguments: dict[str, Any]) -> None:
    """Make a file, open it, and put it on a node (blockdev-snapshot-sync).

    Raises:
        CommandError: QEMU's text.
    """
    device, name = arguments.get("device"), arguments.get("node-name")
    node = graph.lookup(device, name)
    _ready(graph, node)
    new_name = arguments.get("snapshot-node-name")
    if name is not None and new_name is None:
        raise _fail("New overlay node-name missing")
    if new_name is not None and (new_name in graph.nodes or graph.backend(new_name) is not None):
        raise _fail("New overlay node-name already in use")
    format_, path = arguments.get("format", "qcow2"), arguments["snapshot-file"]
    if arguments.get("mode", "absolute-paths") != "existing":
        _make(graph, node, format_, path)
    options: dict[str, Any] = {
        "driver": format_, "backing": None, "read-only": node.read_only,
        "file": {"driver": "file", "filename": path},
        "cache": {"direct": node.direct, "no-flush": node.no_flush},
        "discard": node.discard,
    }  # fmt: skip
    if new_name is not None:
        options["node-name"] = new_name
    from fakeqemu.block.opening import open_node

    over = open_node(graph, options)
    image = over.image
    if image is not None and image.auto_backing is None and image.backing is not None:
        image.auto_backing = image.backing
    _put_on(graph, node, over)


def _make(graph: Graph, node: BlockNode, format_: str, path: str) -> None:
    from fakeqemu.block import images
    from fakeqemu.block.drivers import DRIVERS

    kind = DRIVERS.get(format_)
    if kind is None or not (kind.format or kind.name == "file"):
        raise _fail(f"Unknown file format '{format_}'")
    if not kind.supports_backing:
        text = f"Backing file not supported for file format '{format_}'"
        raise _fail(text)
    made = {
        "filename": path, "size": node.size, "backing-file": node.filename, "backing-fmt": node.driver,
    }  # fmt: skip
    images.create(graph.files, format_, made)


def rename_backing(graph: Graph, arguments: dict[str, Any]) -> None:
    """change-backing-file.

    Raises:
        CommandError: QEMU's text.
    """
    from fakeqemu.block.images import rewrite_backing

    top = graph.lookup(arguments["device"], arguments["device"])
    from fakeqemu.jobs.nodes import has_overlay

    if has_overlay(top):
        raise _fail("Need a root block node")
    image_node = graph.lookup(None, arguments["image-node-name"])
    if image_node.backing is None:
        raise _fail("not allowing backing file change on an image without a backing file")
    if image_node not in list(top.chain()):
        raise _fail(f"'{arguments['device']}' and image file are not in the same chain")
    top.check_op("change")
    image = image_node.image
    if image is None or image_node.driver != "qcow2":
        raise _fail(
            f"Could not change backing file to '{arguments['backing-file']}': Operation not supported"
        )
    path = image_node.protocol().path
    old_format = image_node.backing.driver
    if path is not None and graph.files.known(path):
        rewrite_backing(graph.files, path, image, arguments["backing-file"], old_format)
    image.backing, image.backing_format = arguments["backing-file"], old_format
    image.auto_backing = arguments["backing-file"]


def take_internal(graph: Graph, arguments: dict[str, Any]) -> None:
    """Take a snapshot inside an image (blockdev-snapshot-internal-sync).

    Raises:
        CommandError: QEMU's text.
    """
    device, name = arguments["device"], arguments["name"]
    from fakeqemu.block.images.disks import Trouble
    from fakeqemu.jobs.nodes import root_node

    node = root_node(graph.machine, device)
    node.check_op("internal-snapshot")
    if node.read_only:
        raise _fail(f"Device '{device}' is read only")
    image = node.image
    if image is None or node.driver not in ("qcow2", "qcow2v3"):
        text = f"Block format '{node.driver}' used by device '{device}' does not support internal snapshots"
        raise _fail(text)
    if not name:
        raise _fail("Name is empty")
    if any(snapshot.name == name for snapshot in image.snapshots.values()):
        raise _fail(f"Snapshot with name '{name}' already exists on device '{device}'")
    machine = graph.machine
    made = image.add_snapshot(name, (machine.wall_ns + machine.now_ns) // 1000 * 1000, 0)
    graph.note(lambda: image.snapshots.pop(made.ident, None))

    def take(disk: Qcow2Disk) -> None:
        from fakeqemu.block.images import inside

        inside.checked(disk)
        inside.take(disk, made, b"")
        graph.note(lambda: inside.forget(disk, made.ident))

    try:
        _in_file(graph, node, take)
    except Trouble as error:
        image.snapshots.pop(made.ident, None)
        raise _fail(f"Failed to create snapshot '{name}' on device '{device}': {error.text}") from error


def _in_file(graph: Graph, node: BlockNode, act: Callable[[Qcow2Disk], None]) -> None:
    """Do something to the image's file, if there is one.

    Raises:
        Trouble: it cannot be done.
    """
    from fakeqemu.jobs.moving import qcow2_in

    disk = qcow2_in(graph, node)
    if disk is not None:
        act(disk)


def delete_internal(graph: Graph, arguments: dict[str, Any]) -> dict[str, Any]:
    """Delete a snapshot inside an image (blockdev-snapshot-delete-internal-sync); what it was.

    Raises:
        CommandError: QEMU's text.
    """
    device, ident, name = arguments["device"], arguments.get("id"), arguments.get("name")
    node = graph.lookup(device, device)
    if ident is None and name is None:
        raise _fail("Name or id must be provided")
    node.check_op("internal-snapshot-delete")
    image = node.image
    from fakeqemu.block.images import inside
    from fakeqemu.block.images.disks import Trouble

    if image is None or node.driver != "qcow2":
        raise _fail("Failed to get a snapshot list: Operation not supported")
    for key, snapshot in list(image.snapshots.items()) if image is not None else ():
        if ident in (None, key) and name in (None, snapshot.name) and image is not None:
            try:
                _in_file(graph, node, lambda disk, key=key: inside.forget(disk, key))  # type: ignore[misc]
            except Trouble as error:
                text = f"Failed to delete snapshot '{snapshot.name}' on device '{device}': {error.text}"
                raise _fail(text) from error
            del image.snapshots[key]
            return snapshot.described()
    wanted = f"Snapshot with id '{ident or 'null'}' and name '{name or 'null'}'"
    raise _fail(f"{wanted} does not exist on device '{device}'")
