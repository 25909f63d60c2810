"""What ``query-migrate`` says.

Knows which members QEMU 7.2 gives in which status (fill_source_migration_info and its sister). Must not know
how a migration goes on.
"""

from __future__ import annotations

from fakeqemu.migration.memory import PAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.migration.outgoing import Outgoing

__all__ = ["report"]

MS = 1_000_000
#: Statuses that come with times and counters.
_COUNTED = frozenset({
    "active", "cancelling", "completed", "device", "postcopy-active", "postcopy-paused", "postcopy-recover",
    "pre-switchover",
})  # fmt: skip


def report(machine: FakeQemu) -> dict[str, Any]:
    """The value of query-migrate."""
    from fakeqemu.migration.part import migration_of

    migration = migration_of(machine)
    found: dict[str, Any] = {}
    if migration.unstarted != "none":
        found["status"] = migration.unstarted
        if migration.error is not None:
            found["error-desc"] = migration.error
    elif migration.outgoing is not None:
        found = _source(migration.outgoing)
    incoming = migration.incoming
    if incoming is not None:
        if incoming.listening is not None:
            found["socket-address"] = incoming.listening
        if incoming.status != "none" and "status" not in found:
            found["status"] = incoming.status
    return found


def _source(outgoing: Outgoing) -> dict[str, Any]:
    status = outgoing.status
    found: dict[str, Any] = {"status": status}
    if status == "failed" and outgoing.error is not None:
        found["error-desc"] = outgoing.error
    if status not in _COUNTED:
        return found
    passes, migration = outgoing.passes, outgoing.migration
    passes.fold()
    found["total-time"] = outgoing.elapsed_ns() // MS
    found["setup-time"] = (outgoing.setup_ns or 0) // MS
    if status == "completed":
        found["downtime"] = outgoing.downtime_ns // MS
    else:
        found["expected-downtime"] = passes.expected_ms
    counters = passes.counters
    ram = counters.ram(migration.memory.total)
    over = status == "completed"
    known = outgoing.elapsed_ns() >= 100 * MS
    ram["remaining"] = 0 if over else passes.left * PAGE
    ram["dirty-pages-rate"] = 0 if over else passes.dirty_rate
    ram["pages-per-second"] = passes.pages_rate if known else 0
    ram["mbps"] = outgoing.mean_mbps() if over else passes.mbps if known else 0
    found["ram"] = ram
    found.update(counters.extras(migration.parameter("xbzrle-cache-size")))
    if not over and migration.memory.throttle:
        found["cpu-throttle-percentage"] = migration.memory.throttle
    return found
