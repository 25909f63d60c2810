"""How often each cluster of a qcow2 image is used: counted, and new clusters found.

Knows refcount tables and blocks of docs/interop/qcow2.txt (QEMU 7.2), with counts of 1 to 64 bits. Must not
know what clusters are used for.
"""

from __future__ import annotations

from struct import pack, unpack

from fakeqemu.block.images.disks import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.block.images.disks import Place

__all__ = ["Refcounts"]

_AT = 0xFFFFFFFFFFFFFE00
#: Refcount blocks that are kept in mind.
_BLOCKS = 16


class Refcounts:
    """The refcounts of an image, which may be written to."""

    __slots__ = ("_blocks", "_next", "_table", "_table_at", "bits", "cluster", "place")

    def __init__(self, place: Place) -> None:
        head = place.read(0, 104)
        self.place = place
        self.cluster = 1 << int.from_bytes(head[20:24], "big")
        version, order = int.from_bytes(head[4:8], "big"), int.from_bytes(head[96:100], "big")
        self.bits = 1 << order if version >= 3 else 16
        self._table_at, clusters = unpack(">QI", head[48:60])
        self._table = bytearray(place.read(self._table_at, clusters * self.cluster))
        self._blocks: dict[int, bytearray] = {}
        self._next = -(-place.length() // self.cluster)

    def take(self, number: int) -> int:
        """The offset of so many new clusters in a row, which are used once from now on."""
        while True:
            first = self._next
            used = [index for index in range(first, first + number) if self.get(index)]
            if not used:
                break
            self._next = used[-1] + 1
        self._next = first + number
        try:
            for index in range(first, first + number):
                self._set(index, 1)
            self._write(first, number)
        except Trouble:
            self._blocks.clear()  # what could not be written is as it was
            raise
        return first * self.cluster

    def drop(self, cluster: int) -> None:
        """A cluster is used once less."""
        self.add(cluster, -1)

    def add(self, cluster: int, more: int) -> int:
        """A cluster is used more or less often; how often it is now."""
        count = self.change(cluster, more)
        self._write(cluster, 1)
        return count

    def change(self, cluster: int, more: int) -> int:
        """The same, without telling the file of it until `flush`."""
        self.check(cluster, more)
        count = self.get(cluster) + more
        self._set(cluster, count)
        return count

    def check(self, cluster: int, more: int) -> None:
        """Refuse what `change` would refuse.

        Raises:
            Trouble: the count would not fit.
        """
        if not 0 <= self.get(cluster) + more < 1 << self.bits:
            raise Trouble("Invalid argument", "write")

    def trim(self) -> None:
        """Give back what nobody uses at the end of the file, where QEMU would discard it.

        Raises:
            Trouble: the file cannot be cut.
        """
        while self._next and not self.get(self._next - 1):
            self._next -= 1
        end = self._next * self.cluster
        if self.place.length() > end:
            reason = self.place.host.resize(self.place.path, end)
            if reason is not None:
                raise Trouble(reason, "write")

    def flush(self) -> None:
        """Tell the file of all counts."""
        for number, block in self._blocks.items():
            self.place.write(self._block_at(number), block)

    @property
    def _per_block(self) -> int:
        return self.cluster * 8 // self.bits

    def get(self, cluster: int) -> int:
        """How often a cluster is used."""
        number, index = divmod(cluster, self._per_block)
        block = self._block(number)
        if block is None:
            return 0
        if self.bits >= 8:
            width = self.bits // 8
            return int.from_bytes(block[index * width : (index + 1) * width], "big")
        byte, shift = divmod(index * self.bits, 8)
        return block[byte] >> shift & ((1 << self.bits) - 1)

    def _set(self, cluster: int, count: int) -> None:
        number, index = divmod(cluster, self._per_block)
        block = self._block(number)
        if block is None:
            block = self._add_block(number)
        if self.bits >= 8:
            width = self.bits // 8
            block[index * width : (index + 1) * width] = count.to_bytes(width, "big")
            return
        byte, shift = divmod(index * self.bits, 8)
        mask = (1 << self.bits) - 1
        block[byte] = block[byte] & ~(mask << shift) & 255 | count << shift

    def _write(self, first: int, number: int) -> None:
        """Counts into the file."""
        while number > 0:
            block, index = divmod(first, self._per_block)
            here = min(number, self._per_block - index)
            low, high = index * self.bits // 8, -(-(index + here) * self.bits // 8)
            kept = self._block(block)
            if kept is not None:
                self.place.write(self._block_at(block) + low, kept[low:high])
            first, number = first + here, number - here

    def _block_at(self, number: int) -> int:
        return int.from_bytes(self._table[number * 8 : number * 8 + 8], "big") & _AT

    def _block(self, number: int) -> bytearray | None:
        found = self._blocks.get(number)
        if found is None:
            at = self._block_at(number)
            if not at:
                return None
            found = self._keep(number, bytearray(self.place.read(at, self.cluster)))
        return found

    def _keep(self, number: int, block: bytearray) -> bytearray:
        while len(self._blocks) >= _BLOCKS:
            oldest = next(iter(self._blocks))
            # What was changed in it and not written yet goes with it.
            self.place.write(self._block_at(oldest), self._blocks.pop(oldest))
        self._blocks[number] = block
        return block

    def _add_block(self, number: int) -> bytearray:
        """A new refcount block; it counts itself, or another one does."""
        if number * 8 >= len(self._table):
            self._grow(number)
            found = self._block(number)
            if found is not None:  # the new table itself needed it
                return found
        at, self._next = self._next, self._next + 1
        block = self._keep(number, bytearray(self.cluster))
        self.place.write(at * self.cluster, block)
        made = pack(">Q", at * self.cluster)
        self._table[number * 8 : number * 8 + 8] = made
        self.place.write(self._table_at + number * 8, made)
        self._set(at, 1)
        self._write(at, 1)
        return self._block(number) or block

    def _grow(self, number: int) -> None:
        """A longer table elsewhere."""
        old_at, old = self._table_at // self.cluster, len(self._table) // self.cluster
        clusters = -(-(number + 2) * 3 // 2 * 8 // self.cluster)
        first, self._next = self._next, self._next + clusters
        self._table += bytes(clusters * self.cluster - len(self._table))
        self._table_at = first * self.cluster
        self.place.write(self._table_at, self._table)
        for index in range(first, first + clusters):
            self._set(index, 1)
        self._write(first, clusters)
        self.place.write(48, pack(">QI", self._table_at, clusters))
        for index in range(old_at, old_at + old):
            self._set(index, 0)
        self._write(old_at, old)
