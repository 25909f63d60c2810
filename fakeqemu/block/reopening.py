"""How options of nodes change while they are in use.

Knows qmp_blockdev_reopen and bdrv_reopen_prepare of QEMU 7.2. Must not know commands.
"""

from __future__ import annotations

from fakeqemu.block.opening import _apply, _flags, _own
from fakeqemu.block.perms import ALL, WRITE, WRITE_UNCHANGED
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.node import BlockNode

__all__ = ["reopen"]

_ATTRIBUTES = ("read_only", "force_share", "direct", "no_flush", "discard", "detect_zeroes", "options")


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


def reopen(graph: Graph, wanted: list[dict[str, Any]]) -> None:
    """Change all of the nodes, or none.

    Raises:
        CommandError: QEMU's text.
    """
    found = []
    for options in wanted:
        name = options.get("node-name")
        if name is None:
            raise _fail("node-name not specified")
        node = graph.nodes.get(name)
        if node is None:
            raise _fail(f"Failed to find node with node-name='{name}'")
        if (
            node.kind.supports_backing
            and "backing" not in options
            and (node.backing is not None or (node.image is not None and node.image.backing is not None))
        ):
            raise _fail(f"backing is missing for '{name}'")
        found.append((node, options))
    graph.attempt(lambda: _all(graph, found))


def _all(graph: Graph, found: list[tuple[BlockNode, dict[str, Any]]]) -> None:
    for node, options in found:
        _one(graph, node, options)
    for node, _ in found:
        _readable(node)
    for node, _ in found:
        graph.refresh(node)


def _one(graph: Graph, node: BlockNode, options: dict[str, Any]) -> None:  # noqa: C901 - QEMU's checks
    if options.get("driver") != node.driver:
        raise _fail("Cannot change the option 'driver'")
    flags = _flags(options, None, 0)
    if flags["detect-zeroes"] == "unmap" and "unmap" not in (flags["discard"], node.discard):
        text = "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap"
        raise _fail(text)
    own = _own(options, node.kind.children)
    for name, value in own.items():
        if name in node.kind.strong and node.options.get(name) != value:
            raise _fail(f"Cannot change the option '{name}'")
    for name in node.kind.strong:
        if name in node.options and name not in own and name != "size":
            raise _fail(f"Cannot change the option '{name}'")
    before = {name: getattr(node, name) for name in _ATTRIBUTES}

    def back() -> None:
        for name, value in before.items():
            setattr(node, name, value)

    graph.note(back)
    if node.kind.supports_backing and "backing" in options:
        _child(graph, node, "backing", options["backing"])
    for name in node.kind.children:
        if name != "backing" and isinstance(options.get(name), str):
            _child(graph, node, name, options[name])
    _apply(node, flags)
    node.options = own


def _child(graph: Graph, node: BlockNode, name: str, wanted: Any) -> None:
    """Another child, or none (bdrv_reopen_parse_file_or_backing)."""
    old = node.child(name)
    new = None
    if isinstance(wanted, dict):
        raise (
            _fail(f"Cannot change the option '{name}'")
            if old is None
            else _fail("Cannot change the option 'driver'")
        )
    if wanted is not None:
        new = graph.nodes.get(wanted)
        backend = graph.backend(wanted)
        if new is None and backend is not None:
            new = backend.node
        if new is None:
            raise _fail(f"Cannot find device='' nor node-name='{wanted}'")
    if new is old:
        return
    if new is not None and node in list(_reached(new)):
        raise _fail(f"Making '{new.name}' a {name} child of '{node.name}' would create a cycle")
    if old is not None and old.implicit:
        raise _fail(f"Cannot replace implicit {name} child of {node.name}")
    if name == "backing":
        graph.set_backing(node, new)
    elif new is not None and old is not None:
        edge = node.edges[name]
        graph._move(edge, new)  # noqa: SLF001 - the graph's own way to move a use
        edge.perm, edge.shared = node.wants(edge)
        graph.refresh(new)


def _reached(node: BlockNode) -> list[BlockNode]:
    found = [node]
    for edge in node.edges.values():
        found += _reached(edge.child)
    return found


def _readable(node: BlockNode) -> None:
    perm, _ = node.wanted()
    if node.read_only and perm & (WRITE | WRITE_UNCHANGED) & ALL:
        raise _fail(f"Read-only block node '{node.name}' cannot support read-write users")
