"""The block graph as the command line makes it: -blockdev, -drive, and the disks among the devices.

Knows blockdev_init and the default drives of QEMU 7.2 (``blockdev.c``, ``softmmu/vl.c``). Must not know
commands.
"""

from __future__ import annotations

from fakeqemu.block.drives import check_drive, check_words, short_form
from fakeqemu.block.perms import CONSISTENT_READ
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.block.graph import Graph
    from fakeqemu.machine import FakeQemu

__all__ = ["begin", "refusal"]


def refusal(machine: FakeQemu) -> str | None:
    """Why QEMU would not start with these disks, as it says on standard error; None when it would."""
    from fakeqemu.block.graph import Graph

    graph = machine.parts["block"] = Graph(machine)
    try:
        begin(graph, strict=True)
    except CommandError as error:
        del machine.parts["block"]
        return f"{machine.line.program}: {error.desc}\n{getattr(error, 'hint', '')}"
    return None


def begin(graph: Graph, *, strict: bool = False) -> None:
    """Make what the command line says.

    Args:
        graph: an empty one.
        strict: whether to refuse what QEMU refuses; else QEMU has started with it, so it is taken as it is.

    Raises:
        CommandError: a strict one is refused, with the option's own text before QEMU's words.
    """
    machine = graph.machine
    graph.checking = strict
    try:
        for device in machine.line.blockdevs.values():
            options = {**device.options, "driver": device.kind, "node-name": device.id}

            def add(options: dict[str, Any] = options) -> None:
                check_words(options)
                graph.add(options)

            _guarded(device.text, add, strict=strict)
        wires = _drives(graph, strict=strict)
        for text, wire in wires:  # the board's own controllers are there before any -device
            if not text:
                _guarded(text, wire, strict=strict)
        _devices(graph, strict=strict)
        for text, wire in wires:
            if text:
                _guarded(text, wire, strict=strict)
    finally:
        graph.checking = True
    for node in graph.nodes.values():
        for edge in node.edges.values():
            edge.perm, edge.shared = node.wants(edge)


def _guarded(text: str, act: Callable[[], Any], *, strict: bool) -> bool:
    """Do something; whether it could be done. What is refused strictly is refused with the option's text."""
    try:
        act()
    except CommandError as error:
        if strict:
            said = CommandError(error.kind, f"{text}: {error.desc}" if text else error.desc)
            said.hint = getattr(error, "hint", "")  # type: ignore[attr-defined]
            raise said from None
        return False
    return True


def _drives(graph: Graph, *, strict: bool) -> list[tuple[str, Callable[[], None]]]:
    """The -drive options and their short forms, in order; then the drives that every machine has.

    Returns:
        What gives a device to those drives that get one by themselves, with the option's text where QEMU
        makes a -device of it.
    """
    line = graph.machine.line
    taken: set[tuple[str, int]] = set()
    wires: list[tuple[str, Callable[[], None]]] = []
    for drive in line.drives:
        options = {**drive.options, **short_form(drive.text)}

        def make(
            ident: str | None = drive.id, options: dict[str, Any] = options, text: str = drive.text
        ) -> None:
            where = check_drive(options, taken, _units(graph)) if strict else str(options.get("if", "ide"))
            wire = _drive(graph, ident, where, options, taken)
            if wire is not None:
                wires.append((text if where == "virtio" else "", wire))

        _guarded(drive.text, make, strict=strict)
    if "-nodefaults" in graph.machine.argv or "--nodefaults" in graph.machine.argv:
        return wires
    family = line.machine
    if graph.machine.profile.arch not in ("x86_64", "i386"):
        _elsewhere(graph)
        return wires
    if not (family.startswith("pc") or "q35" in family):
        return wires
    kinds = {device.kind for device in line.devices}
    if ("ide", 2) not in taken and not kinds & {"ide-cd", "ide-hd", "scsi-cd", "scsi-hd"}:
        _default(graph, f"ide{2 // _units(graph)}-cd0", "ide-cd", tray=True)
    if "q35" not in family and not kinds & {"isa-fdc", "floppy"}:
        _default(graph, "floppy0", "floppy", tray=False)
    _default(graph, "sd0", "", tray=False)
    return wires


def _elsewhere(graph: Graph) -> None:
    """The empty drives of boards that are no PCs."""
    family = graph.machine.line.machine
    if family.startswith("pseries"):
        _default(graph, "scsi0-cd2", "scsi-cd", tray=True)
        graph.backends[-1].path = "/machine/unattached/device[7]/v-scsi@71000003.0/legacy[2]"
    elif not family.startswith("virt"):
        return
    elif graph.machine.profile.arch == "riscv64":
        _default(graph, "none2", "", tray=False)
    _default(graph, "floppy0", "", tray=False)
    _default(graph, "sd0", "", tray=False)


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
    """Where the board's own drives are: the numbers follow from what the board has before them."""
    machine = graph.machine
    q35 = "q35" in machine.line.machine
    given = dict.fromkeys(("serial", "parallel"), 0)
    words: dict[str, list[str]] = {}
    for position, word in enumerate(machine.argv):
        value = machine.argv[position + 1] if position + 1 < len(machine.argv) else ""
        if word.startswith("-"):
            words.setdefault(word.lstrip("-"), []).append(value)
    bare = "nodefaults" in words
    for name in given:
        values = words.get(name)
        given[name] = int(not bare) if values is None else sum(value != "none" for value in values)
    number = given["serial"] + given["parallel"] + (16 if q35 else 19)
    if not q35:
        card = "none" not in words.get("vga", ()) if "vga" in words else not bare
        net = bare or any("none" in words.get(name, ()) for name in ("net", "nic"))
        number += int(card)
        if made.kind == "floppy":
            return f"/machine/unattached/device[{number - 6}]"
        number += int(not net and "netdev" not in words)
        number -= int(bare)
    first = "/machine/unattached/device["
    others = [one for one in graph.backends if one.path.startswith(first) and one.kind != "floppy"]
    # The board's own CD-ROM drive was made first, and comes after the disks.
    own = next((one for one in others if one.name == f"ide{2 // _units(graph)}-cd0"), None)
    if own is not None and own is not made:
        own.path = f"{first}{number + len(others)}]"
        return f"{first}{number + len(others) - 1}]"
    return f"{first}{number + len(others)}]"


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
) -> Callable[[], None] | None:
    from fakeqemu.block.backend import Backend
    from fakeqemu.block.opening import open_node, truth

    made_up = _name(graph, where, options, taken)
    made = Backend(graph, ident or made_up)
    path = options.get("file")
    cdrom = options.get("media") == "cdrom"
    _limits(graph, made, options)
    if isinstance(path, str) and path:
        read_only = cdrom or truth(options.get("read-only") or options.get("readonly"))
        opening = _node_options(graph, path, options, read_only=read_only)
        node = graph.attempt(lambda: open_node(graph, opening))
        made.asks = CONSISTENT_READ
        node.detect_zeroes = str(options.get("detect-zeroes", "off"))
        made.insert(node)
    graph.backends.append(made)
    made.writeback = options.get("cache") not in ("writethrough", "directsync") and truth(
        options.get("cache.writeback"), default=True
    )
    if where in ("none", "sd", "pflash", "mtd"):
        return None
    return lambda: _wire(graph, made, where, cdrom=cdrom)


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
        "discard": options.get("discard", "ignore"),
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
    if graph.checking:
        limits.check()
    if limits.any:
        name = str(options.get("throttling.group") or options.get("group") or made.name)
        limits.group = name
        group = graph.groups.setdefault(name, Group(name, limits))
        group.limits = limits
        group.members.append(made)
        made.limits = limits


def _wire(graph: Graph, made: Backend, where: str, *, cdrom: bool) -> None:
    """A drive with an interface gets its device from the machine."""
    from fakeqemu.block.devices import AUTOMATIC, CDROMS

    if made.kind:
        raise CommandError("GenericError", AUTOMATIC.format(made.name))
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
        made.kind = "floppy"
        made.path = _unattached(graph, made)
    else:
        return
    made.owned = True
    made.removable = made.tray = made.kind in CDROMS
    if made.kind == "floppy":
        made.tray = False
    else:
        made.io_status = "ok"
    node = made.node
    writes = not cdrom and (where == "ide" or not (node is not None and node.read_only))
    made.ask(writes=writes, share_writes=False, resizable=not cdrom)


def _devices(graph: Graph, *, strict: bool) -> None:
    """The disks among the devices."""
    from fakeqemu.block.devices import attach, is_disk

    anonymous = 0
    for device in graph.machine.line.devices:
        if device.id is None:
            path = f"/machine/peripheral-anon/device[{anonymous}]"
            anonymous += 1
        else:
            path = f"/machine/peripheral/{device.id}"
        if not is_disk(device.kind):
            continue
        kind, ident, options = device.kind, device.id, device.options

        def plug(
            kind: str = kind, ident: str | None = ident, path: str = path, options: Any = options
        ) -> None:
            attach(graph, kind, ident, path, options)

        _guarded(device.text, plug, strict=strict)
