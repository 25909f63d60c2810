"""What is exported to others: block exports, and the NBD server.

Knows block/export/export.c and blockdev-nbd.c of QEMU 7.2: who may be exported, and what is told of it. The
server listens where it is told to; it takes clients and speaks no word with them. Must not know commands.
"""

from __future__ import annotations

from fakeqemu.block.node import BlockNode, Edge, User
from fakeqemu.block.perms import ALL, CONSISTENT_READ, RESIZE, WRITE
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.bitmaps import Bitmap
    from fakeqemu.block.graph import Graph
    from fakeqemu.machine import FakeQemu

__all__ = ["Export", "Exports"]

MAX_STRING = 4096
MAX_EXPORTS = 1024


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


class Export(User):
    """An export."""

    __slots__ = ("bitmaps", "edge", "id", "name", "node", "type", "writable")

    def __init__(self, ident: str, type_: str, node: BlockNode, name: str, *, writable: bool) -> None:
        self.id, self.type, self.node, self.name, self.writable = ident, type_, node, name, writable
        self.edge: Edge | None = None
        self.bitmaps: list[Bitmap] = []

    @property
    def is_backend(self) -> bool:
        """It uses its node through a backend without a name."""
        return True


class Exports:
    """All exports of a machine, the newest first, and its NBD server."""

    __slots__ = ("address", "exports", "graph", "listener", "most")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.exports: list[Export] = []
        self.address: dict[str, Any] | None = None
        self.listener: Any = None
        self.most = 0

    def find(self, ident: str) -> Export:
        """An export by its id.

        Raises:
            CommandError: there is none.
        """
        found = next((export for export in self.exports if export.id == ident), None)
        if found is None:
            raise _fail(f"Export '{ident}' is not found")
        return found

    def add(self, options: dict[str, Any], *, allow_ro: bool = False) -> Export:
        """Export a node (blk_exp_add).

        Args:
            options: BlockExportOptions.
            allow_ro: a read-only node makes a read-only export of a writable one (nbd-server-add).

        Raises:
            CommandError: QEMU's text.
        """
        ident, type_ = options["id"], options["type"]
        if not _well_formed(ident):
            raise _fail("Invalid block export id")
        if len(self.exports) >= MAX_EXPORTS or any(export.id == ident for export in self.exports):
            raise _fail(f"Block export id '{ident}' is already in use")
        node = self.graph.lookup(None, options["node-name"])
        if type_ != "nbd":
            raise _fail(_elsewhere(self.graph.machine, type_, options))
        writable = bool(options.get("writable"))
        if node.read_only and writable:
            if not allow_ro:
                raise _fail("Cannot export read-only node as writable")
            writable = False
        made = Export(ident, type_, node, str(options.get("name", options["node-name"])), writable=writable)

        def act() -> None:
            perm = CONSISTENT_READ | (WRITE if writable else 0)
            made.edge = self.graph.attach(made, "root", node, 0, perm, ALL & ~RESIZE)
            self._check(made, options)

        self.graph.attempt(act)
        for bitmap in made.bitmaps:
            bitmap.busy = True
        self.exports.insert(0, made)
        return made

    def _check(self, made: Export, options: dict[str, Any]) -> None:
        """nbd_export_create."""
        description = str(options.get("description", ""))
        if self.address is None:
            raise _fail("NBD server not running")
        if len(made.name.encode()) > MAX_STRING:
            raise _fail(f"export name '{made.name}' too long")
        if len(description.encode()) > MAX_STRING:
            raise _fail(f"description '{description}' too long")
        if any(export.name == made.name for export in self.exports):
            raise _fail(f"NBD server already has export named '{made.name}'")
        for wanted in options.get("bitmaps") or ():
            made.bitmaps.append(self._bitmap(made, wanted))

    def _bitmap(self, made: Export, wanted: Any) -> Bitmap:
        found: Bitmap | None = None
        name = wanted if isinstance(wanted, str) else wanted["name"]
        if isinstance(wanted, str):
            for node in made.node.chain():
                found = found or node.bitmaps.get(name)
        else:
            from fakeqemu.block.bitmaps import find

            found = find(self.graph, wanted["node"], name)
        if found is None:
            raise _fail(f"Bitmap '{name}' is not found")
        found.check()
        if found.enabled and not made.writable and not found.node.read_only:
            raise _fail(f"Enabled bitmap '{name}' incompatible with readonly export")
        return found

    def remove(self, export: Export) -> None:
        """End an export, and say so."""
        self.exports.remove(export)
        for bitmap in export.bitmaps:
            bitmap.busy = False
        if export.edge is not None:
            self.graph.detach(export.edge)
        self.graph.machine.emit("BLOCK_EXPORT_DELETED", {"id": export.id})

    def start(self, address: dict[str, Any], most: int) -> None:
        """Start the NBD server.

        Raises:
            CommandError: it runs already.
        """
        if self.address is not None:
            raise _fail("NBD server already running")
        self.address, self.most = address, most

    def stop(self) -> None:
        """Stop the NBD server, and end all that it exports.

        Raises:
            CommandError: it does not run.
        """
        if self.address is None:
            raise _fail("NBD server not running")
        for export in list(self.exports):
            self.remove(export)
        self.address = None
        if self.listener is not None:
            self.listener.close()
            self.listener = None


def _well_formed(name: str) -> bool:
    first, rest = name[:1], name[1:]
    return (
        first.isascii()
        and first.isalpha()
        and all(sign.isascii() and (sign.isalnum() or sign in "-._") for sign in rest)
    )


def _elsewhere(machine: FakeQemu, kind: str, options: dict[str, Any]) -> str:
    """Why an export of another kind cannot be had: FUSE mounts, vDUSE devices and vhost-user are refused."""
    if kind == "vduse-blk":
        return "failed to create vduse device"
    if kind == "fuse":
        where = options["mountpoint"]
        reason = machine.host.file_error(where)
        if reason is not None:
            return f"Failed to stat '{where}': {reason}"
        if machine.host.kind(where) != "file":
            return f"'{where}' is not a regular file"
        return f"Failed to mount FUSE session to export: {where}"
    address = options.get("addr") or {}
    if address.get("type") == "fd":
        return f"File descriptor named '{address['str']}' has not been found"
    return f"No driver found for export type {kind}"
