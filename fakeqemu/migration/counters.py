"""The counters of one migration: pages, bytes, passes, and what ``query-migrate`` calls them.

Knows ram_counters and populate_ram_info() of QEMU 7.2, and what a page costs on the wire. Must not know time
or states.
"""

from __future__ import annotations

from fakeqemu.migration.memory import PAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Counters", "Price"]

#: Bytes of a page in the stream: a header of 8 bytes, and the page, or one byte for a page of zeroes.
NORMAL, ZERO = PAGE + 8, 9
#: A page after compression, and the difference to a cached page (XBZRLE), as modelled.
COMPRESSED, DELTA = 2048, 1024
#: A multifd packet describes that many pages in that many bytes.
PACKET_PAGES, PACKET = 128, 1088


class Price:
    """What a page costs, in bytes, under the capabilities of one migration."""

    __slots__ = ("compress", "multifd", "xbzrle")

    def __init__(self, capabilities: set[str]) -> None:
        self.multifd = "multifd" in capabilities
        self.compress = "compress" in capabilities
        self.xbzrle = "xbzrle" in capabilities

    def normal(self, number: int) -> int:
        """Bytes for a page that is not zero."""
        if self.multifd:
            return PAGE
        if self.compress:
            return COMPRESSED
        return DELTA if self.xbzrle and number > 1 else NORMAL


class Counters:
    """What was sent so far.

    Attributes:
        precopy: bytes that were sent while the guest ran here.
        downtime: bytes that were sent while it did not.
        postcopy: bytes that were sent while it ran there.
        syncs: how often QEMU has looked for written pages.
    """

    __slots__ = (
        "compressed", "delta", "downtime", "duplicate", "multifd", "normal", "postcopy", "precopy", "price",
        "requests", "syncs",
    )  # fmt: skip

    def __init__(self, price: Price) -> None:
        self.price = price
        self.duplicate = self.normal = self.syncs = self.requests = 0
        self.precopy = self.downtime = self.postcopy = self.multifd = 0
        self.compressed = self.delta = 0

    def add(self, zero: int, normal: int, where: str, *, number: int, extra: int = 0) -> None:
        """Pages have been sent, and ``extra`` bytes around them.

        Args:
            zero: pages of zeroes.
            normal: other pages.
            where: precopy, downtime or postcopy.
            number: of the pass.
            extra: bytes that are no page's.
        """
        price = self.price
        sent = zero * ZERO + extra
        self.duplicate += zero
        if price.multifd:
            self.multifd += normal * PAGE + -(-normal // PACKET_PAGES) * PACKET
            self.normal += normal
        elif price.compress:
            self.compressed += normal
            sent += normal * COMPRESSED
        elif price.xbzrle and number > 1:
            self.delta += normal
            sent += normal * DELTA
        else:
            self.normal += normal
            sent += normal * NORMAL
        setattr(self, where, getattr(self, where) + sent)

    @property
    def transferred(self) -> int:
        """All bytes."""
        return self.precopy + self.downtime + self.postcopy + self.multifd

    def ram(self, total: int) -> dict[str, Any]:
        """Member ``ram``, without what depends on the moment."""
        return {
            "transferred": self.transferred, "total": total, "duplicate": self.duplicate, "skipped": 0,
            "normal": self.normal, "normal-bytes": self.normal * PAGE, "dirty-sync-count": self.syncs,
            "dirty-sync-missed-zero-copy": 0, "postcopy-requests": self.requests, "page-size": PAGE,
            "multifd-bytes": self.multifd, "precopy-bytes": self.precopy, "downtime-bytes": self.downtime,
            "postcopy-bytes": self.postcopy,
        }  # fmt: skip

    def extras(self, cache_size: int) -> dict[str, Any]:
        """Members that come with a capability: ``xbzrle-cache`` and ``compression``."""
        found: dict[str, Any] = {}
        if self.price.xbzrle:
            delta = self.delta
            found["xbzrle-cache"] = {
                "cache-size": cache_size, "bytes": delta * DELTA, "pages": delta, "cache-miss": 0,
                "cache-miss-rate": 0, "encoding-rate": PAGE / DELTA if delta else 0, "overflow": 0,
            }  # fmt: skip
        if self.price.compress:
            pages = self.compressed
            found["compression"] = {
                "pages": pages, "busy": 0, "busy-rate": 0, "compressed-size": pages * COMPRESSED,
                "compression-rate": PAGE / COMPRESSED if pages else 0,
            }  # fmt: skip
        return found
