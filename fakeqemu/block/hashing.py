"""The hash of a dirty bitmap, which shows two bitmaps to be alike."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.block.bitmaps import Bitmap

__all__ = ["sha256"]


def sha256(bitmap: Bitmap) -> str:
    """As hbitmap_sha256 of QEMU 7.2: over the last level, a bit for each granule, in words of 64 bits."""
    from hashlib import sha256 as digest

    granules = -(-bitmap.node.size // bitmap.granularity)
    length = -(-granules // 64) * 8
    marked = bitmap.marked() // bitmap.granularity
    whole, rest = divmod(marked, 8)
    made = digest(b"\xff" * whole)
    if rest:
        made.update(bytes(((1 << rest) - 1,)))
        whole += 1
    left = length - whole
    block = bytes(65536)
    while left > 0:
        made.update(block[: min(left, len(block))])
        left -= len(block)
    return made.hexdigest()
