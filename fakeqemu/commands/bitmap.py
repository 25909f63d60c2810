"""Dirty bitmaps."""

from __future__ import annotations

from fakeqemu.registry import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "block_dirty_bitmap_add", "block_dirty_bitmap_clear", "block_dirty_bitmap_disable",
    "block_dirty_bitmap_enable", "block_dirty_bitmap_merge", "block_dirty_bitmap_remove",
    "x_debug_block_dirty_bitmap_sha256",
]  # fmt: skip


def _graph(machine: FakeQemu) -> Graph:
    from fakeqemu.block import graph_of

    return graph_of(machine)


@command("block-dirty-bitmap-add", takes=True)
def block_dirty_bitmap_add(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Begin to look at a node."""
    del session
    from fakeqemu.block.bitmaps import add

    add(_graph(machine), arguments)


@command("block-dirty-bitmap-remove", takes=True)
def block_dirty_bitmap_remove(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Delete a bitmap."""
    del session
    from fakeqemu.block.bitmaps import remove

    remove(_graph(machine), arguments["node"], arguments["name"])


@command("block-dirty-bitmap-clear", takes=True)
def block_dirty_bitmap_clear(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Unmark everything."""
    del session
    from fakeqemu.block.bitmaps import clear

    clear(_graph(machine), arguments["node"], arguments["name"])


@command("block-dirty-bitmap-enable", takes=True)
def block_dirty_bitmap_enable(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Look on."""
    del session
    from fakeqemu.block.bitmaps import set_enabled

    set_enabled(_graph(machine), arguments["node"], arguments["name"], enabled=True)


@command("block-dirty-bitmap-disable", takes=True)
def block_dirty_bitmap_disable(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Look no more."""
    del session
    from fakeqemu.block.bitmaps import set_enabled

    set_enabled(_graph(machine), arguments["node"], arguments["name"], enabled=False)


@command("block-dirty-bitmap-merge", takes=True)
def block_dirty_bitmap_merge(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Mark in one bitmap what is marked in others."""
    del session
    from fakeqemu.block.bitmaps import merge

    merge(_graph(machine), arguments["node"], arguments["target"], arguments["bitmaps"])


@command("x-debug-block-dirty-bitmap-sha256", takes=True)
def x_debug_block_dirty_bitmap_sha256(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> dict[str, Any]:
    """The hash of a bitmap's memory: one bit for each granule, in words of eight bytes (hbitmap_sha256)."""
    del session
    from fakeqemu.block.bitmaps import find
    from fakeqemu.block.hashing import sha256

    bitmap = find(_graph(machine), arguments["node"], arguments["name"])
    return {"sha256": sha256(bitmap)}
