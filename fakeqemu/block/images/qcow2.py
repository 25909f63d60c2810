"""The qcow2 format: reading a header, and writing an image that qemu-img accepts.

Knows docs/interop/qcow2.txt of QEMU 7.2: header, extensions, L1 and L2 tables, refcounts. Must not know nodes
nor hosts: bytes in, bytes out.
"""

from __future__ import annotations

from struct import pack, unpack

from fakeqemu.block.image import Image, Snapshot
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Read: TypeAlias = Callable[[int, int], bytes]
    Pieces: TypeAlias = list[tuple[int, bytes]]

__all__ = ["MAGIC", "foreign", "fresh", "grown", "header", "read"]

MAGIC = b"QFI\xfb"
_BACKING_FORMAT, _FEATURES, _END = 0xE2792ACA, 0x6803F857, 0
_NAMED = (
    (0, 0, b"dirty bit"), (0, 1, b"corrupt bit"), (0, 2, b"external data file"), (0, 3, b"compression type"),
    (0, 4, b"extended L2 entries"), (1, 0, b"lazy refcounts"), (2, 0, b"bitmaps"),
    (2, 1, b"raw external data"),
)  # fmt: skip
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED = 1, 2, 4, 8, 16
#: Tables that are looked into to count what an image holds.
_MAX_L1, _MAX_TABLES = 1 << 16, 512
_HEADER_LENGTH = 112


def read(take: Read) -> Image:
    """The header of an image.

    Args:
        take: ``take(offset, length)`` gives bytes of the file, fewer at its end.

    Raises:
        CommandError: it is not a qcow2 image, or one that QEMU refuses.
    """
    head = take(0, 65536)
    if len(head) < 72:
        # QEMU's short read of the header; an empty or tiny file is no image.
        raise CommandError("GenericError", "Image is not in qcow2 format")
    magic, version = head[:4], int.from_bytes(head[4:8], "big")
    if magic != MAGIC:
        raise CommandError("GenericError", "Image is not in qcow2 format")
    if version not in (2, 3):
        raise CommandError("GenericError", f"Unsupported qcow2 version {version}")
    backing_at, backing_length, bits, size, crypt, l1_size, l1_at = unpack(">QIIQIIQ", head[8:48])
    if not 9 <= bits <= 21:
        raise CommandError("GenericError", f"Unsupported cluster size: 2^{bits}")
    image = Image("qcow2", size, 1 << bits)
    image.version, image.encrypted = version, bool(crypt)
    header_length = 72
    if version == 3:
        head += bytes(max(0, 104 - len(head)))
        incompatible, compatible, _, order, header_length = unpack(">QQQII", head[72:104])
        image.corrupt, image.dirty = bool(incompatible & _CORRUPT), bool(incompatible & _DIRTY)
        image.extended_l2 = bool(incompatible & _EXTENDED)
        image.lazy_refcounts = bool(compatible & 1)
        image.refcount_bits = 1 << order
        if incompatible & _COMPRESSION and head[104:105] == b"\1":
            image.compression = "zstd"
    if backing_at:
        if backing_length > 1023 or backing_at + backing_length > len(head):
            raise CommandError("GenericError", "Backing file name too long")
        image.backing = head[backing_at : backing_at + backing_length].decode("utf-8", "replace")
    _extensions(image, head, header_length, backing_at or 1 << bits)
    image.data = _held(take, image, l1_size, l1_at)
    number, at = unpack(">IQ", head[60:72])
    _snapshots(take, image, number, at)
    return image


def _snapshots(take: Read, image: Image, number: int, at: int) -> None:
    """The internal snapshots that the table tells of; bounded as QEMU's (QCOW_MAX_SNAPSHOTS)."""
    for _ in range(min(number, 65536)):
        fixed = take(at, 40)
        if len(fixed) < 40:
            return
        id_length, name_length, seconds, nanos, clock, small, extra = unpack(">HHIIQII", fixed[12:])
        rest = take(at + 40, extra + id_length + name_length)
        large = int.from_bytes(rest[:8], "big") if extra >= 8 else small
        ident = rest[extra : extra + id_length].decode("utf-8", "replace")
        name = rest[extra + id_length :].decode("utf-8", "replace")
        made = Snapshot(ident, name, seconds * 1_000_000_000 + nanos, clock, large)
        if extra >= 24 and rest[16:24] != b"\xff" * 8:
            made.icount = int.from_bytes(rest[16:24], "big")
        image.snapshots[ident] = made
        at += (40 + extra + id_length + name_length + 7) // 8 * 8


def _extensions(image: Image, head: bytes, at: int, end: int) -> None:
    while at + 8 <= min(end, len(head)):
        kind, length = unpack(">II", head[at : at + 8])
        if kind == _END:
            return
        if kind == _BACKING_FORMAT and image.backing is not None:
            image.backing_format = head[at + 8 : at + 8 + length].decode("utf-8", "replace")
        at += 8 + (length + 7) // 8 * 8


def foreign(head: bytes) -> bytes:
    """The extensions of a header that `header` does not make itself, as they are."""
    version, at, kept = int.from_bytes(head[4:8], "big"), 72, b""
    if version >= 3:
        at = int.from_bytes(head[100:104], "big")
    while at + 8 <= len(head):
        kind, length = unpack(">II", head[at : at + 8])
        stop = at + 8 + (length + 7) // 8 * 8
        if kind == _END:
            break
        if kind not in (_BACKING_FORMAT, _FEATURES):
            kept += head[at:stop]
        at = stop
    return kept


def _held(take: Read, image: Image, l1_size: int, l1_at: int) -> int:
    """Bytes of the disk that have clusters; bounded, so a huge image counts only as far as we look."""
    raw = take(l1_at, min(l1_size, _MAX_L1) * 8)
    entries = unpack(f">{len(raw) // 8}Q", raw[: len(raw) // 8 * 8])
    tables = [entry & 0x00FFFFFFFFFFFE00 for entry in entries if entry & 0x00FFFFFFFFFFFE00]
    step = 2 if image.extended_l2 else 1
    number = 0
    for table in tables[:_MAX_TABLES]:
        raw = take(table, image.cluster_size)
        entries = unpack(f">{len(raw) // 8}Q", raw[: len(raw) // 8 * 8])[::step]
        number += sum(1 for entry in entries if entry & 0x3FFFFFFFFFFFFFFF and not entry & 1)
    return number * image.cluster_size


def header(
    image: Image, *, l1_size: int, l1_at: int, table_at: int, table_clusters: int, keep: bytes = b""
) -> bytes:
    """The first bytes of an image, with its extensions and the name of its backing file.

    Args:
        image: what it says.
        l1_size: entries of the L1 table.
        l1_at: where that is.
        table_at: where the refcount table is.
        table_clusters: how long that is.
        keep: further extensions to keep.

    Raises:
        CommandError: the names do not fit into one cluster.
    """
    features = b"".join(pack(">BB46s", kind, bit, name) for kind, bit, name in _NAMED)
    tail = keep
    if image.backing is not None and image.backing_format is not None:
        tail += _extension(_BACKING_FORMAT, image.backing_format.encode())
    if image.version == 3:
        tail += _extension(_FEATURES, features)
    tail += _extension(_END, b"")
    start = _HEADER_LENGTH if image.version == 3 else 72
    name = (image.backing or "").encode()
    if start + len(tail) + len(name) > image.cluster_size and image.version == 3:
        # The names of the features are a courtesy: they go first when it gets tight (qcow2_update_header).
        tail = tail[: -8 - len(_extension(_FEATURES, features))] + _extension(_END, b"")
    if start + len(tail) + len(name) > image.cluster_size:
        raise CommandError("GenericError", "Backing file name too long")
    made = pack(
        ">4sIQIIQIIQQIIQ", MAGIC, image.version, start + len(tail) if name else 0, len(name),
        image.cluster_size.bit_length() - 1, image.size, 0, l1_size, l1_at, table_at, table_clusters, 0, 0,
    )  # fmt: skip
    if image.version == 3:
        zstd = image.compression == "zstd"
        incompatible = (_COMPRESSION if zstd else 0) | (_EXTENDED if image.extended_l2 else 0)
        order = image.refcount_bits.bit_length() - 1
        made += pack(">QQQII", incompatible, int(image.lazy_refcounts), 0, order, _HEADER_LENGTH)
        made += bytes((int(zstd),)) + bytes(7)
    return made + tail + name


def _extension(kind: int, data: bytes) -> bytes:
    return pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)


def _l1_entries(image: Image) -> int:
    entries = image.cluster_size // (16 if image.extended_l2 else 8)
    return -(-image.size // (image.cluster_size * entries))


def fresh(image: Image) -> Pieces:
    """A new image without data: (offset, bytes) to write into an empty file, the last up to its end.

    Raises:
        CommandError: it cannot be that large, or the backing file's name is too long.
    """
    cluster = image.cluster_size
    entries = _l1_entries(image)
    if entries * 8 > 32 << 20:
        raise CommandError(
            "GenericError", "Image size too large for file format (try using a larger cluster size)"
        )
    l1_clusters = -(-entries * 8 // cluster)
    per_block = cluster * 8 // image.refcount_bits
    blocks = table = 1
    while True:
        used = 1 + table + blocks + l1_clusters
        need = -(-used // per_block)
        want = -(-need * 8 // cluster)
        if need <= blocks and want <= table:
            break
        blocks, table = max(blocks, need), max(table, want)
    block_at = (1 + table) * cluster
    l1_at = (1 + table + blocks) * cluster
    head = header(image, l1_size=entries, l1_at=l1_at, table_at=cluster, table_clusters=table)
    pieces = [
        (0, head),
        (cluster, b"".join(pack(">Q", block_at + index * cluster) for index in range(blocks))),
    ]
    pieces += [
        (block_at + index * cluster, _counts(image, min(per_block, used - index * per_block)))
        for index in range(blocks)
    ]
    # QEMU clears the clusters of the tables, so they take up room; the file ends with the L1 table.
    return [*((at, data + bytes(-len(data) % cluster)) for at, data in pieces), (l1_at, bytes(entries * 8))]


def _counts(image: Image, number: int) -> bytes:
    """``number`` refcounts of one."""
    bits = image.refcount_bits
    if bits >= 8:
        return (1).to_bytes(bits // 8, "big") * number
    value = 0
    for index in range(number):
        value |= 1 << index * bits
    return value.to_bytes(-(-number * bits // 8), "little")


def grown(take: Read, image: Image, length: int) -> Pieces:
    """What to write so that an image has the size ``image.size``; the L1 table moves when it must grow.

    Args:
        take: reads the file.
        image: its header, with the new size.
        length: of the file.

    Raises:
        CommandError: it cannot grow so far.
    """
    head = take(0, 72)
    l1_size, l1_at = unpack(">IQ", head[36:48])
    size = pack(">Q", image.size)
    need = _l1_entries(image)
    if need * 8 > 32 << 20:
        raise CommandError("GenericError", "Failed to grow the L1 table: File too large")
    if need <= l1_size:
        return [(24, size)]
    del length
    cluster = image.cluster_size
    old, room = -(-l1_size * 8 // cluster), -(-need * 8 // cluster)
    table_at = unpack(">Q", head[48:56])[0]
    (block_at,) = unpack(">Q", take(table_at, 8))
    counts = take(block_at, cluster)
    counts += bytes(cluster - len(counts))
    at = counts_free(counts, room) if image.refcount_bits == 16 else -1
    if at < 0:
        raise CommandError("GenericError", "Failed to grow the L1 table: No space left on device")
    table = take(l1_at, l1_size * 8)
    return [
        (at * cluster, table + bytes(room * cluster - len(table))),
        (block_at + at * 2, b"\0\1" * room), (24, size), (36, pack(">IQ", need, at * cluster)),
        (block_at + l1_at // cluster * 2, bytes(2 * old)),
    ]  # fmt: skip


def counts_free(counts: bytes, room: int) -> int:
    """The first run of ``room`` clusters whose 16-bit refcounts are zero, or -1."""
    run = 0
    for index in range(len(counts) // 2):
        run = 0 if counts[index * 2] or counts[index * 2 + 1] else run + 1
        if run == room:
            return index - room + 1
    return -1
