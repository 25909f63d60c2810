"""How a node comes to be: options, children, file, header, backing chain; in QEMU's order of complaints.

Knows bdrv_open_inherit and bdrv_open_common of QEMU 7.2 ``block.c`` and the open functions of the drivers.
Must not know commands.
"""

from __future__ import annotations

from fakeqemu.block.drivers import DRIVERS
from fakeqemu.block.image import Image
from fakeqemu.block.node import BlockNode
from fakeqemu.block.perms import COW, DATA, PRIMARY
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.graph import Graph

__all__ = ["IMAGINARY_SIZE", "add", "fresh", "number", "open_node", "truth"]

#: Size of a disk whose image nobody can look into.
IMAGINARY_SIZE = 20 << 30
#: Size of the null drivers' disk.
NULL_SIZE = 1 << 30
#: How deep nodes may be nested, and how long a chain may be.
MAX_DEPTH = 200
_FILES = ("file", "host_device", "host_cdrom")
_NOT_OURS = {
    "vdi": "Image not in VDI format",
    "vmdk": "invalid VMDK image descriptor",
    "vpc": "invalid VPC image",
    "qed": "Image not in QED format",
    "vhdx": "Could not open '{}': Invalid argument",
    "qcow": "qcow (v1) does not support qcow version 3",
    "parallels": "Image not in Parallels format",
    "bochs": "Image is read-only",
    "dmg": "Image is read-only",
    "cloop": "Image is read-only",
}
#: Formats that a compressing filter may stand on.
_COMPRESSING = ("qcow2", "qcow", "vmdk", "copy-on-read", "compress")
_UNREADABLE = "The image format of driver '{}' is not modelled"


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


def truth(value: object, *, default: bool = False) -> bool:
    """A flag: of JSON, or of a command line's text."""
    return default if value is None else value in (True, "on", "true", "yes")


def number(value: object, default: int = 0) -> int:
    """A size: of JSON, or of a command line's text."""
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        factor = {"k": 10, "m": 20, "g": 30, "t": 40}.get(value[-1:].lower())
        digits = value[:-1] if factor else value
        return int(digits, 0) << (factor or 0) if digits.isdigit() else default
    return default


def add(graph: Graph, options: dict[str, Any]) -> BlockNode:
    """Open a node for the manager (blockdev-add).

    Raises:
        CommandError: QEMU's text.
    """
    if options.get("node-name") is None:
        raise _fail("'node-name' must be specified for the root node")
    made: BlockNode = graph.attempt(lambda: open_node(graph, options))
    made.monitored = True
    graph.note(lambda: setattr(made, "monitored", False))
    return made


def fresh(graph: Graph, driver: str, name: str | None, options: dict[str, Any] | None = None) -> BlockNode:
    """A node with nothing below it yet, under a name that is checked (bdrv_assign_node_name).

    Raises:
        CommandError: the name cannot be had.
    """
    if name is None:
        name = graph.new_name()
    else:
        first, rest = name[:1], name[1:]
        if not (first.isascii() and first.isalpha()) or any(
            not (sign.isascii() and (sign.isalnum() or sign in "-._")) for sign in rest
        ):
            raise _fail(f"Invalid node-name: '{name}'")
        if graph.backend(name) is not None:
            raise _fail(f"node-name={name} is conflicting with a device id")
        if name in graph.nodes:
            raise _fail(f"Duplicate nodes with node-name='{name}'")
        if len(name) > 31:
            raise _fail("Node name too long")
    node = graph.nodes[name] = BlockNode(name, DRIVERS[driver], options or {})
    graph.note(lambda: graph.nodes.pop(node.name, None))
    return node


def open_node(
    graph: Graph, options: dict[str, Any], *, parent: BlockNode | None = None, role: int = 0, depth: int = 0,
    inherit: dict[str, Any] | None = None,
) -> BlockNode:  # fmt: skip
    """Open a node and what it needs; nobody uses it yet.

    Args:
        graph: where.
        options: as blockdev-add takes them.
        parent: the node that will use it, if any.
        role: what it will be to its parent.
        depth: how deep it is nested.
        inherit: flags of the parent, which hold unless the options say otherwise.

    Raises:
        CommandError: QEMU's text.
    """
    del parent
    driver = options.get("driver")
    if depth > MAX_DEPTH:
        raise _fail("Too many levels of nesting")
    kind = DRIVERS.get(str(driver))
    if kind is None or driver in ("mirror_top", "commit_top"):
        if driver is None:
            raise _fail("Must specify either driver or file")
        raise _fail(f"Unknown driver '{driver}'")
    flags = _flags(options, inherit, role)
    below: dict[str, BlockNode] = {}
    if "file" in kind.children and options.get("file") is not None:
        below["file"] = _child(graph, options["file"], flags, kind.children["file"], depth)
    if driver in _FILES and not options.get("filename"):
        raise _fail(f"The '{driver}' block driver requires a file name")
    if flags["force-share"] and not flags["read-only"]:
        raise _fail("force-share=on can only be used with read-only images")
    if flags["detect-zeroes"] == "unmap" and flags["discard"] != "unmap":
        text = "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap"
        raise _fail(text)
    node = fresh(graph, str(driver), options.get("node-name"), _own(options, kind.children))
    _apply(node, flags)
    _open(graph, node, options, below, flags, depth)
    return node


def _own(options: dict[str, Any], children: dict[str, int]) -> dict[str, Any]:
    """The options without those that name children or hold for every driver."""
    return {
        key: value
        for key, value in options.items()
        if key not in children and key not in ("driver", "node-name", "backing")
    }


def _flags(options: dict[str, Any], inherit: dict[str, Any] | None, role: int) -> dict[str, Any]:
    up = inherit or {}
    cache = options.get("cache") if isinstance(options.get("cache"), dict) else {}
    inherited_ro = True if role & COW else up.get("read-only", False)
    return {
        "read-only": truth(options.get("read-only"), default=inherited_ro),
        "auto-read-only": truth(options.get("auto-read-only"), default=up.get("auto-read-only", False)),
        "force-share": truth(options.get("force-share"), default=up.get("force-share", False)),
        "direct": truth(cache.get("direct"), default=up.get("direct", False)),  # type: ignore[union-attr]
        "no-flush": truth(cache.get("no-flush"), default=up.get("no-flush", False)),  # type: ignore[union-attr]
        "discard": {"on": "unmap", "off": "ignore"}.get(
            str(options.get("discard", "ignore")), str(options.get("discard", "ignore"))
        ),
        "detect-zeroes": str(options.get("detect-zeroes", "off")),
    }


def _apply(node: BlockNode, flags: dict[str, Any]) -> None:
    node.read_only, node.force_share = flags["read-only"], flags["force-share"]
    node.direct, node.no_flush = flags["direct"], flags["no-flush"]
    node.discard, node.detect_zeroes = flags["discard"], flags["detect-zeroes"]


def _child(graph: Graph, what: Any, flags: dict[str, Any], role: int, depth: int) -> BlockNode:
    """A child: a node that is there already, or one that is made for its parent."""
    if isinstance(what, str):
        return graph.find(what)
    down = {key: flags[key] for key in ("read-only", "auto-read-only", "force-share", "direct", "no-flush")}
    if not role & COW:
        down["auto-read-only"] = True
    return open_node(graph, what, role=role, depth=depth + 1, inherit=down)


def _open(  # noqa: PLR0917 - one place calls it
    graph: Graph, node: BlockNode, options: dict[str, Any], below: dict[str, BlockNode],
    flags: dict[str, Any], depth: int,
) -> None:  # fmt: skip
    driver, kind = node.driver, node.kind
    if driver in _FILES:
        _open_file(graph, node)
    elif driver.startswith("null-"):
        node.size = number(options.get("size"), NULL_SIZE)
    elif driver == "nbd":
        _open_nbd(graph, node, options)
    elif driver == "quorum":
        _open_quorum(graph, node, options, flags, depth)
    else:
        if driver == "throttle":
            _throttled(graph, node)
        if driver == "luks" and options.get("key-secret") is None:
            raise _fail("Parameter 'key-secret' is required for cipher")
        for name, role in kind.children.items():
            if name in below or (name not in ("file", "backing") and options.get(name) is not None):
                child = below.get(name) or _child(graph, options[name], flags, role, depth)
                placed = driver == "raw" and ("offset" in options or "size" in options)
                graph.attach(node, name, child, DATA | PRIMARY if placed else role)
        _finish(graph, node, options, flags, depth)


def _finish(
    graph: Graph, node: BlockNode, options: dict[str, Any], flags: dict[str, Any], depth: int
) -> None:
    """The children are there: see how large the disk is, and open the backing chain."""
    under = node.primary()
    if under is None:
        raise _fail("Parameter 'file' is missing")
    if node.driver == "raw":
        _open_raw(node, under, options)
    elif node.kind.format:
        node.image = header_of(graph, node, under)
        node.size = node.image.size
        if node.kind.supports_backing:
            _open_backing(graph, node, options, flags, depth)
    else:
        if node.driver == "compress" and under.driver not in _COMPRESSING:
            raise _fail(f"Compression is not supported for underlying format: {under.driver}")
        node.size = under.size


def _open_file(graph: Graph, node: BlockNode) -> None:
    path = str(node.options["filename"])
    node.path = path
    node.unlocked = node.force_share or node.options.get("locking") == "off" or node.driver != "file"
    files = graph.files
    if graph.checking:
        reason, kind = files.missing(path), files.kind(path)
        if reason is None and kind == "directory":
            reason = "Is a directory"
        if reason is not None:
            raise _fail(f"Could not open '{path}': {reason}")
        if node.driver == "file" and kind != "file":
            raise _fail(f"'file' driver requires '{path}' to be a regular file")
        if node.driver != "file" and kind == "file" and files.known(path):
            text = "to be either a character or block device"
            raise _fail(f"'{node.driver}' driver requires '{path}' {text}")
    node.size = file_size(graph, path)


def file_size(graph: Graph, path: str) -> int:
    """How large the disk in a plain file is: its length, in whole sectors."""
    length = graph.files.length(path)
    return IMAGINARY_SIZE if length is None else -(-length // 512) * 512


def _open_nbd(graph: Graph, node: BlockNode, options: dict[str, Any]) -> None:
    server = options.get("server")
    if graph.checking and isinstance(server, dict) and server.get("type") == "unix":
        path = str(server.get("path"))
        reason = graph.files.missing(path) or "Connection refused"
        raise _fail(f"Failed to connect to '{path}': {reason}")
    if graph.checking:
        raise _fail("Failed to connect to the server: Connection refused")
    node.size = IMAGINARY_SIZE


def _open_quorum(
    graph: Graph, node: BlockNode, options: dict[str, Any], flags: dict[str, Any], depth: int
) -> None:
    children = options.get("children") or []
    if not children:
        raise _fail("Number of provided children must be 1 or more")
    threshold = number(options.get("vote-threshold"))
    if threshold < 1:
        raise _fail("Parameter 'vote-threshold' expects a value >= 1")
    if threshold > len(children):
        raise _fail("threshold may not exceed children count")
    for index, what in enumerate(children):
        child = _child(graph, what, flags, DATA, depth)
        graph.attach(node, f"children.{index}", child, DATA)
        node.size = child.size


def _throttled(graph: Graph, node: BlockNode) -> None:
    from fakeqemu.block.throttling import group_named

    name = str(node.options.get("throttle-group"))
    group = group_named(graph, name)
    if group is None:
        raise _fail(f"Throttle group '{name}' does not exist")
    group.members.append(node)
    graph.note(lambda: group.members.remove(node))


def _open_raw(node: BlockNode, under: BlockNode, options: dict[str, Any]) -> None:
    offset, size = number(options.get("offset")), number(options.get("size"), -1)
    if offset > under.size:
        text = f"Offset ({offset}) cannot be greater than size of the containing file ({under.size})"
        raise _fail(text)
    if size >= 0 and offset + size > under.size:
        text = (
            f"The sum of offset ({offset}) and size ({size}) has to be smaller or equal to the "
            f" actual size of the containing file ({under.size})"
        )
        raise _fail(text)
    if size >= 0 and size % 512:
        raise _fail("Specified size is not multiple of 512")
    node.size = size if size >= 0 else -(-(under.size - offset) // 512) * 512


def header_of(graph: Graph, node: BlockNode, under: BlockNode) -> Image:
    """The header of the image that a format driver finds in the node below it.

    Raises:
        CommandError: the driver cannot read that.
    """
    from fakeqemu.block import images

    protocol = under.protocol()
    path = protocol.path
    driver = node.driver
    files = graph.files
    known = path is not None and files.known(path)
    if not known:
        image = Image(driver, IMAGINARY_SIZE if under.path is not None else under.size)
        if path is None and graph.checking:
            raise _fail(_NOT_OURS.get(driver, f"Image is not in {driver} format"))
        return image
    if driver == "qcow2" and path is not None:
        try:
            return images.looked_at(files, path)
        except CommandError:
            if graph.checking:
                raise
            return Image(driver, IMAGINARY_SIZE)
    if path is not None and graph.checking:
        if images.probe(files, path) == driver:
            raise _fail(_UNREADABLE.format(driver))
        raise _fail(_NOT_OURS.get(driver, f"Image not in {driver} format").format(path))
    return Image(driver, IMAGINARY_SIZE)


def _open_backing(
    graph: Graph, node: BlockNode, options: dict[str, Any], flags: dict[str, Any], depth: int
) -> None:
    image = node.image
    if image is None:
        return
    if image.backing is not None:
        image.auto_backing = _beside(image.backing, node.protocol().path or "")
    if "backing" in options and options["backing"] in (None, ""):
        return
    what = options.get("backing")
    if what is None and image.backing is None:
        return
    try:
        if what is None:
            what = named_backing(graph, node, image)
        child = _child(graph, what, flags, COW, depth)
        if options.get("backing") is None:
            image.auto_backing = child.filename
    except CommandError as error:
        raise _fail(f"Could not open backing file: {error.desc}") from None
    graph.set_backing(node, child)


def named_backing(graph: Graph, node: BlockNode, image: Image) -> dict[str, Any]:
    """How to open the backing file that a header names."""
    from fakeqemu.block import images

    name = image.auto_backing or ""
    if name.startswith("json:"):
        from fakeqemu.protocol.qjson import parse

        try:
            made = parse(name[5:])
        except (ValueError, StopIteration):
            raise _fail(f"Could not parse the JSON options: {name}") from None
        return made if isinstance(made, dict) else {}
    del node
    if graph.checking:
        reason = graph.files.missing(name)
        if reason is not None:
            raise _fail(f"Could not open '{name}': {reason}")
    format_ = image.backing_format or images.probe(graph.files, name)
    return {"driver": format_, "file": {"driver": "file", "filename": name}}


def _beside(name: str, path: str) -> str:
    """A backing file's name, taken from the directory of its overlay (path_combine)."""
    if name.startswith(("/", "json:")) or ":" in name.split("/", maxsplit=1)[0]:
        return name
    head, slash, _ = path.rpartition("/")
    return f"{head}{slash}{name}"
