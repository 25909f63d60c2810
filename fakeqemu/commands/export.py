"""Disks for others: exports and the NBD server."""

from __future__ import annotations

from fakeqemu.registry import CommandError, Deferred, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.exports import Exports
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "block_export_add", "block_export_del", "nbd_server_add", "nbd_server_remove", "nbd_server_start",
    "nbd_server_stop", "query_block_exports",
]  # fmt: skip


def _exports(machine: FakeQemu) -> Exports:
    from fakeqemu.block import graph_of

    return graph_of(machine).exports


@command("query-block-exports")
def query_block_exports(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """All exports, the newest first."""
    del session
    return [
        {"node-name": export.node.name, "shutting-down": False, "type": export.type, "id": export.id}
        for export in _exports(machine).exports
    ]


@command("block-export-add", takes=True)
def block_export_add(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Export a node."""
    del session
    _exports(machine).add(arguments)


@command("block-export-del", takes=True)
def block_export_del(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """End an export."""
    del session
    exports = _exports(machine)
    exports.remove(exports.find(arguments["id"]))


@command("nbd-server-start", takes=True)
def nbd_server_start(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Deferred:
    """Listen for clients."""
    del session
    from fakeqemu.block.nbd import Listener, checked
    from fakeqemu.hardware import registry_of

    exports = _exports(machine)
    if exports.address is not None:
        raise CommandError("GenericError", "NBD server already running")
    path, address = checked(machine, arguments["addr"])
    creds = arguments.get("tls-creds")
    if creds is not None and creds not in registry_of(machine).objects:
        raise CommandError("GenericError", f"No TLS credentials with id '{creds}'")
    waiting = Deferred()
    exports.start(arguments["addr"], arguments.get("max-connections", 0))
    exports.listener = Listener(machine, path, address, waiting)
    return waiting


@command("nbd-server-add", takes=True)
def nbd_server_add(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Export a drive or node through the NBD server."""
    del session
    from fakeqemu.block import graph_of

    graph = graph_of(machine)
    device = arguments["device"]
    name = arguments.get("name", device)
    if len(name.encode()) > 4096:
        raise CommandError("GenericError", f"export name '{name}' too long")
    description = arguments.get("description")
    if description is not None and len(description.encode()) > 4096:
        raise CommandError("GenericError", f"description '{description}' too long")
    node = graph.lookup(device, device)
    options: dict[str, Any] = {
        "type": "nbd", "id": name, "node-name": node.name, "writable": bool(arguments.get("writable")),
        "name": name,
    }  # fmt: skip
    if "bitmap" in arguments:
        options["bitmaps"] = [arguments["bitmap"]]
    if description is not None:
        options["description"] = description
    graph.exports.add(options, allow_ro=True)


@command("nbd-server-remove", takes=True)
def nbd_server_remove(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """End an export by its name."""
    del session
    exports = _exports(machine)
    export = exports.find(arguments["name"])
    if export.type != "nbd":
        raise CommandError("GenericError", f"Block export '{export.id}' is not an NBD export")
    exports.remove(export)


@command("nbd-server-stop")
def nbd_server_stop(machine: FakeQemu, session: Session) -> None:
    """Listen no more, and end all exports."""
    del session
    _exports(machine).stop()
