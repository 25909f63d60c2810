"""Nodes of the block graph: added, deleted, reopened, and put on top of each other."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "blockdev_add", "blockdev_del", "blockdev_reopen", "blockdev_snapshot",
    "blockdev_snapshot_delete_internal_sync", "blockdev_snapshot_internal_sync", "blockdev_snapshot_sync",
    "change_backing_file", "x_blockdev_change", "x_blockdev_set_iothread",
]  # fmt: skip


def _graph(machine: FakeQemu) -> Graph:
    from fakeqemu.block import graph_of

    return graph_of(machine)


@command("blockdev-add", takes=True)
def blockdev_add(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Open a node."""
    del session
    _graph(machine).add(arguments)


@command("blockdev-del", takes=True)
def blockdev_del(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Delete a node that nobody uses."""
    del session
    _graph(machine).remove(arguments["node-name"])


@command("blockdev-reopen", takes=True)
def blockdev_reopen(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Change options of nodes, all of them or none."""
    del session
    from fakeqemu.block.reopening import reopen

    reopen(_graph(machine), arguments["options"])


@command("blockdev-snapshot", takes=True)
def blockdev_snapshot(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Put an overlay on a node."""
    _alone(machine, session, "blockdev-snapshot", arguments)


@command("blockdev-snapshot-sync", takes=True)
def blockdev_snapshot_sync(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Make an overlay's file, open it, and put it on a node."""
    _alone(machine, session, "blockdev-snapshot-sync", arguments)


@command("blockdev-snapshot-internal-sync", takes=True)
def blockdev_snapshot_internal_sync(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Take a snapshot inside an image."""
    _alone(machine, session, "blockdev-snapshot-internal-sync", arguments)


def _alone(machine: FakeQemu, session: Session, name: str, arguments: dict[str, Any]) -> None:
    """These commands are transactions of one action (blockdev_do_action)."""
    del session
    from fakeqemu.block.transactions import run

    run(_graph(machine), [{"type": name, "data": arguments}], {})


@command("blockdev-snapshot-delete-internal-sync", takes=True)
def blockdev_snapshot_delete_internal_sync(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Delete a snapshot inside an image; what it was."""
    del session
    from fakeqemu.block.snapshots import delete_internal

    return delete_internal(_graph(machine), arguments)


@command("change-backing-file", takes=True)
def change_backing_file(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Name another backing file in an image's header."""
    del session
    from fakeqemu.block.snapshots import rename_backing

    rename_backing(_graph(machine), arguments)


@command("x-blockdev-change", takes=True)
def x_blockdev_change(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Add a child to a quorum, or take one away."""
    del session
    from fakeqemu.block.perms import DATA

    graph = _graph(machine)
    parent = graph.lookup(arguments["parent"], arguments["parent"])
    child, name = arguments.get("child"), arguments.get("node")
    if child is None and name is None:
        raise CommandError("GenericError", "Either child or node must be specified")
    if child is not None and name is not None:
        raise CommandError("GenericError", "The parameters child and node are in conflict")
    if child is not None:
        edge = parent.edges.get(child)
        if edge is None:
            raise CommandError("GenericError", f"Node '{parent.name}' does not have child '{child}'")
        if parent.driver != "quorum":
            raise CommandError("GenericError", f"The node {parent.called} does not support removing a child")
        if len(parent.edges) <= int(parent.options.get("vote-threshold", 1)):
            least = parent.options["vote-threshold"]
            text = f"The number of children cannot be lower than the vote threshold {least}"
            raise CommandError("GenericError", text)
        graph.detach(edge)
        return
    node = graph.nodes.get(str(name))
    if node is None:
        raise CommandError("GenericError", f"Node '{name}' not found")
    if parent.driver != "quorum":
        raise CommandError("GenericError", f"The node {parent.called} does not support adding a child")
    graph.attach(parent, f"children.{len(parent.edges)}", node, DATA)


@command("x-blockdev-set-iothread", takes=True)
def x_blockdev_set_iothread(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let another thread serve a node."""
    del session
    from fakeqemu.hardware import registry_of

    graph, name = _graph(machine), arguments["node-name"]
    node = graph.nodes.get(name)
    if node is None:
        raise CommandError("GenericError", f"Failed to find node with node-name='{name}'")
    if node.has_backend and not arguments.get("force"):
        text = "is associated with a BlockBackend and could be in use (use force=true to override this check)"
        raise CommandError("GenericError", f"Node {name} {text}")
    thread = arguments["iothread"]
    if thread is not None:
        thing = registry_of(machine).objects.get(thread)
        if thing is None or thing.kind != "iothread":
            raise CommandError("GenericError", f"Cannot find iothread {thread}")
