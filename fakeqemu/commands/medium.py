"""Trays and media of drives."""

from __future__ import annotations

from fakeqemu.commands.block import backend_of, by_device
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "blockdev_change_medium", "blockdev_close_tray", "blockdev_insert_medium", "blockdev_open_tray",
    "blockdev_remove_medium", "eject",
]  # fmt: skip


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


def _called(arguments: dict[str, Any]) -> str:
    return str(arguments.get("device") or arguments.get("id"))


@command("blockdev-open-tray", takes=True)
def blockdev_open_tray(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Open a tray; a locked one is only asked to, unless forced."""
    del session
    _open(backend_of(machine, arguments), arguments, force=bool(arguments.get("force")))


def _open(backend: Backend, arguments: dict[str, Any], *, force: bool) -> None:
    """do_open_tray of QEMU 7.2 blockdev.c."""
    name = _called(arguments)
    if not backend.removable:
        raise _fail(f"Device '{name}' is not removable")
    if not backend.tray:
        raise _fail(f"Device '{name}' does not have a tray")
    if backend.tray_open:
        return
    if backend.locked and not force:
        text = "is locked and force was not specified, wait for tray to open and try again"
        raise _fail(f"Device '{name}' {text}")
    backend.move_tray(opened=True)


@command("blockdev-close-tray", takes=True)
def blockdev_close_tray(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Close a tray."""
    del session
    backend = backend_of(machine, arguments)
    _close(backend, arguments)


def _close(backend: Backend, arguments: dict[str, Any]) -> None:
    if not backend.removable:
        raise _fail(f"Device '{_called(arguments)}' is not removable")
    backend.move_tray(opened=False)


@command("blockdev-remove-medium", takes=True)
def blockdev_remove_medium(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Take the medium out."""
    del session
    _remove(by_device(_graph(machine), arguments["id"]), arguments)


def _graph(machine: FakeQemu) -> Any:
    from fakeqemu.block import graph_of

    return graph_of(machine)


def _remove(backend: Backend, arguments: dict[str, Any]) -> None:
    """blockdev_remove_medium of QEMU 7.2."""
    name = _called(arguments)
    if backend.kind and not backend.removable:
        raise _fail(f"Device '{name}' is not removable")
    if backend.kind and backend.tray and not backend.tray_open:
        raise _fail(f"Tray of device '{name}' is not open")
    node = backend.node
    if node is None:
        return
    node.check_op("eject")
    backend.remove()
    if not backend.tray:
        backend.told_tray(opened=True)


@command("blockdev-insert-medium", takes=True)
def blockdev_insert_medium(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Put a node in as the medium."""
    del session
    graph = _graph(machine)
    backend = by_device(graph, arguments["id"])
    name = arguments["node-name"]
    node = graph.nodes.get(name)
    if node is None:
        raise _fail(f"Node '{name}' not found")
    if node.has_backend:
        raise _fail(f"Node '{name}' is already in use")
    _insert(backend, node, arguments)


def _insert(backend: Backend, node: Any, arguments: dict[str, Any]) -> None:
    """qmp_blockdev_insert_anon_medium of QEMU 7.2."""
    name = _called(arguments)
    if backend.kind and not backend.removable:
        raise _fail(f"Device '{name}' is not removable")
    if backend.kind and backend.tray and not backend.tray_open:
        raise _fail(f"Tray of device '{name}' is not open")
    if backend.node is not None:
        raise _fail("There already is a medium in device")
    backend.insert(node)
    if not backend.tray:
        backend.told_tray(opened=False)


@command("eject", takes=True)
def eject(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Open the tray and take the medium out."""
    del session
    backend = backend_of(machine, arguments)
    if backend.tray or not backend.removable or backend.kind:
        try:
            _open(backend, arguments, force=bool(arguments.get("force")))
        except CommandError as error:
            if not error.desc.endswith("does not have a tray"):
                raise
    _remove(backend, arguments)


@command("blockdev-change-medium", takes=True)
def blockdev_change_medium(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Open a file and put it in instead of what is in."""
    del session
    graph = _graph(machine)
    backend = backend_of(machine, arguments)
    mode = arguments.get("read-only-mode", "retain")
    old = backend.node
    if mode == "retain":
        read_only = old.read_only if old is not None else backend.kind.endswith("-cd")
        read_only = read_only or backend.kind.endswith("-cd")
    else:
        read_only = mode == "read-only"
    node = _opened(graph, arguments, read_only=read_only, like=old)
    try:
        _open(backend, arguments, force=bool(arguments.get("force")))
    except CommandError as error:
        if not error.desc.endswith("does not have a tray"):
            graph.release(node)
            raise
    try:
        _remove(backend, arguments)
        _insert(backend, node, arguments)
    except CommandError:
        graph.release(node)
        raise
    _close(backend, arguments)


def _opened(graph: Any, arguments: dict[str, Any], *, read_only: bool, like: Any) -> Any:
    from fakeqemu.block import images
    from fakeqemu.block.drivers import DRIVERS
    from fakeqemu.block.opening import open_node

    format_, path = arguments.get("format"), arguments["filename"]
    if format_ is not None and format_ not in DRIVERS:
        raise _fail(f"Unknown driver '{format_}'")
    reason = graph.files.missing(path)
    if reason is not None:
        raise _fail(f"Could not open '{path}': {reason}")
    options = {
        "driver": format_ or images.probe(graph.files, path), "read-only": read_only,
        "file": {"driver": "file", "filename": path},
        "detect-zeroes": like.detect_zeroes if like is not None else "off",
    }  # fmt: skip
    return graph.attempt(lambda: open_node(graph, options))
