"""Which of the machine's devices are disks, and what each wants of its drive.

Knows the disk models of QEMU 7.2 as far as their backends go (``hw/block``, ``hw/ide``,
``hw/scsi``). Must not know buses.
"""

from __future__ import annotations

from fakeqemu.block.backend import Backend
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph
    from fakeqemu.hardware import Object

__all__ = ["CDROMS", "DISKS", "attach", "detach", "hook", "is_disk"]

#: Models that need a medium, and those that take one out and in.
DISKS = (
    "virtio-blk-pci", "virtio-blk-pci-transitional", "virtio-blk-pci-non-transitional", "virtio-blk-device",
    "virtio-blk-ccw", "scsi-hd", "scsi-block", "ide-hd", "usb-storage", "nvme", "nvme-ns", "sd-card",
    "isa-fdc",     "vhost-user-blk-pci", "ide-cf",
)  # fmt: skip
CDROMS = ("ide-cd", "scsi-cd", "floppy")
AUTOMATIC = (
    "Drive '{}' is already in use because it has been automatically connected to another device"
    " (did you need 'if=none' in the drive options?)"
)
_EMPTY = {
    "scsi-hd": "drive property not set",
    "ide-hd": "No drive specified",
    "nvme": "drive property not set",
}


def is_disk(kind: str) -> bool:
    """Whether a model is a disk or drive."""
    return kind in DISKS or kind in CDROMS or kind.startswith("virtio-blk")


def place(kind: str, path: str) -> str:
    """The QOM path of the part of a device that has the drive."""
    return (
        f"{path}/virtio-backend" if kind.startswith("virtio-blk-") and kind != "virtio-blk-device" else path
    )


def _owner(kind: str) -> str:
    """The type whose property ``drive`` is."""
    return "virtio-blk-device" if kind.startswith("virtio-blk") else kind


def attach(  # noqa: C901 - QEMU's checks, in its order
    graph: Graph, kind: str, ident: str | None, path: str, options: dict[str, Any]
) -> Backend | None:
    """A device is plugged in: give it its drive.

    Args:
        graph: of the machine.
        kind: the model.
        ident: its id.
        path: its QOM path.
        options: what it was made with.

    Returns:
        The backend it uses; None when it is no disk.

    Raises:
        CommandError: it cannot have that drive, in QEMU's words.
    """
    if not is_disk(kind):
        return None
    if kind == "virtio-blk":
        kind = "virtio-blk-pci"
    drive = options.get("drive")
    removable = kind in CDROMS
    backend: Backend | None = graph.backend(drive) if isinstance(drive, str) else None
    if backend is not None and backend.kind:
        text = AUTOMATIC if backend.owned else "Drive '{}' is already in use by another device"
        text = text.format(drive)
        raise CommandError("GenericError", text)
    node = None
    if backend is None and isinstance(drive, str) and drive:
        node = graph.nodes.get(drive)
        if node is None:
            raise CommandError("GenericError", f"Property '{_owner(kind)}.drive' can't find value '{drive}'")
    if backend is None and node is None and not removable:
        if kind in ("nvme", "isa-fdc", "usb-storage") and kind != "usb-storage":
            return None
        raise CommandError("GenericError", _EMPTY.get(kind, "drive property not set"))
    made = backend if backend is not None else Backend(graph)
    if backend is not None and backend.node is None and not removable:
        raise CommandError("GenericError", "Device needs media, but drive is empty")

    def act() -> None:
        made.ident, made.path, made.kind = ("" if _hidden(kind) else ident or ""), place(kind, path), kind
        if node is not None:
            made.insert(node)
        _claim(made, kind, options)

    try:
        graph.attempt(act)
    except CommandError:
        made.ident = made.path = made.kind = ""
        raise
    if made not in graph.backends:
        graph.backends.append(made)
    made.removable = made.tray = removable
    if kind == "floppy":
        made.tray = False
    made.io_status = "ok" if kind not in ("floppy", "nvme", "usb-storage", "sd-card") else None
    return made


def _hidden(kind: str) -> bool:
    """Whether the part with the drive has no id of its own."""
    return kind.startswith("virtio-blk-") and kind != "virtio-blk-device"


def _claim(made: Backend, kind: str, options: dict[str, Any]) -> None:
    node = made.node
    share = options.get("share-rw") in (True, "on")
    if kind in CDROMS:
        made.ask(writes=False, share_writes=share, resizable=False)
        return
    read_only = (
        node is not None
        and node.read_only
        and (kind.startswith("virtio-blk") or kind in ("scsi-hd", "nvme", "sd-card"))
    )
    if node is not None and node.read_only and not read_only:
        raise CommandError("GenericError", "Block node is read-only")
    made.ask(writes=not read_only, share_writes=share, resizable=True)


def detach(graph: Graph, path: str) -> None:
    """A device has gone: so has the drive that was made for it; a -drive's is deleted with it too."""
    for backend in list(graph.backends):
        if backend.kind and (backend.path == path or backend.path.startswith(f"{path}/")):
            backend.kind = ""
            if backend.edge is not None:
                edge = backend.edge
                edge.child.written += backend.writes()
                backend.edge = None
                graph.detach(edge)
            graph.backends.remove(backend)


def hook(graph: Graph) -> None:
    """Hear of devices that come and go from now on, and of those that have come and gone already."""
    from fakeqemu.hardware import registry_of

    registry = registry_of(graph.machine)
    there = {thing.path: thing for thing in registry.devices()}
    for backend in list(graph.backends):
        device = backend.path.removesuffix("/virtio-backend")
        if backend.kind and not backend.owned and device not in there:
            detach(graph, device)
    for thing in there.values():
        if is_disk(thing.kind) and not _known(graph, thing.path):
            try:
                attach(graph, thing.kind, thing.id, thing.path, thing.options)
            except CommandError:
                continue
    registry.on_plug.append(lambda thing: _plugged(graph, thing))
    registry.on_unplug.append(lambda thing: detach(graph, thing.path))


def _known(graph: Graph, path: str) -> bool:
    return any(
        backend.kind and backend.path.removesuffix("/virtio-backend") == path for backend in graph.backends
    )


def _plugged(graph: Graph, thing: Object) -> None:
    if not _known(graph, thing.path):
        attach(graph, thing.kind, thing.id, thing.path, thing.options)
