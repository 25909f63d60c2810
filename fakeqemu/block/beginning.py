"""The block graph as the command line makes it: -blockdev, -drive, and the disks among the devices.

Knows blockdev_init and the default drives of QEMU 7.2 (``blockdev.c``, ``softmmu/vl.c``). Must not know
commands.
"""

from __future__ import annotations

from fakeqemu.block.perms import CONSISTENT_READ, WRITE
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.block.graph import Graph

__all__ = ["begin"]


def begin(graph: Graph) -> None:
    """Make what the command line says. QEMU has started with it, so it is not refused any more."""
    machine = graph.machine
    graph.checking = False
    try:
        for device in machine.line.blockdevs.values():
            _quietly(graph, {**device.options, "driver": device.kind, "node-name": device.id})
        _drives(graph)
        _devices(graph)
    finally:
        graph.checking = True
    for node in graph.nodes.values():
        for edge in node.edges.values():
            edge.perm, edge.shared = node.wants(edge)


def _quietly(graph: Graph, options: dict[str, Any]) -> None:
    from fakeqemu.block.opening import add

    try:
        add(graph, options)
    except CommandError:
        return


def _drives(graph: Graph) -> None:
    """The -drive options and their short forms, in order; then the drives that every machine has."""
    line = graph.machine.line
    taken: set[tuple[str, int]] = set()
    for drive in line.drives:
        options = {**drive.options, **_short(drive.text)}
        where = str(options.get("if", "ide"))
        _drive(graph, drive.id, where, options, taken)
    if "-nodefaults" in graph.machine.argv or "--nodefaults" in graph.machine.argv:
        return
    family = line.machine
    if not (family.startswith("pc") or "q35" in family):
        return
    kinds = {device.kind for device in line.devices}
    if ("ide", 2) not in taken and not kinds & {"ide-cd", "ide-hd", "scsi-cd", "scsi-hd"}:
        _default(graph, f"ide{2 // _units(graph)}-cd0", "ide-cd", tray=True)
    if "q35" not in family and not kinds & {"isa-fdc", "floppy"}:
        _default(graph, "floppy0", "floppy", tray=False)
    _default(graph, "sd0", "", tray=False)


def _short(text: str) -> dict[str, Any]:
    """What the short forms stand for: -hda and its sisters, -cdrom, -fda, -sd, -pflash, a bare file."""
    word = text.split(" ", 1)[0].lstrip("-")
    if word == "drive":
        return {}
    if word == "cdrom":
        return {"media": "cdrom", "index": "2", "if": "ide"}
    if word in ("hda", "hdb", "hdc", "hdd"):
        return {"index": str("abcd".index(word[2])), "if": "ide"}
    if word in ("fda", "fdb"):
        return {"index": str("ab".index(word[2])), "if": "floppy"}
    if word in ("sd", "pflash", "mtdblock"):
        return {"if": word.removesuffix("block")}
    return {"index": "0", "if": "ide"}


def _units(graph: Graph) -> int:
    """Drives on one IDE bus: two, but one on the SATA ports of q35."""
    return 1 if "q35" in graph.machine.line.machine else 2


def _default(graph: Graph, name: str, kind: str, *, tray: bool) -> None:
    from fakeqemu.block.backend import Backend

    if graph.backend(name) is not None:
        return
    made = Backend(graph, name)
    made.kind, made.owned = kind, True
    made.tray = tray
    if kind:
        made.path = _unattached(graph, made)
        made.io_status = "ok" if kind != "floppy" else None
    graph.backends.append(made)


def _unattached(graph: Graph, made: Backend) -> str:
    """Where the board's own drives are: the numbers follow from the board."""
    if made.kind == "floppy":
        return "/machine/unattached/device[15]"
    first = 21 if "q35" not in graph.machine.line.machine else 22
    earlier = sum(1 for other in graph.backends if other.path.startswith("/machine/unattached/device[2"))
    return f"/machine/unattached/device[{first + earlier}]"


def _name(graph: Graph, where: str, options: dict[str, Any], taken: set[tuple[str, int]]) -> str:
    """The id of a drive that was given none: bus and unit (drive_new)."""
    kind = "cd" if options.get("media") == "cdrom" else "hd"
    number = int(options["index"]) if "index" in options else 0
    if "index" not in options:
        while (where, number) in taken:
            number += 1
    taken.add((where, number))
    if where in ("ide", "scsi"):
        most = _units(graph) if where == "ide" else 7
        return f"{where}{number // most}-{kind}{number % most}"
    return f"{where}{number}"


def _drive(
    graph: Graph, ident: str | None, where: str, options: dict[str, Any], taken: set[tuple[str, int]]
) -> None:
    from fakeqemu.block.backend import Backend
    from fakeqemu.block.opening import add, truth

    made_up = _name(graph, where, options, taken)
    name = ident or made_up
    made = Backend(graph, name)
    graph.backends.append(made)
    path = options.get("file")
    cdrom = options.get("media") == "cdrom"
    if isinstance(path, str) and path:
        opening = _node_options(
            graph,
            path,
            options,
            read_only=cdrom or truth(options.get("read-only") or options.get("readonly")),
        )
        try:
            node = add(graph, opening) if "node-name" in opening else _anonymous(graph, opening)
        except CommandError:
            return
        made.asks = CONSISTENT_READ | (0 if node.read_only else WRITE)
        made.insert(node)
        node.monitored = False
    _limits(graph, made, options)
    made.writeback = options.get("cache") not in ("writethrough", "directsync") and truth(
        options.get("cache.writeback"), default=True
    )
    if where not in ("none", "sd", "pflash", "mtd"):
        _wire(graph, made, where, cdrom=cdrom)


def _anonymous(graph: Graph, options: dict[str, Any]) -> Any:
    from fakeqemu.block.opening import open_node

    return open_node(graph, options)


def _node_options(graph: Graph, path: str, options: dict[str, Any], *, read_only: bool) -> dict[str, Any]:
    from fakeqemu.block import images

    driver = options.get("format") or options.get("driver") or images.probe(graph.files, path)
    cache = str(options.get("cache", ""))
    found: dict[str, Any] = {
        "driver": driver, "read-only": read_only, "file": {"driver": "file", "filename": path},
        "cache": {
            "direct": cache in ("none", "off", "directsync") or options.get("cache.direct") == "on",
            "no-flush": cache == "unsafe" or options.get("cache.no-flush") == "on",
        },
        "detect-zeroes": options.get("detect-zeroes", "off"), "discard": options.get("discard", "ignore"),
    }  # fmt: skip
    if "node-name" in options:
        found["node-name"] = options["node-name"]
    return found


def _limits(graph: Graph, made: Backend, options: dict[str, Any]) -> None:
    from fakeqemu.block.throttling import BUCKETS, Group, Limits

    words = {
        "bps": "bps-total", "bps_rd": "bps-read", "bps_wr": "bps-write", "iops": "iops-total",
        "iops_rd": "iops-read", "iops_wr": "iops-write",
    }  # fmt: skip
    given: dict[str, Any] = {}
    for name in BUCKETS:
        for key, target in ((name, name), (f"throttling.{words[name]}", name)):
            if key in options:
                given[target] = int(options[key])
        for ending in ("max", "max_length"):
            word = f"throttling.{words[name]}-{ending.replace('_', '-')}"
            if word in options or f"{name}_{ending}" in options:
                given[f"{name}_{ending}"] = int(options.get(word, options.get(f"{name}_{ending}", 0)))
    limits = Limits.of(given)
    if limits.any:
        name = str(options.get("throttling.group") or options.get("group") or made.name)
        limits.group = name
        group = graph.groups.setdefault(name, Group(name, limits))
        group.limits = limits
        group.members.append(made)
        made.limits = limits


def _wire(graph: Graph, made: Backend, where: str, *, cdrom: bool) -> None:
    """A drive with an interface gets its device from the machine."""
    from fakeqemu.block.devices import CDROMS

    if where == "virtio":
        number = sum(1 for other in graph.backends if other.path.startswith("/machine/peripheral-anon"))
        made.kind, made.path = "virtio-blk-pci", f"/machine/peripheral-anon/device[{number}]/virtio-backend"
    elif where == "ide":
        made.kind = "ide-cd" if cdrom else "ide-hd"
        made.path = _unattached(graph, made)
    elif where == "scsi":
        made.kind = "scsi-cd" if cdrom else "scsi-hd"
        made.path = _unattached(graph, made)
    elif where == "floppy":
        made.kind, made.path = "floppy", "/machine/unattached/device[15]"
    else:
        return
    made.owned = True
    made.removable = made.tray = made.kind in CDROMS
    if made.kind == "floppy":
        made.tray = False
    else:
        made.io_status = "ok"
    node = made.node
    made.ask(
        writes=not cdrom and not (node is not None and node.read_only), share_writes=False,
        resizable=not cdrom,
    )  # fmt: skip


def _devices(graph: Graph) -> None:
    """The disks among the devices, and those that come and go later."""
    from fakeqemu.block.devices import attach, is_disk
    from fakeqemu.hardware import registry_of

    registry = registry_of(graph.machine)
    for thing in registry.devices():
        if is_disk(thing.kind):
            try:
                attach(graph, thing.kind, thing.id, thing.path, thing.options)
            except CommandError:
                continue
    registry.on_plug.append(lambda thing: _plugged(graph, thing))
    registry.on_unplug.append(lambda thing: _unplugged(graph, thing))


def _plugged(graph: Graph, thing: Any) -> None:
    from fakeqemu.block.devices import attach

    if any(backend.kind and backend.path.startswith(thing.path) for backend in graph.backends):
        return
    attach(graph, thing.kind, thing.id, thing.path, thing.options)


def _unplugged(graph: Graph, thing: Any) -> None:
    from fakeqemu.block.devices import detach

    detach(graph, thing.id, thing.path)
