"""Which clusters of a qcow2 image hold what: read, allocated, written and counted.

Knows L1, L2 and refcount tables of docs/interop/qcow2.txt (QEMU 7.2): every cluster size, refcounts of every
width, zero clusters, extended L2 entries, clusters shared with internal snapshots. Must not know nodes, jobs,
nor what the headers' extensions mean. What it does not know (compression, encryption, external data files) it
refuses.
"""

from __future__ import annotations

from struct import pack, unpack

from fakeqemu.block.images.disks import DATA, NONE, ZERO, Disk, Trouble
from fakeqemu.block.images.refcounts import Refcounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakeqemu.block.images.disks import Fill, Place

__all__ = ["Qcow2Disk"]

_COPIED, _COMPRESSED, _AT = 1 << 63, 1 << 62, 0x00FFFFFFFFFFFE00
_FULL = (1 << 32) - 1
#: L2 tables that are kept in mind.
_TABLES = 16
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED = 1, 2, 4, 8, 16


class Qcow2Disk(Disk):
    """The disk in a qcow2 image.

    Attributes:
        cluster: bytes of a cluster.
        reach: bytes of the disk that one L2 table tells of.
        l1: the L1 table.
        l1_at: where that is.

    Raises:
        Trouble: it is one whose clusters cannot be copied.
    """

    __slots__ = (
        "_refcounts", "_tables", "autoclear", "cluster", "extended", "incompatible", "l1", "l1_at",
        "place", "version",
    )  # fmt: skip

    real = True

    def __init__(self, place: Place) -> None:
        head = place.read(0, 112)
        if head[:4] != b"QFI\xfb":
            raise Trouble("Image is not in qcow2 format")
        self.version, self.place = int.from_bytes(head[4:8], "big"), place
        bits, size, crypt, l1_size, l1_at = unpack(">IQIIQ", head[20:48])
        self.l1_at: int = l1_at
        super().__init__(size)
        self.cluster: int = 1 << bits
        self.incompatible = self.autoclear = 0
        if self.version >= 3:
            self.incompatible, _, self.autoclear = unpack(">QQQ", head[72:96])
        if crypt:
            raise Trouble(f"Copying the data of encrypted image '{place.path}' is not modelled")
        if self.incompatible & _DATA_FILE:
            raise Trouble(f"Copying the data of '{place.path}' from an external data file is not modelled")
        if self.incompatible & ~(_DIRTY | _CORRUPT | _COMPRESSION | _EXTENDED):
            raise Trouble(f"Copying the data of '{place.path}': unknown features are not modelled")
        self.extended = bool(self.incompatible & _EXTENDED)
        self.l1 = bytearray(place.read(l1_at, l1_size * 8))
        self._tables: dict[int, bytearray] = {}
        self._refcounts: Refcounts | None = None

    @property
    def refcounts(self) -> Refcounts:
        """Who counts its clusters.

        Raises:
            Trouble: the image must not be written to.
        """
        if self._refcounts is None:
            if self.incompatible & (_DIRTY | _CORRUPT):
                raise Trouble(f"Writing into '{self.place.path}', which needs a repair, is not modelled")
            if self.autoclear:
                raise Trouble(f"Writing into '{self.place.path}' with persistent bitmaps is not modelled")
            self._refcounts = Refcounts(self.place)
        return self._refcounts

    # -- the tables -----------------------------------------------------------------------------------------

    @property
    def _width(self) -> int:
        return 16 if self.extended else 8

    @property
    def reach(self) -> int:
        """Bytes of the disk that one L2 table tells of."""
        return self.cluster // self._width * self.cluster

    def _l1_entry(self, number: int) -> int:
        return int.from_bytes(self.l1[number * 8 : number * 8 + 8], "big")

    def _table(self, number: int) -> bytearray | None:
        """An L2 table, or None."""
        found = self._tables.get(number)
        if found is None:
            at = self._l1_entry(number) & _AT
            if not at:
                return None
            while len(self._tables) >= _TABLES:
                del self._tables[next(iter(self._tables))]
            found = self._tables[number] = bytearray(self.place.read(at, self.cluster))
        return found

    def _entry(self, table: bytes | bytearray, index: int) -> tuple[int, int]:
        """A cluster's entry and its bitmap of subclusters."""
        if self.extended:
            entry, bitmap = unpack(">QQ", table[index * 16 : index * 16 + 16])
        else:
            entry, bitmap = int.from_bytes(table[index * 8 : index * 8 + 8], "big"), 0
        if entry & _COMPRESSED:
            raise Trouble(f"Copying compressed clusters of '{self.place.path}' is not modelled")
        return entry, bitmap

    def _kind(self, entry: int, bitmap: int, sub: int) -> int:
        if self.extended:
            return DATA if bitmap >> sub & 1 else ZERO if bitmap >> (32 + sub) & 1 else NONE
        if self.version >= 3 and entry & 1:
            return ZERO
        return DATA if entry & _AT else NONE

    @property
    def _unit(self) -> int:
        """The least that is allocated: a cluster, or a subcluster."""
        return self.cluster // 32 if self.extended else self.cluster

    def clusters(self, table: bytes | bytearray) -> Iterator[tuple[int | None, int]]:
        """The clusters to which an L2 table leads (None for none), each with the place of its entry."""
        for index in range(self.cluster // self._width):
            at = self._entry(table, index)[0] & _AT
            yield (at // self.cluster if at else None), index * self._width

    def entry(self, at: int) -> bytes:
        """An entry of an L2 table, for a cluster that others may use as well."""
        return pack(">QQ", at, _FULL) if self.extended else pack(">Q", at)

    def forget_tables(self) -> None:
        """Somebody else has written L2 tables."""
        self._tables.clear()

    # -- reading --------------------------------------------------------------------------------------------

    def status(self, offset: int, end: int) -> tuple[int, int]:
        """What is at an offset, and up to where; not beyond the reach of one L2 table that is there."""
        end = min(end, self.size)
        number, inside = divmod(offset, self.reach)
        table = self._table(number)
        if table is None:
            while offset < end and not self._l1_entry(number) & _AT:
                number += 1
                offset = number * self.reach
            return NONE, min(offset, end)
        end = min(end, (number + 1) * self.reach)
        unit, found = self._unit, -1
        offset -= offset % unit
        while offset < end:
            index, inside = divmod(offset % self.reach, self.cluster)
            kind = self._kind(*self._entry(table, index), inside // unit)
            if found not in (-1, kind):
                break
            found = kind
            offset += unit
        return found, min(offset, end)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of clusters that are there; runs of clusters are read at once."""
        parts: list[bytes] = []
        run_at = run = 0
        while length > 0:
            number, inside = divmod(offset, self.reach)
            index, inside = divmod(inside, self.cluster)
            size = min(length, self.cluster - inside)
            table = self._table(number)
            at = (self._entry(table, index)[0] & _AT if table is not None else 0) + inside
            if run and run_at + run == at:
                run += size
            else:
                if run:
                    parts.append(self.place.read(run_at, run))
                run_at, run = at, size
            offset, length = offset + size, length - size
        if run:
            parts.append(self.place.read(run_at, run))
        return b"".join(parts)

    # -- writing --------------------------------------------------------------------------------------------

    def write(self, offset: int, data: bytes, fill: Fill) -> None:
        """Put bytes in; clusters that are not there yet, or belong to snapshots too, are allocated."""
        done = 0
        while done < len(data):
            room = self.reach - (offset + done) % self.reach
            piece = data[done : done + room]
            self._write(offset + done, piece, fill)
            done += len(piece)

    def _write(self, offset: int, data: bytes, fill: Fill) -> None:
        """The same, within the reach of one L2 table."""
        number = offset // self.reach
        table = self._own_table(number)
        first = offset % self.reach // self.cluster
        last = (offset + len(data) - 1) % self.reach // self.cluster
        index = first
        while index <= last:
            stop = index
            while stop <= last and self._lacks(table, stop):
                stop += 1
            if stop == index:
                self._overwrite(table, number, index, offset, data)
                index += 1
            else:
                self._allocate(table, number, (index, stop), (offset, data), fill)
                index = stop

    def _lacks(self, table: bytearray, index: int) -> bool:
        """Whether a cluster cannot simply be overwritten."""
        entry, bitmap = self._entry(table, index)
        if not entry & _COPIED or not entry & _AT:
            return True
        return bitmap != _FULL if self.extended else bool(self.version >= 3 and entry & 1)

    def _part(self, number: int, index: int, offset: int, data: bytes) -> tuple[int, int, bytes]:
        """Where a cluster begins on the disk, where in it the data does, and the data in it."""
        start = number * self.reach + index * self.cluster
        low, high = max(start, offset), min(start + self.cluster, offset + len(data))
        return start, low - start, data[low - offset : high - offset]

    def _overwrite(self, table: bytearray, number: int, index: int, offset: int, data: bytes) -> None:
        _, inside, part = self._part(number, index, offset, data)
        self.place.write((self._entry(table, index)[0] & _AT) + inside, part)

    def _allocate(
        self, table: bytearray, number: int, run: tuple[int, int], what: tuple[int, bytes], fill: Fill
    ) -> None:
        """New clusters in a row, whole ones: what was not given is what they showed so far."""
        offset, data = what
        whole, freed = [], []
        for index in range(*run):
            start, inside, part = self._part(number, index, offset, data)
            if len(part) < self.cluster:
                old = self._seen(start, fill)
                part = old[:inside] + part + old[inside + len(part) :]
            whole.append(part)
            entry = self._entry(table, index)[0]
            if entry & _AT:
                freed.append((entry & _AT) // self.cluster)
        at = self.refcounts.take(run[1] - run[0])
        try:
            self.place.write(at, b"".join(whole))
        except Trouble:
            for index in range(run[1] - run[0]):
                self.refcounts.drop(at // self.cluster + index)
            raise
        for index in range(*run):
            entry = at + (index - run[0]) * self.cluster | _COPIED
            self._put(table, index, entry, _FULL)
        self._flush(table, number, *run)
        for cluster in freed:
            self.refcounts.drop(cluster)

    def _seen(self, start: int, fill: Fill) -> bytes:
        """What a cluster shows now."""
        parts, offset = [], start
        end = min(start + self.cluster, self.size)
        while offset < end:
            kind, stop = self.status(offset, end)
            size = stop - offset
            if kind == DATA:
                parts.append(self.read(offset, size))
            else:
                parts.append(bytes(size) if kind == ZERO else fill(offset, size))
            offset = stop
        return b"".join(parts) + bytes(start + self.cluster - end)

    def _put(self, table: bytearray, index: int, entry: int, bitmap: int) -> None:
        width = self._width
        made = pack(">QQ", entry, bitmap) if self.extended else pack(">Q", entry)
        table[index * width : (index + 1) * width] = made

    def _flush(self, table: bytearray, number: int, first: int, stop: int) -> None:
        """Entries of an L2 table into the file."""
        at, width = self._l1_entry(number) & _AT, self._width
        self.place.write(at + first * width, table[first * width : stop * width])

    def _own_table(self, number: int) -> bytearray:
        """An L2 table that no snapshot shares."""
        if number * 8 >= len(self.l1):
            raise Trouble("Input/output error", "write")
        entry = self._l1_entry(number)
        table = self._table(number)
        if table is not None and entry & _COPIED:
            return table
        if table is None:
            table = self._tables[number] = bytearray(self.cluster)
        at = 0
        try:
            at = self.refcounts.take(1)
            self.place.write(at, table)
        except Trouble:
            self._tables.pop(number, None)
            if at:
                self.refcounts.drop(at // self.cluster)
            raise
        self.l1[number * 8 : number * 8 + 8] = made = pack(">Q", at | _COPIED)
        self.place.write(self.l1_at + number * 8, made)
        if entry & _AT:
            self.refcounts.drop((entry & _AT) // self.cluster)
        return table

    def zero(self, offset: int, length: int, fill: Fill) -> None:
        """Zero clusters where the format has them; zeroes where it has not, and for parts of clusters."""
        end = offset + length
        while offset < end:
            kind, stop = self.status(offset, end)
            if kind == ZERO or (kind == NONE and self.bare):
                offset = stop
                continue
            start = offset - offset % self.cluster
            stop = min(end, start + self.cluster)
            if self.version >= 3 and offset == start and (stop == start + self.cluster or stop >= self.size):
                self._zero_cluster(offset)
            else:
                self.write(offset, bytes(stop - offset), fill)
            offset = stop

    def _zero_cluster(self, offset: int) -> None:
        number, inside = divmod(offset, self.reach)
        index, table = inside // self.cluster, self._own_table(number)
        entry = self._entry(table, index)[0]
        kept = entry & (_AT | _COPIED) if entry & _COPIED else 0
        self._put(table, index, kept if self.extended else kept | 1, _FULL << 32)
        self._flush(table, number, index, index + 1)
        if not kept and entry & _AT:
            self.refcounts.drop((entry & _AT) // self.cluster)
