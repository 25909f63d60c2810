"""Disks as the guest has them: what is told of them, their limits, sizes and thresholds."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.block.graph import Graph
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "backend_of", "block_latency_histogram_set", "block_resize", "block_set_io_throttle",
    "block_set_write_threshold", "query_block", "query_blockstats", "query_named_block_nodes",
    "x_debug_query_block_graph",
]  # fmt: skip


def _graph(machine: FakeQemu) -> Graph:
    from fakeqemu.block import graph_of

    return graph_of(machine)


@command("query-named-block-nodes", takes=True)
def query_named_block_nodes(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> list[dict[str, Any]]:
    """The nodes of the block graph, the newest first."""
    del session
    from fakeqemu.block.describe import device_info

    graph, flat = _graph(machine), bool(arguments.get("flat"))
    return [device_info(graph, node, flat=flat) for node in reversed(graph.nodes.values())]


@command("query-block")
def query_block(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The drives as the guest sees them."""
    del session
    graph = _graph(machine)
    return [_drive(graph, backend) for backend in graph.backends if backend.name or backend.kind]


def _drive(graph: Graph, backend: Backend) -> dict[str, Any]:
    from fakeqemu.block.describe import device_info

    entry: dict[str, Any] = {"device": backend.name}
    if backend.kind and backend.attached:
        entry["qdev"] = backend.attached
    entry |= {"type": "unknown", "removable": backend.removable, "locked": backend.locked}
    node = backend.node
    while node is not None and node.implicit and node.filtered is not None:
        node = node.filtered
    if node is not None:
        entry["inserted"] = device_info(graph, node, backend)
    if backend.tray:
        entry["tray_open"] = backend.tray_open
    if backend.io_status is not None and backend.kind:
        entry["io-status"] = backend.io_status
    return entry


@command("query-blockstats", takes=True)
def query_blockstats(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """What went through the drives, or through the nodes."""
    del session
    from fakeqemu.block.statistics import node_stats

    graph = _graph(machine)
    if arguments.get("query-nodes"):
        return [node_stats(node, below=False) for node in graph.nodes.values()]
    found = []
    for backend in graph.backends:
        if not backend.name and not backend.kind:
            continue
        node = backend.node
        while node is not None and node.implicit and node.filtered is not None:
            node = node.filtered
        entry: dict[str, Any] = {"device": backend.name}
        if backend.kind and backend.attached:
            entry["qdev"] = backend.attached
        if node is not None:
            entry |= node_stats(node, below=True)
        entry["stats"] = backend.stats.described()
        found.append(entry)
    return found


@command("x-debug-query-block-graph")
def x_debug_query_block_graph(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The whole graph with its permissions."""
    del session
    from fakeqemu.block.describe import graph_info

    graph = _graph(machine)
    return graph_info(graph, graph.job_uses())


def backend_of(machine: FakeQemu, arguments: dict[str, Any], *, class_: str = "DeviceNotFound") -> Backend:
    """The drive that ``device`` or ``id`` means (qmp_get_blk).

    Raises:
        CommandError: none or both are given, or there is no such drive.
    """
    device, ident = arguments.get("device"), arguments.get("id")
    if (device is None) == (ident is None):
        raise CommandError("GenericError", "Need exactly one of 'device' and 'id'")
    graph = _graph(machine)
    if device is not None:
        found = graph.backend(str(device))
        if found is None:
            raise CommandError(class_, f"Device '{device}' not found")
        return found
    return by_device(graph, str(ident))


def by_device(graph: Graph, ident: str) -> Backend:
    """The drive of a device, by its id or QOM path (blk_by_qdev_id).

    Raises:
        CommandError: there is no such device, or it has no drive.
    """
    absolute = ident.startswith("/")
    for backend in graph.backends:
        if not backend.kind:
            continue
        if (
            (backend.path == ident)
            if absolute
            else ident != "" and (backend.ident == ident or backend.path.endswith(f"/{ident}"))
        ):
            return backend
    from fakeqemu.hardware import registry_of
    from fakeqemu.hardware.tree import resolve

    registry = registry_of(graph.machine)
    # An id is looked for among the devices that the user made (find_device_state).
    view, _ = resolve(registry, ident if absolute else f"/machine/peripheral/{ident}".rstrip("/"))
    if view is None:
        raise CommandError("DeviceNotFound", f"Device '{ident}' not found")
    if registry.at(view.path.removesuffix("/virtio-backend")) is None and "/device[" not in view.path:
        raise CommandError("GenericError", f"{ident} is not a hotpluggable device")
    raise CommandError("GenericError", "Device does not have a block device backend")


@command("block_set_io_throttle", takes=True)
def block_set_io_throttle(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Limit a disk; by the id of its device, or by its old name."""
    del session
    from fakeqemu.block.throttling import Group, Limits

    backend = backend_of(machine, arguments)
    if backend.node is None:
        raise CommandError("GenericError", "Device has no medium")
    limits = Limits.of(arguments)
    limits.check()
    graph = backend.graph
    backend.stats.settle()
    if not limits.any:
        # throttle_enabled() is false: the disk leaves its group, and the group keeps its limits.
        _leave(graph, backend)
        return
    name = arguments.get("group")
    if backend.limits is not None and (name is None or name == backend.limits.group):
        name = backend.limits.group
    elif backend.limits is not None:
        _leave(graph, backend)
    name = str(name or arguments.get("device") or arguments.get("id"))
    group = graph.groups.setdefault(name, Group(name, limits))
    limits.group = name
    group.limits = limits
    if backend not in group.members:
        group.members.append(backend)
    for member in group.members:
        if hasattr(member, "limits"):
            member.limits = limits


def _leave(graph: Graph, backend: Backend) -> None:
    old = backend.limits
    backend.limits = None
    group = graph.groups.get(old.group) if old is not None else None
    if group is not None and backend in group.members:
        group.members.remove(backend)
        if not group.members:
            del graph.groups[group.name]


@command("block_resize", takes=True)
def block_resize(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Give a disk another size, in its file too."""
    del session
    from fakeqemu.block.sizes import resize

    graph = _graph(machine)
    node = graph.lookup(arguments.get("device"), arguments.get("node-name"))
    size = arguments["size"]
    if not 0 <= size < 1 << 63:
        raise CommandError("GenericError", "Parameter 'size' expects a >0 size")
    try:
        node.check_op("resize")
    except CommandError:
        device = arguments.get("device", "(null)")
        raise CommandError("GenericError", f"Device '{device}' is in use") from None
    resize(graph, node, size)


@command("block-latency-histogram-set", takes=True)
def block_latency_histogram_set(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Count how long operations take, in bins; without bounds, no more."""
    del session
    name = arguments["id"]
    backend = by_device(_graph(machine), name)
    given = {word: arguments.get(f"boundaries-{word}") for word in ("read", "write", "flush")}
    common = arguments.get("boundaries")
    if common is None and not any(bounds is not None for bounds in given.values()):
        backend.histograms = {}
        return
    for word, kind in (("read", "rd"), ("write", "wr"), ("flush", "flush")):
        bounds = given[word] if given[word] is not None else common
        if bounds is None:
            continue
        last = 0
        for bound in bounds:
            if bound <= last:
                raise CommandError("GenericError", f"Device '{name}' set {word} boundaries fail")
            last = bound
        backend.histograms[kind] = list(bounds)


@command("block-set-write-threshold", takes=True)
def block_set_write_threshold(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Tell, once, when the guest writes behind an offset."""
    del session
    from fakeqemu.block.threshold import arm

    graph, name = _graph(machine), arguments["node-name"]
    node = graph.nodes.get(name)
    if node is None:
        raise CommandError("GenericError", f"Device '{name}' not found")
    node.threshold = arguments["write-threshold"] & (1 << 64) - 1
    arm(graph, node)
