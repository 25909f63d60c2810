"""I/O limits: what may be set, and the groups that share it.

Knows util/throttle.c and block/throttle-groups.c of QEMU 7.2. Must not know disks.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from fakeqemu.block.graph import Graph

__all__ = ["BUCKETS", "Group", "Limits", "group_named"]

#: The buckets in QEMU's order: total, read, write; bytes, then operations.
BUCKETS = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")
_QOM = ("bps-total", "bps-read", "bps-write", "iops-total", "iops-read", "iops-write")
MAX = 1_000_000_000_000_000


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


class Limits:
    """Average, burst and length of the burst of each bucket, and the size that counts as one operation."""

    __slots__ = ("average", "burst", "group", "length", "size")

    def __init__(self, group: str = "") -> None:
        self.group = group
        self.average = dict.fromkeys(BUCKETS, 0)
        self.burst = dict.fromkeys(BUCKETS, 0)
        self.length = dict.fromkeys(BUCKETS, 1)
        self.size = 0

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Limits:
        """From the arguments of block_set_io_throttle."""
        made = cls()
        for name in BUCKETS:
            made.average[name] = arguments.get(name, 0)
            made.burst[name] = arguments.get(f"{name}_max", 0)
            made.length[name] = arguments.get(f"{name}_max_length", 1)
        made.size = arguments.get("iops_size", 0)
        return made

    @classmethod
    def of_object(cls, limits: Mapping[str, Any]) -> Limits:
        """From the ``limits`` of a throttle-group object."""
        made = cls()
        for name, word in zip(BUCKETS, _QOM, strict=True):
            made.average[name] = limits.get(word, 0)
            made.burst[name] = limits.get(f"{word}-max", 0)
            made.length[name] = limits.get(f"{word}-max-length", 1)
        made.size = limits.get("iops-size", 0)
        return made

    def check(self) -> None:  # noqa: C901 - QEMU's checks, in its order
        """throttle_is_valid.

        Raises:
            CommandError: the numbers do not go together.
        """
        for table in (self.average, self.burst):
            for total, read, write in (BUCKETS[:3], BUCKETS[3:]):
                if table[total] and (table[read] or table[write]):
                    text = "bps/iops/max total values and read/write values cannot be used at the same time"
                    raise _fail(text)
        if self.size and not any(self.average[name] for name in BUCKETS[3:]):
            raise _fail("iops size requires an iops value to be set")
        for name in BUCKETS:
            average, burst, length = self.average[name], self.burst[name], self.length[name]
            if not 0 <= average <= MAX or not 0 <= burst <= MAX:
                raise _fail(f"bps/iops/max values must be within [0, {MAX}]")
            if not length:
                raise _fail("the burst length cannot be 0")
            if length > 1 and not burst:
                raise _fail("burst length set without burst rate")
            if burst and length > MAX // burst:
                raise _fail("burst length too high for this burst rate")
            if burst and not average:
                raise _fail("bps_max/iops_max require corresponding bps/iops values")
            if burst and burst < average:
                raise _fail("bps_max/iops_max cannot be lower than bps/iops")

    @property
    def any(self) -> bool:
        """Whether anything is limited (throttle_enabled)."""
        return any(self.average.values())

    def averages(self) -> dict[str, Any]:
        """The members of a BlockDeviceInfo that come first."""
        return dict(self.average)

    def bursts(self) -> dict[str, Any]:
        """Those that come after the image: bursts, the size of an operation, and the group."""
        found: dict[str, Any] = {f"{name}_max": self.burst[name] for name in BUCKETS if self.burst[name]}
        found |= {f"{name}_max_length": self.length[name] for name in BUCKETS if self.burst[name]}
        if self.size:
            found["iops_size"] = self.size
        found["group"] = self.group
        return found


class Group:
    """A throttle group: what it allows, and who is in it."""

    __slots__ = ("limits", "members", "name")

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        limits.group = name
        self.members: list[object] = []


def group_named(graph: Graph, name: str) -> Group | None:
    """A group: of a backend, or of a throttle-group object."""
    found = graph.groups.get(name)
    if found is not None:
        return found
    from fakeqemu.hardware import registry_of

    thing = registry_of(graph.machine).objects.get(name)
    if thing is None or thing.kind != "throttle-group":
        return None
    limits = thing.options.get("limits")
    found = graph.groups[name] = Group(name, Limits.of_object(limits if isinstance(limits, dict) else {}))
    return found
