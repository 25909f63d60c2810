"""Image files: what their headers say, and how new ones are written.

Knows the formats on disk. Must not know nodes.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from fakeqemu.block.image import Image

    class Store(Protocol):
        """Where files are: a host, or a graph's files."""

        def write(self, path: str, data: bytes, *, offset: int = 0, truncate: bool = False) -> str | None:
            """Write into a file."""

        def resize(self, path: str, size: int) -> str | None:
            """Give a file a length."""

        def read(self, path: str, offset: int, length: int) -> bytes | None:
            """Bytes of a file."""

        def length(self, path: str) -> int | None:
            """How long a file is."""


__all__ = ["create", "looked_at", "probe", "rewrite_backing", "set_size"]


_NEWER = "supported with compatibility level 1.1 and above (use version=v3 or greater)"
_NEWER_OR = "compatibility level 1.1 or above (use version=v3 or greater)"


def create(host: Store, driver: str, options: dict[str, Any]) -> None:
    """Make an image file, or make an existing file an image.

    Args:
        host: where the file is.
        driver: the format: ``qcow2``, ``raw`` or ``file``.
        options: ``filename`` and ``size``, and for qcow2 what BlockdevCreateOptionsQcow2 has:
            ``version``, ``cluster-size``, ``backing-file``, ``backing-fmt``, ``refcount-bits``,
            ``lazy-refcounts``, ``extended-l2``, ``compression-type``, ``preallocation``.

    Raises:
        CommandError: it cannot be made, in the words of QEMU's bdrv_co_create of the format.
    """
    path, size = str(options["filename"]), int(options["size"])
    if driver in ("raw", "file"):
        if options.get("truncate", driver == "file"):
            _done(host.write(path, b"", truncate=True), path)
        _done(host.resize(path, size), path)
        return
    if driver != "qcow2":
        raise CommandError("GenericError", f"Driver '{driver}' does not support blockdev-create")
    from fakeqemu.block.images.qcow2 import fresh

    pieces = fresh(qcow2_of(options))
    first = True
    for offset, data in pieces:
        _done(host.write(path, data, offset=offset, truncate=first), path)
        first = False


def _done(reason: str | None, path: str) -> None:
    if reason is not None:
        raise CommandError("GenericError", f"Could not create '{path}': {reason}")


def qcow2_of(options: dict[str, Any]) -> Image:
    """The header that these options ask for (qcow2_co_create).

    Raises:
        CommandError: options that do not go together.
    """
    from fakeqemu.block.image import Image

    size, cluster = int(options["size"]), int(options.get("cluster-size", 65536))
    if size % 512:
        raise CommandError("GenericError", "Image size must be a multiple of 512 bytes")
    old = options.get("version", "v3") == "v2"
    extended = bool(options.get("extended-l2"))
    low = 16384 if extended else 512
    if cluster & (cluster - 1) or not 512 <= cluster <= 2 << 20:
        raise CommandError("GenericError", "Cluster size must be a power of two between 512 and 2048k")
    if extended and old:
        text = f"Extended L2 entries are only {_NEWER}"
        raise CommandError("GenericError", text)
    if cluster < low:
        text = "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes"
        raise CommandError("GenericError", text)
    bits = int(options.get("refcount-bits", 16))
    if bits > 64 or bits < 1 or bits & (bits - 1):
        raise CommandError("GenericError", "Refcount width must be a power of two and may not exceed 64 bits")
    if old and bits != 16:
        text = f"Different refcount widths than 16 bits require {_NEWER_OR}"
        raise CommandError("GenericError", text)
    backing, format_ = options.get("backing-file"), options.get("backing-fmt")
    if format_ is not None and backing is None:
        raise CommandError("GenericError", "Backing format cannot be used without backing file")
    lazy = bool(options.get("lazy-refcounts"))
    if lazy and old:
        text = f"Lazy refcounts only {_NEWER}"
        raise CommandError("GenericError", text)
    image = Image("qcow2", size, cluster)
    image.version, image.refcount_bits = 2 if old else 3, bits
    image.lazy_refcounts, image.extended_l2 = lazy, extended
    image.compression = str(options.get("compression-type", "zlib"))
    image.backing, image.backing_format = backing, format_
    return image


def looked_at(host: Store, path: str) -> Image:
    """The header of a qcow2 image in a file.

    Raises:
        CommandError: it is none.
    """
    from fakeqemu.block.images.qcow2 import read

    return read(lambda offset, length: host.read(path, offset, length) or b"")


def probe(host: Store, path: str) -> str:
    """The format of a file, by its first bytes (bdrv_probe_all): raw when nothing else fits."""
    head = host.read(path, 0, 4) or b""
    return {b"QFI\xfb": "qcow2", b"KDMV": "vmdk", b"LUKS": "luks", b"QED\0": "qed"}.get(head, "raw")


def set_size(host: Store, path: str, image: Image, size: int) -> None:
    """Give a qcow2 image another size, in its file too.

    Raises:
        CommandError: it cannot have that size.
    """
    from fakeqemu.block.images.qcow2 import grown

    old, image.size = image.size, size
    try:
        pieces = grown(
            lambda offset, length: host.read(path, offset, length) or b"", image, host.length(path) or 0
        )
    except CommandError:
        image.size = old
        raise
    for offset, data in pieces:
        host.write(path, data, offset=offset)


def rewrite_backing(host: Store, path: str, image: Image, name: str | None, format_: str | None) -> None:
    """Name another backing file in an image's header (qcow2_change_backing_file).

    Raises:
        CommandError: the name is too long.
    """
    from struct import unpack

    from fakeqemu.block.images.qcow2 import foreign, header

    old = image.backing, image.backing_format
    image.backing, image.backing_format = name, format_
    head = host.read(path, 0, max(image.cluster_size, 512)) or b""
    if len(head) < 72:
        return
    try:
        l1_size, l1_at, table_at, clusters = unpack(">IQQI", head[36:60])
        keep = foreign(head)
        data = header(
            image, l1_size=l1_size, l1_at=l1_at, table_at=table_at, table_clusters=clusters, keep=keep
        )
    except CommandError:
        image.backing, image.backing_format = old
        raise
    # Snapshots stay, and so do features of which the header alone knows.
    data = data[:60] + head[60 : 96 if image.version >= 3 else 72] + data[96 if image.version >= 3 else 72 :]
    host.write(path, data + bytes(min(image.cluster_size, 4096) - len(data) if len(data) < 4096 else 0))
