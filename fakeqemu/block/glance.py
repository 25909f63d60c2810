"""A glance at the disks of a command line: is there any reason to look closer before the start goes on?

Knows the plain case, in which nothing can be wrong: files that are there, qcow2 images or raw ones on top,
each used once. Must not know the graph. On the start-up path; `fakeqemu.block.beginning` looks closer.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.cmdline.argv import CommandLine
    from fakeqemu.host import Host

__all__ = ["plain"]

#: Options that change nothing of what could go wrong.
_HARMLESS = frozenset((
    "aio", "auto-read-only", "cache", "discard", "filename", "file", "backing", "read-only",
    "node-name", "driver",
))  # fmt: skip


def plain(line: CommandLine, host: Host) -> bool:
    """Whether the disks are of the plain kind, and all is well with them."""
    if line.drives:
        return False
    paths: dict[str, str] = {}
    free: dict[str, bool] = {}
    for name, device in line.blockdevs.items():
        options = device.options
        if not (name[:1].isalpha() and len(name) < 32 and name.replace("-", "").isalnum() and name.isascii()):
            return False
        if not options.keys() <= _HARMLESS or not _node(name, device.kind, options, host, paths, free):
            return False
        free[name] = options.get("read-only") in (True, "on")
    for device in line.devices:
        drive = device.options.get("drive")
        if isinstance(drive, str):
            read_only = free.pop(drive, None)
            if read_only is None or (read_only and not device.kind.endswith("-cd")):
                return False
    return True


def _node(  # noqa: PLR0911, PLR0917 - each reason to look closer
    name: str, driver: str, options: dict[str, Any], host: Host, paths: dict[str, str], free: dict[str, bool]
) -> bool:
    if driver == "file":
        path = options.get("filename")
        if not isinstance(path, str) or path in paths.values() or host.kind(path) != "file":
            return False
        if host.file_error(path) is not None:
            return False
        paths[name] = path
        return True
    if driver not in ("qcow2", "raw"):
        return False
    below = options.get("file")
    if not isinstance(below, str) or below not in paths or free.pop(below, None) is not False:
        return False
    if driver == "raw":
        return True
    head = host.read(paths[below], 0, 16) or b""
    if head[:4] != b"QFI\xfb":
        return False
    backing = options.get("backing")
    if isinstance(backing, str):
        return free.pop(backing, None) is not None
    return "backing" in options or not any(head[8:16])
