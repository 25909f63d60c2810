"""The block drivers that can be opened.

Knows what each driver is: filter, format or protocol, and its children with their roles (QEMU 7.2
``block/*.c``). Must not know files.
"""

from __future__ import annotations

from fakeqemu.block.perms import COW, DATA, FILTERED, METADATA, PRIMARY

__all__ = ["DRIVERS", "Driver"]

_IMAGE = DATA | METADATA | PRIMARY
_PASSED = FILTERED | PRIMARY


class Driver:
    """A driver.

    Attributes:
        children: the names of the children it takes, with the role of each.
        filter: whether it shows another node, changed or not.
        format: whether it is an image format.
        strong: options that change what the guest sees, in the order in which a name lists them.
        primary: the children that may hold what the node shows, best first.
    """

    __slots__ = ("children", "filter", "format", "name", "primary", "strong", "supports_backing")

    def __init__(
        self,
        name: str,
        children: dict[str, int],
        *,
        filter_: bool = False,
        format_: bool = False,
        strong: tuple[str, ...] = (),
        backing: bool = False,
    ) -> None:
        self.name, self.children, self.filter, self.format, self.strong = (
            name, children, filter_, format_, strong,
        )  # fmt: skip
        self.supports_backing = backing
        self.primary = tuple(child for child, role in children.items() if role & PRIMARY)


def _made() -> dict[str, Driver]:
    plain = {"file": _IMAGE}
    made = [
        Driver("file", {}, strong=("filename",)),
        Driver("host_device", {}, strong=("filename",)),
        Driver("host_cdrom", {}, strong=("filename",)),
        Driver("null-co", {}, strong=("size", "read-zeroes")),
        Driver("null-aio", {}, strong=("size", "read-zeroes")),
        Driver("nbd", {}, strong=("path", "host", "port", "export", "tls-creds", "tls-hostname", "server")),
        Driver("raw", {"file": _PASSED}, format_=True, strong=("offset", "size")),
        Driver("qcow2", {"file": _IMAGE, "backing": COW, "data-file": DATA}, format_=True, backing=True),
        Driver("qcow", {"file": _IMAGE, "backing": COW}, format_=True, backing=True),
        Driver("qed", {"file": _IMAGE, "backing": COW}, format_=True, backing=True),
        Driver("vmdk", {"file": _IMAGE, "backing": COW}, format_=True, backing=True),
        Driver("throttle", {"file": _PASSED}, filter_=True, strong=("throttle-group",)),
        Driver("copy-on-read", {"file": _PASSED}, filter_=True, strong=("bottom",)),
        Driver("preallocate", {"file": _PASSED}, filter_=True),
        Driver("compress", {"file": _PASSED}, filter_=True),
        Driver("blkdebug", {"image": _PASSED}, filter_=True, strong=("config", "image")),
        Driver("blklogwrites", {"file": _PASSED, "log": METADATA}, filter_=True),
        Driver("blkverify", {"raw": _PASSED, "test": DATA}, filter_=True),
        Driver("quorum", {"children": DATA}, strong=("vote-threshold", "blkverify", "rewrite-corrupted")),
        Driver("mirror_top", {"backing": _PASSED}, filter_=True),
        Driver("commit_top", {"backing": _PASSED}, filter_=True),
        Driver("copy-before-write", {"file": _PASSED, "target": DATA}, filter_=True),
        Driver("snapshot-access", {"file": DATA | PRIMARY}),
    ]
    made += [Driver(name, plain, format_=True) for name in _HEADED]
    return {driver.name: driver for driver in made}


#: Formats that are known by their header only.
_HEADED = ("vdi", "vpc", "vhdx", "luks", "bochs", "cloop", "dmg", "parallels")

DRIVERS = _made()
