"""``drive-mirror`` and the target of ``drive-backup``: commands that make the image they copy to.

Knows QEMU 7.2's qmp_drive_mirror and drive_backup_prepare. Must not know states of jobs.
"""

from __future__ import annotations

from fakeqemu.actions import Stdout
from fakeqemu.block import graph_of
from fakeqemu.jobs.images import formatted
from fakeqemu.jobs.mirror import Mirror, mirror
from fakeqemu.jobs.nodes import refuse, root_node, skip_filters
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.node import BlockNode
    from fakeqemu.machine import FakeQemu

__all__ = ["drive_mirror", "open_target"]

_FORMATS = ("qcow2", "raw")
#: Formats that QEMU has and this fake does not write.
_OTHERS = ("qcow", "qed", "vmdk", "vdi", "vpc", "vhdx", "luks", "parallels")


def drive_mirror(machine: FakeQemu, arguments: dict[str, Any]) -> None:
    """``drive-mirror``.

    Raises:
        CommandError: what QEMU says against it.
    """
    graph = graph_of(machine)
    node = root_node(machine, str(arguments["device"]))
    node.check_op("mirror-source")
    if "replaces" in arguments and "node-name" not in arguments:
        raise refuse("a node-name must be provided when replacing a named node of the graph")
    target = _target(machine, node, arguments, alone=arguments.get("mode") != "existing", mirroring=True)
    driver = Mirror(graph, node, target)
    driver.extra.keep(target)
    existing = arguments.get("mode") == "existing"
    driver.zeroed = arguments["sync"] == "full" and existing
    if not existing:
        driver.relink = True
        driver.backing = _below(node, arguments["sync"])
    try:
        mirror(machine, driver, arguments)
    except CommandError:
        driver.extra.let_go()
        raise


def open_target(machine: FakeQemu, arguments: dict[str, Any], kind: str) -> tuple[BlockNode, BlockNode]:
    """The source of a ``drive-backup`` and the image it asks for.

    Raises:
        CommandError: what QEMU says against it.
    """
    graph = graph_of(machine)
    node = graph.lookup(arguments["device"], arguments["device"])
    node.check_op(f"{kind}-source")
    alone = arguments["sync"] == "none" and arguments.get("mode") != "existing"
    form = arguments.get("format") or node.driver
    if alone and form in ("raw", "file", "host_device"):
        # bdrv_img_create: a backing file for a format that has none.
        raise refuse(f"Backing file not supported for file format '{form}'")
    target = _target(machine, node, arguments, alone=alone, mirroring=False)
    if alone and target.kind.supports_backing:
        graph.set_backing(target, node)
    return node, target


def _below(node: BlockNode, sync: str) -> BlockNode | None:
    """What a fresh target has below it: nothing for a whole copy."""
    if sync == "none":
        return node
    return skip_filters(node).backing if sync == "top" else None


def _target(
    machine: FakeQemu, node: BlockNode, arguments: dict[str, Any], *, alone: bool, mirroring: bool
) -> BlockNode:
    """Make the image if it is to be made, and open it; ``alone`` without the backing file it names."""
    graph = graph_of(machine)
    path: str = arguments["target"]
    form = arguments.get("format")
    existing = arguments.get("mode") == "existing"
    if form is None:
        form = node.driver if not existing else _probed(machine, path)
    if form not in _FORMATS:
        if form in _OTHERS:
            raise refuse(f"Making images of format '{form}' is not modelled")
        from fakeqemu.block.drivers import DRIVERS

        if form in DRIVERS and not existing:
            raise refuse(f"Format driver '{form}' does not support image creation")
        raise refuse(f"Unknown file format '{form}'" if not existing else f"Unknown driver '{form}'")
    if not existing:
        _make(machine, node, arguments, form)
    options: dict[str, Any] = {"driver": form, "file": {"driver": "file", "filename": path}}
    if "node-name" in arguments:
        options["node-name"] = arguments["node-name"]
    if form == "qcow2" and alone:
        options["backing"] = None
    options["discard"] = "unmap" if arguments.get("unmap", True) else "ignore"
    if not mirroring:
        options["detect-zeroes"] = "unmap"
    from fakeqemu.block.opening import open_node

    made: BlockNode = graph.attempt(lambda: open_node(graph, options))
    return made


def _probed(machine: FakeQemu, path: str) -> str:
    from fakeqemu.block import images

    graph = graph_of(machine)
    reason = graph.files.missing(path)
    if reason is not None:
        raise refuse(f"Could not open '{path}': {reason}")
    return images.probe(graph.files, path)


def _make(machine: FakeQemu, node: BlockNode, arguments: dict[str, Any], form: str) -> None:
    from fakeqemu.block import images

    path = arguments["target"]
    options: dict[str, Any] = {"filename": path, "size": node.size}
    below = _below(node, arguments["sync"])
    backing = None
    if below is not None and form == "qcow2":
        below = skip_filters(below)
        backing = below.filename, below.driver
        options["backing-file"], options["backing-fmt"] = backing
    machine.do(0, Stdout(formatted(path, form, node.size, backing)))
    images.create(graph_of(machine).files, form, {**options, "truncate": True})
