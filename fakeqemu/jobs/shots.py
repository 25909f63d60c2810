"""The table of internal snapshots in a qcow2 file, so that others find them there.

Knows the snapshot table and the reference counts of a qcow2 file. Must not know what a snapshot is good for:
those of imaginary files have a name, a date and a size, and no data of their own.
"""

from __future__ import annotations

from struct import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.block.files import Files
    from fakeqemu.block.image import Image, Snapshot

__all__ = ["keep"]

_ENTRY = ">QIHHIIQII"
_SECOND = 1_000_000_000


def keep(files: Files, path: str, image: Image) -> None:
    """Write the table of an image's snapshots into its file; nothing if it cannot be done simply.

    The table is one cluster, and counts of references have 16 bits: what qemu-img makes if it is not told
    otherwise.
    """
    head = files.read(path, 0, 104)
    if len(head) < 72 or image.refcount_bits != 16:
        return
    number, old_at = unpack(">IQ", head[60:72])
    known = _entries(files, path, number, old_at)
    rows = [known.get(ident) or _entry(shot) for ident, shot in image.snapshots.items()]
    table = b"".join(rows)
    size = image.cluster_size
    if len(table) > size or sum(map(len, known.values())) > size:
        return
    at = old_at if rows else 0
    if rows and not at:
        at = -(-(files.length(path) or 0) // size) * size
        if not _count(files, path, at // size, size, 1):
            return
    elif not rows and old_at and not _count(files, path, old_at // size, size, 0):
        return
    if rows:
        files.write(path, table + bytes(size - len(table)), offset=at)
    files.write(path, pack(">IQ", len(rows), at), offset=60)


def _entry(shot: Snapshot) -> bytes:
    name, ident = shot.name.encode(), shot.ident.encode()
    seconds, rest = divmod(shot.made_ns, _SECOND)
    small = shot.vm_size if shot.vm_size < 1 << 32 else 0
    made = pack(_ENTRY, 0, 0, len(ident), len(name), seconds & 0xFFFFFFFF, rest, shot.clock_ns, small, 24)
    made += pack(">QQQ", shot.vm_size, 0, (1 << 64) - 1) + ident + name
    return made + bytes(-len(made) % 8)


def _entries(files: Files, path: str, number: int, at: int) -> dict[str, bytes]:
    """What is in the table now, by id, as it is."""
    found: dict[str, bytes] = {}
    for _ in range(min(number, 1024)):
        fixed = files.read(path, at, 40)
        if len(fixed) < 40:
            break
        _, _, ident, name, *_, extra = unpack(_ENTRY, fixed)
        length = (40 + extra + ident + name + 7) // 8 * 8
        row = files.read(path, at, length)
        found[row[40 + extra : 40 + extra + ident].decode("utf-8", "replace")] = row
        at += length
    return found


def _count(files: Files, path: str, cluster: int, size: int, references: int) -> bool:
    """Say how often a cluster is used; False if its count has no place yet."""
    table_at = int.from_bytes(files.read(path, 48, 8), "big")
    block, index = divmod(cluster, size // 2)
    block_at = int.from_bytes(files.read(path, table_at + 8 * block, 8), "big") & ~511
    if not block_at:
        return False
    files.write(path, pack(">H", references), offset=block_at + 2 * index)
    return True
