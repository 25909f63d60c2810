"""What a node calls itself: its file's name, or its options as a ``json:`` name.

Knows bdrv_refresh_filename of QEMU 7.2 ``block.c``. Must not know how nodes are opened.
"""

from __future__ import annotations

from fakeqemu.protocol.qjson import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.node import BlockNode

__all__ = ["backing_overridden", "exact_filename", "filename", "full_options"]

_PROTOCOLS = (
    "file", "host_device", "host_cdrom", "null-co", "null-aio", "nbd", "blkdebug", "blkverify", "quorum",
)  # fmt: skip
_SHOWN_AS_BELOW = ("mirror_top", "commit_top", "copy-before-write")


def filename(node: BlockNode) -> str:
    """The name of a node."""
    if node.driver in _SHOWN_AS_BELOW or (node.implicit and node.kind.filter):
        under = node.filtered
        return filename(under) if under is not None else ""
    exact = exact_filename(node)
    return exact or f"json:{encode(full_options(node))}"


def backing_overridden(node: BlockNode) -> bool:
    """Whether the backing image is another one than the file would bring (bdrv_backing_overridden)."""
    if not node.kind.supports_backing:
        return False
    told = node.image.auto_backing if node.image is not None else None
    backing = node.backing
    if backing is not None:
        return (told or "") != filename(backing)
    return told is not None


def exact_filename(node: BlockNode) -> str:  # noqa: PLR0911 - by kind of driver
    """The plain file name, or nothing when opening that would bring something else."""
    options = node.options
    driver = node.driver
    if driver in ("file", "host_device", "host_cdrom"):
        return str(options.get("filename", ""))
    if driver in ("null-co", "null-aio"):
        return f"{driver}://" if len(full_options(node)) == 1 else ""
    if driver == "blkdebug":
        image = node.child("image")
        under = exact_filename(image) if image is not None else ""
        return f"blkdebug:{options.get('config', '')}:{under}" if under else ""
    if driver == "nbd":
        return _nbd(options)
    if driver in _SHOWN_AS_BELOW:
        return filename(node)
    under_node = node.primary()
    if under_node is None or node.kind.filter or under_node.driver not in _PROTOCOLS:
        return ""
    if _strong(node) or backing_overridden(node):
        return ""
    return exact_filename(under_node)


def _nbd(options: dict[str, Any]) -> str:
    server = options.get("server")
    if not isinstance(server, dict):
        return ""
    export = options.get("export")
    if server.get("type") == "unix":
        path = server.get("path")
        return f"nbd+unix:///{export}?socket={path}" if export else f"nbd+unix://?socket={path}"
    place = f"nbd://{server.get('host')}:{server.get('port')}"
    return f"{place}/{export}" if export else place


def _strong(node: BlockNode) -> dict[str, Any]:
    return {name: node.options[name] for name in node.kind.strong if name in node.options and name != "image"}


def full_options(node: BlockNode) -> dict[str, Any]:
    """Everything that is needed to open the same again."""
    found: dict[str, Any] = {"driver": node.driver, **_strong(node)}
    overridden = backing_overridden(node)
    for name, edge in node.edges.items():
        if name == "backing" and not overridden and node.kind.supports_backing:
            continue
        if name.startswith("children."):
            found.setdefault("children", []).append(full_options(edge.child))
        else:
            found[name] = full_options(edge.child)
    if overridden and node.backing is None:
        found["backing"] = None
    return found
