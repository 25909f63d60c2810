"""The bytes of images that block jobs move, a chunk at a time, where there are any.

Knows which parts of a chain a job copies, and how images lie under nodes. Must not know the formats on disk
(`fakeqemu.block.images`) nor states of jobs. An image that nobody has is left alone: it holds nothing that
could be moved, and takes nothing.
"""

from __future__ import annotations

from fakeqemu.block.images.disks import DATA, NONE, Chain, Disk, Place, RawDisk, Trouble
from fakeqemu.jobs.nodes import skip_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeqemu.block.graph import Graph
    from fakeqemu.block.images.mapping import Qcow2Disk
    from fakeqemu.block.node import BlockNode

__all__ = ["Mover", "mover", "qcow2_in"]

#: Bytes that are moved at once, at most.
CHUNK = 1 << 20
#: Parts of images that are looked at at once, at most.
LOOKS = 256
#: Zeroes that are made at once, at most.
ZEROES = 64 << 20
_FILES = ("file", "host_device", "host_cdrom")


class Mover:
    """Copies what a chain of images holds into one of them, or into another image.

    Attributes:
        chain: the images that are read.
        target: the image that is written.
        layers: how many images of the chain, from the top, are copied; what those below hold stays there.
        kept: whether what the uppermost image holds stays as it is: it is the target.
        whole: whether what no copied image holds becomes zero in the target.
        at: how far it has come on the disk.
        grown: told after each step: the target's file may be longer.
    """

    __slots__ = ("at", "chain", "grown", "kept", "layers", "target", "whole")

    def __init__(self, chain: Chain, target: Disk, layers: int, *, kept: bool = False, whole: bool) -> None:
        self.chain, self.target, self.layers = chain, target, layers
        self.kept, self.whole = kept, whole
        self.at = 0
        self.grown: Callable[[], None] | None = None

    @property
    def done(self) -> bool:
        """Whether all has been moved."""
        return self.at >= self.chain.size

    def step(self, most: int = CHUNK) -> None:
        """Move on by about ``most`` bytes of data.

        Raises:
            Trouble: something cannot be read or written; the same step may be tried again.
        """
        left = min(most, CHUNK)
        for _ in range(LOOKS):
            if self.done or left <= 0:
                break
            left -= self._one(left)
        if self.grown is not None:
            self.grown()

    def _one(self, most: int) -> int:
        """Move one part; what it cost."""
        at, size = self.at, self.chain.size
        kind, number, stop = self.chain.status(at, size)
        if (self.kept and number == 0) or (number >= self.layers and not self.whole):
            self.at = stop
            return 0
        if kind == DATA and number < self.layers:
            stop = min(stop, at + max(most, 512))
            data = self.chain.disks[number].read(at, stop - at)
            self.target.write(at, data, self.chain.read)
            self.at = stop
            return stop - at
        stop = min(stop, at + ZEROES) if self.target.status(at, stop)[0] != NONE else stop
        self.target.zero(at, stop - at, self.chain.read)
        self.at = stop
        return 4096


def mover(
    graph: Graph, source: BlockNode, base: BlockNode | None, target: BlockNode, *, kept: bool = False,
    whole: bool = False,
) -> Mover | None:  # fmt: skip
    """Who copies what the images from ``source`` to before ``base`` hold; None if there are no such files.

    Args:
        graph: of the nodes.
        source: the uppermost image.
        base: the first image that is not copied; None if all are.
        target: where to; one of the chain, or another.
        kept: what ``source`` itself holds is not copied.
        whole: what nobody holds becomes zeroes.

    Raises:
        Trouble: the data of an image cannot be had, or not be put.
    """
    made: dict[int, Disk] = {}

    def disk(node: BlockNode) -> Disk:
        found = made.get(id(node))
        if found is None:
            found = made[id(node)] = _disk(graph, node)
        return found

    into = disk(skip_filters(target))
    if not into.real:
        return None
    nodes = [node for node in skip_filters(source).chain() if not node.kind.filter]
    below = None if base is None else skip_filters(base)
    layers = next((number for number, node in enumerate(nodes) if node is below), len(nodes))
    chain = Chain([disk(node) for node in nodes])
    # Opened without the backing image that its header names, a target gets that later.
    under = skip_filters(target)
    named = under.image is not None and under.image.backing is not None
    into.bare = under.backing is None and not named
    if not any(one.real for one in chain.disks[:layers]):
        return None
    _try(into)
    copier = Mover(chain, into, layers, kept=kept, whole=whole)
    copier.grown = lambda: _measure(graph, skip_filters(target))
    return copier


def _measure(graph: Graph, node: BlockNode) -> None:
    """A file node is as long as its file."""
    from fakeqemu.block.opening import file_size

    protocol = node.protocol()
    if node.driver == "qcow2" and protocol.path is not None:
        protocol.size = file_size(graph, protocol.path)


def qcow2_in(graph: Graph, node: BlockNode) -> Qcow2Disk | None:
    """The disk in the qcow2 file of a node, if there is such a file.

    Raises:
        Trouble: its data cannot be had, or nothing be written into it.
    """
    from fakeqemu.block.images.mapping import Qcow2Disk

    found = _disk(graph, skip_filters(node))
    if not isinstance(found, Qcow2Disk):
        return None
    _try(found)
    return found


def _try(disk: Disk) -> None:
    """Refuse at once an image that must not be written to."""
    from fakeqemu.block.images.mapping import Qcow2Disk

    if isinstance(disk, Qcow2Disk):
        disk.refcounts  # noqa: B018 - refuses


def _disk(graph: Graph, node: BlockNode) -> Disk:
    """What a node without filters keeps its data in."""
    path = node.protocol().path
    if path is None or not graph.files.real(path):
        return Disk(node.size)
    place = Place(graph.machine.host, path)
    if node.driver in _FILES or node.driver == "raw":
        return RawDisk(place, _offset(node), node.size)
    if node.driver != "qcow2":
        raise Trouble(f"Copying the data of format '{node.driver}' is not modelled")
    under = node.child("file")
    if under is not None and _offset(under):
        raise Trouble("Copying the data of a qcow2 image inside of another file is not modelled")
    from fakeqemu.block.images.mapping import Qcow2Disk

    return Qcow2Disk(place)


def _offset(node: BlockNode) -> int:
    """Where in its file the disk of a node begins."""
    from fakeqemu.block.opening import number

    at = 0
    while node.driver not in _FILES:
        under = node.primary()
        if under is None or (node.driver != "raw" and not node.kind.filter):
            raise Trouble(f"Copying the data of '{node.driver}' below '{node.name}' is not modelled")
        if node.driver == "raw":
            at += number(node.options.get("offset"))
        node = under
    return at
