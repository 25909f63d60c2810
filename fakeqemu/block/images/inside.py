"""Snapshots inside a qcow2 image: taken, gone back to and removed.

Knows the snapshot table of docs/interop/qcow2.txt and how snapshots share clusters (QEMU 7.2
block/qcow2-snapshot.c). Must not know what a machine's state is.
"""

from __future__ import annotations

from struct import pack, unpack

from fakeqemu.block.images.disks import Trouble
from fakeqemu.block.images.mapping import Qcow2Disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.block.image import Snapshot

__all__ = ["back", "forget", "state_of", "take"]

_ENTRY = ">QIHHIIQII"
_COPIED, _COMPRESSED, _AT = 1 << 63, 1 << 62, 0x00FFFFFFFFFFFE00
_SECOND = 1_000_000_000


def take(disk: Qcow2Disk, shot: Snapshot, state: bytes) -> None:
    """Keep what the disk holds now, under a snapshot's name; ``state`` goes with it.

    Raises:
        Trouble: the image cannot have it.
    """
    _share(disk, disk.l1, 1)
    entries = bytearray(len(disk.l1))
    for index in range(0, len(entries), 8):
        entries[index : index + 8] = pack(">Q", _number(disk.l1, index) & ~_COPIED)
    entries += _state_tables(disk, state, len(entries))
    at = disk.refcounts.take(_clusters(disk, len(entries)))
    disk.place.write(at, entries)
    rows = _rows(disk)
    rows.append((shot.ident, _row(disk, shot, at, len(entries) // 8)))
    _write_rows(disk, rows)
    _mark(disk)


def forget(disk: Qcow2Disk, ident: str) -> None:
    """Remove a snapshot, and what only it held.

    Raises:
        Trouble: the image cannot be written to.
    """
    rows = _rows(disk)
    gone = next((row for name, row in rows if name == ident), None)
    if gone is None:
        return
    at, entries = _l1_of(disk, gone)
    _write_rows(disk, [one for one in rows if one[0] != ident])
    if entries:
        _share(disk, entries, -1)
        for index in range(_clusters(disk, len(entries))):
            disk.refcounts.drop(at // disk.cluster + index)
    _mark(disk)
    disk.refcounts.trim()


def back(disk: Qcow2Disk, ident: str) -> None:
    """Let the disk hold what it held at a snapshot.

    Raises:
        Trouble: it cannot.
    """
    row = dict(_rows(disk)).get(ident)
    if row is None:
        return
    _, entries = _l1_of(disk, row)
    if not entries:
        return
    # What the disk has no room for is the machine's state.
    kept = entries[: len(disk.l1)] + bytes(max(len(disk.l1) - len(entries), 0))
    first = -(-disk.size // disk.reach) * 8
    kept = kept[:first] + bytes(len(kept) - first)
    _share(disk, kept, 1)
    _share(disk, disk.l1, -1)
    disk.l1[:] = kept
    disk.place.write(disk.l1_at, kept)
    disk.forget_tables()
    _mark(disk)


def state_of(disk: Qcow2Disk, ident: str, most: int) -> bytes:
    """The machine's state that a snapshot keeps, up to so many bytes.

    Raises:
        Trouble: it cannot be read.
    """
    row = dict(_rows(disk)).get(ident)
    if row is None:
        return b""
    _, entries = _l1_of(disk, row)
    parts, left = [], most
    for index in range(-(-disk.size // disk.reach) * 8, len(entries), 8):
        at = _number(entries, index) & _AT
        if not at or left <= 0:
            break
        for cluster, _ in disk.clusters(disk.place.read(at, disk.cluster)):
            if cluster is None or left <= 0:
                break
            parts.append(disk.place.read(cluster * disk.cluster, min(disk.cluster, left)))
            left -= len(parts[-1])
    return b"".join(parts)


def _number(data: bytes | bytearray, index: int) -> int:
    return int.from_bytes(data[index : index + 8], "big")


def _clusters(disk: Qcow2Disk, length: int) -> int:
    return max(-(-length // disk.cluster), 1)


def _share(disk: Qcow2Disk, entries: bytes | bytearray, more: int) -> None:
    """Every cluster that an L1 table leads to is used more or less often."""
    counts = disk.refcounts
    for deed in (counts.check, counts.change):  # all of them, or none
        for index in range(0, len(entries), 8):
            at = _number(entries, index) & _AT
            if at:
                for cluster, _ in disk.clusters(disk.place.read(at, disk.cluster)):
                    if cluster is not None:
                        deed(cluster, more)
                deed(at // disk.cluster, more)
    counts.flush()


def _mark(disk: Qcow2Disk) -> None:
    """Say of every cluster of the disk whether it is the disk's alone."""
    counts = disk.refcounts
    for index in range(0, len(disk.l1), 8):
        at = _number(disk.l1, index) & _AT
        if not at:
            continue
        table = bytearray(disk.place.read(at, disk.cluster))
        for cluster, place in disk.clusters(table):
            if cluster is not None:
                alone = _COPIED if counts.get(cluster) == 1 else 0
                entry = _number(table, place) & ~_COPIED | alone
                table[place : place + 8] = pack(">Q", entry)
        disk.place.write(at, table)
        alone = _COPIED if counts.get(at // disk.cluster) == 1 else 0
        disk.l1[index : index + 8] = pack(">Q", at | alone)
    disk.place.write(disk.l1_at, disk.l1)
    disk.forget_tables()


def _state_tables(disk: Qcow2Disk, state: bytes, length: int) -> bytes:
    """L1 entries, behind those of the disk, for a machine's state."""
    if not state:
        return b""
    made = bytearray(max(-(-disk.size // disk.reach) * 8 - length, 0))
    for start in range(0, len(state), disk.reach):
        part = state[start : start + disk.reach]
        number = _clusters(disk, len(part))
        at = disk.refcounts.take(number)
        disk.place.write(at, part + bytes(-len(part) % disk.cluster))
        table = b"".join(disk.entry(at + index * disk.cluster) for index in range(number))
        table_at = disk.refcounts.take(1)
        disk.place.write(table_at, table + bytes(disk.cluster - len(table)))
        made += pack(">Q", table_at)
    return bytes(made)


# -- the table -----------------------------------------------------------------------------------------------


def _row(disk: Qcow2Disk, shot: Snapshot, at: int, entries: int) -> bytes:
    name, ident = shot.name.encode(), shot.ident.encode()
    seconds, rest = divmod(shot.made_ns, _SECOND)
    small = shot.vm_size if shot.vm_size < 1 << 32 else 0
    made = pack(
        _ENTRY, at, entries, len(ident), len(name), seconds & 0xFFFFFFFF, rest, shot.clock_ns, small, 24
    )
    made += pack(">QQQ", shot.vm_size, disk.size, (1 << 64) - 1) + ident + name
    return made + bytes(-len(made) % 8)


def _rows(disk: Qcow2Disk) -> list[tuple[str, bytes]]:
    """What is in the table now: ids, and rows as they are."""
    number, at = unpack(">IQ", disk.place.read(60, 12))
    found: list[tuple[str, bytes]] = []
    for _ in range(min(number, 65536)):
        _, _, ident, name, *_, extra = unpack(_ENTRY, disk.place.read(at, 40))
        length = (40 + extra + ident + name + 7) // 8 * 8
        row = disk.place.read(at, length)
        found.append((row[40 + extra : 40 + extra + ident].decode("utf-8", "replace"), row))
        at += length
    return found


def _l1_of(disk: Qcow2Disk, row: bytes) -> tuple[int, bytes]:
    at, number = unpack(">QI", row[:12])
    return at, disk.place.read(at, number * 8) if number else b""


def _write_rows(disk: Qcow2Disk, rows: list[tuple[str, bytes]]) -> None:
    """A new table instead of the old one."""
    number, old_at = unpack(">IQ", disk.place.read(60, 12))
    old = sum(len(row) for _, row in _rows(disk)) if number else 0
    table = b"".join(row for _, row in rows)
    at = 0
    if rows:
        at = disk.refcounts.take(_clusters(disk, len(table)))
        disk.place.write(at, table)
    disk.place.write(60, pack(">IQ", len(rows), at))
    if number:
        for index in range(_clusters(disk, old)):
            disk.refcounts.drop(old_at // disk.cluster + index)


def checked(disk: Qcow2Disk) -> None:
    """Refuse an image that must not be written to, before anything is changed.

    Raises:
        Trouble: it must not.
    """
    if disk.refcounts.bits == 1:
        raise Trouble("Invalid argument", "write")
