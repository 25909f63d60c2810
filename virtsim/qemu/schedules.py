"""When to try the monitor socket, and when to give up: the waiting policies as pure arithmetic.

Knows every rule by which libvirt has waited for QEMU's monitor, and virtsim's own. Must not know a clock, a
socket or a process: `virtsim.qemu.connector` runs what is written here, `virtsim backoff` prints it.

All times are whole milliseconds from the start of the wait, which is when QEMU has been exec'ed.

**The rule for the attempt at exactly the limit.** The last nap is cut so that it ends at the limit; the
attempt made there is the last one, whatever it brings. libvirt's loop (8.5.0 ``virTimeBackOffWait``) leaves
only when *now* is greater than the limit, so that at the limit it naps for 0 ms and tries again until the
millisecond counter has moved. Without that rule a clock which stands still between two events would never
leave the loop.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from virtsim.errors import InvalidArgument

__all__ = [
    "EVENTFUL",
    "LIMIT_MS_MAX",
    "POLICIES",
    "Attempt",
    "GuestSize",
    "Limit",
    "Naps",
    "Plan",
    "Policy",
    "attempts",
    "plan",
    "policy",
]

KIB_PER_GIB = 1024 * 1024

#: Longest limit that may be asked for, milliseconds (30 days): with a nap of a second it still makes a list
#: that can be held.
LIMIT_MS_MAX = 30 * 24 * 3600 * 1000

#: Largest guest, KiB (1 PiB): beyond it a number is a mistake.
MEMORY_KIB_MAX = 1 << 40


@dataclass(frozen=True, slots=True)
class GuestSize:
    """What of a guest makes its start slow.

    Attributes:
        memory_kib: initial memory plus memory devices, KiB, whatever the page size
            (``virDomainDefGetMemoryTotal``).
        nics: network interfaces.
        hostdevs: host devices passed through.

    Raises:
        InvalidArgument: a number is negative, or the memory is over 1 PiB.
    """

    memory_kib: int
    nics: int = 0
    hostdevs: int = 0

    def __post_init__(self) -> None:
        for name in ("memory_kib", "nics", "hostdevs"):
            if getattr(self, name) < 0:
                raise InvalidArgument(f"{name} of a guest must not be negative: {getattr(self, name)}")
        if self.memory_kib > MEMORY_KIB_MAX:
            raise InvalidArgument(f"memory_kib of a guest is at most {MEMORY_KIB_MAX}: {self.memory_kib}")

    @property
    def memory_gib(self) -> int:
        """Whole GiB, rounded down as libvirt does."""
        return self.memory_kib // KIB_PER_GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How long to wait: a base and what each part of the guest adds, milliseconds.

    Attributes:
        base_ms: for any guest.
        per_gib_ms: for each whole GiB of memory.
        per_nic_ms: for each network interface.
        per_hostdev_ms: for each host device.
        pinned_per_gib_ms: for each whole GiB, once, if there is any host device: all memory is pinned for it.
    """

    base_ms: int
    per_gib_ms: int = 0
    per_nic_ms: int = 0
    per_hostdev_ms: int = 0
    pinned_per_gib_ms: int = 0

    def of(self, guest: GuestSize) -> int:
        """The limit for this guest, milliseconds."""
        per_gib_ms = self.per_gib_ms + (self.pinned_per_gib_ms if guest.hostdevs else 0)
        return (
            self.base_ms
            + guest.memory_gib * per_gib_ms
            + guest.nics * self.per_nic_ms
            + guest.hostdevs * self.per_hostdev_ms
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Naps:
    """How long to nap before each attempt, milliseconds.

    Attributes:
        first_ms: the first nap.
        factor: each nap is so many times the one before ...
        cap_ms: ... as long as that one was shorter than this; from then on it is this. None: no cap. (So the
            naps are 1, 2, 4 ... 512, 1024, 1000, 1000: libvirt looks at the cap before it doubles, not
            after.)
        try_first: the first attempt comes before the first nap.
    """

    first_ms: int
    factor: int = 1
    cap_ms: int | None = None
    try_first: bool = False

    def after(self, nap_ms: int) -> int:
        """The nap that follows a (whole) nap of ``nap_ms``."""
        if self.cap_ms is None or nap_ms < self.cap_ms:
            return nap_ms * self.factor
        return self.cap_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One way of waiting for the monitor.

    Attributes:
        name: as in scenarios and on the command line.
        limit: when to give up, or None: never.
        naps: how to poll, or None: a single attempt.
        fd_pass: the listening socket is made by the manager and handed to QEMU, where QEMU can take it.
    """

    name: str
    limit: Limit | None
    naps: Naps | None
    fd_pass: bool = False

    def limit_ms(self, guest: GuestSize) -> int | None:
        """When to give up on this guest, milliseconds, or None: never."""
        return None if self.limit is None else self.limit.of(guest)

    def begin(self, guest: GuestSize) -> Countdown:
        """Begin one wait by this policy."""
        return Countdown(self.naps, self.limit_ms(guest))


class Countdown:
    """One wait: tells, time after time, how long to nap before the next attempt.

    It is asked with the time that has really passed, since on a real clock naps last longer than asked for
    and attempts take time; on the virtual clock both are exact.
    """

    __slots__ = ("_limit_ms", "_naps", "_next_ms", "_tried")

    def __init__(self, naps: Naps | None, limit_ms: int | None) -> None:
        self._naps = naps
        self._limit_ms = limit_ms
        self._next_ms = 0 if naps is None or naps.try_first else naps.first_ms
        self._tried = False

    def nap_ms(self, elapsed_ms: int) -> int | None:
        """The nap before the next attempt, or None when the last attempt has been made.

        Args:
            elapsed_ms: since the wait began.
        """
        naps, limit_ms = self._naps, self._limit_ms
        if self._tried and naps is None:
            return None
        if limit_ms is not None and elapsed_ms >= limit_ms and (self._tried or elapsed_ms > limit_ms):
            return None
        nap_ms = self._next_ms
        if naps is not None:
            first = not self._tried and naps.try_first
            self._next_ms = naps.first_ms if first else naps.after(nap_ms)
        self._tried = True
        if limit_ms is not None and nap_ms > limit_ms - elapsed_ms:
            return limit_ms - elapsed_ms
        return nap_ms


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to connect: when it is made, and the nap before it, milliseconds."""

    at_ms: int
    nap_ms: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a policy does for a socket that is ready at a given time.

    Attributes:
        limit_ms: when it gives up, or None: never.
        attempts: up to the one that meets the socket, or all of them.
        met_at_ms: when it meets the socket, or None: it gives up first.
        attempt: number of the attempt that meets the socket, or of the last one.
        greeted_at_ms: when QEMU greets, or None: not before the limit.
    """

    limit_ms: int | None
    attempts: tuple[Attempt, ...]
    met_at_ms: int | None
    attempt: int
    greeted_at_ms: int | None


#: virtsim's own policy: nothing is polled, so the deadline is there only for a QEMU that lives and does
#: nothing. It has to be longer than any start that was ever measured. The measured starts, and what each term
#: is for:
#:
#: * 30 s + 1 s/GiB is libvirt's own limit (85af0b803c): 402 GiB of 1 GiB pages took 105 s, limit 432 s; 4 TiB
#:   preallocated by one thread took 3251.8 s, limit 4126 s; 512 GiB took 300 s, limit 542 s.
#: * 2 s for each NIC: QEMU needed about 450 ms for each, but small guests with 17, 20 and 25 of them took 42,
#:   50 and 45 s in all (qemu-server 14374ab1); 30 s + 2 s each gives 64, 70 and 80 s. 1 s each would be the
#:   least that covers them.
#: * 3 s/GiB more as soon as there is a host device, because all memory is pinned for it, once for all
#:   devices: guests with one passed-through PCI device and 60, 65, 70, 80, 96 GiB took 135, 213, 157, 277 and
#:   more than 290 s (qemu-server 95f1de68), at worst 3.5 s/GiB in all. Together with the term above it is
#:   4 s/GiB, the factor of 4 that Proxmox settled on for the same figures.
#: * 30 s for each host device: reset, BAR mapping, firmware. No figure stands for it alone; it is a margin.
#:   80 GiB and one device: 30 + 80 + 240 + 30 = 380 s for the 277 s that were needed; 65 GiB: 320 s for 213;
#:   96 GiB: 444 s for "more than 290".
EVENTFUL = Policy(
    name="eventful",
    limit=Limit(
        base_ms=30_000,
        per_gib_ms=1_000,
        per_nic_ms=2_000,
        per_hostdev_ms=30_000,
        pinned_per_gib_ms=3_000,
    ),
    naps=None,
    fd_pass=True,
)

#: Every policy by name; versions are libvirt's.
POLICIES: dict[str, Policy] = {
    entry.name: entry
    for entry in (
        # 1.2.2 (fe89b687a0): try, then up to 150 naps of 200 ms.
        Policy(name="poll200", limit=Limit(base_ms=30_000), naps=Naps(first_ms=200, try_first=True)),
        # 1.3.4 (beaa447a29): virTimeBackOffWait, nap first, doubling without end.
        Policy(name="backoff-uncapped", limit=Limit(base_ms=30_000), naps=Naps(first_ms=1, factor=2)),
        # 3.2.0 (67dcb797ed, 85af0b803c): capped, and a second for each GiB of memory.
        Policy(
            name="backoff-adaptive",
            limit=Limit(base_ms=30_000, per_gib_ms=1_000),
            naps=Naps(first_ms=1, factor=2, cap_ms=1_000),
        ),
        # 4.5.0 (30fb2276d8, 7ef0471bf7): one connect, and no limit on the greeting.
        Policy(name="fdpass", limit=None, naps=None, fd_pass=True),
        EVENTFUL,
    )
}


def policy(name: str, limit_ms: int | None = None) -> Policy:
    """The policy of that name.

    Args:
        name: one of `POLICIES`.
        limit_ms: a fixed limit in place of the policy's own rule, milliseconds.

    Raises:
        InvalidArgument: no such policy (with the nearest name), or a limit that it cannot have.
    """
    found = POLICIES.get(name)
    if found is None:
        near = difflib.get_close_matches(name, POLICIES, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(sorted(POLICIES))}"
        raise InvalidArgument(f"unknown monitor policy '{name}': {hint}")
    if limit_ms is None:
        return found
    if found.limit is None:
        raise InvalidArgument(f"monitor policy '{name}' waits without a limit and cannot be given one")
    if not 0 <= limit_ms <= LIMIT_MS_MAX:
        raise InvalidArgument(f"the limit of a monitor policy is 0 to {LIMIT_MS_MAX} ms: {limit_ms}")
    return replace(found, limit=Limit(base_ms=limit_ms))


def attempts(policy: Policy, guest: GuestSize) -> Iterator[Attempt]:
    """Every attempt that the policy makes for a socket which never comes, in order.

    Attempts take no time here. A policy that does not poll makes one, at 0.
    """
    countdown = policy.begin(guest)
    at_ms = 0
    while (nap_ms := countdown.nap_ms(at_ms)) is not None:
        at_ms += nap_ms
        yield Attempt(at_ms, nap_ms)


def plan(policy: Policy, guest: GuestSize, ready_ms: int | None) -> Plan:
    """What the policy does for a QEMU that is ready at ``ready_ms`` (None: never).

    "Ready" is when the socket can be connected to, or, where the listening socket is handed in (``fd_pass``),
    when QEMU greets. An attempt made at the very millisecond meets the socket.
    """
    limit_ms = policy.limit_ms(guest)
    if policy.naps is None:
        in_time = ready_ms is not None and (limit_ms is None or ready_ms <= limit_ms)
        greeted_at_ms = ready_ms if in_time else None
        return Plan(limit_ms, (Attempt(0, 0),), 0, 1, greeted_at_ms)
    made: list[Attempt] = []
    for attempt in attempts(policy, guest):
        made.append(attempt)
        if ready_ms is not None and attempt.at_ms >= ready_ms:
            return Plan(limit_ms, tuple(made), attempt.at_ms, len(made), attempt.at_ms)
    return Plan(limit_ms, tuple(made), None, len(made), None)
