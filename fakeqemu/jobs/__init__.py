"""Jobs: what QEMU does at length, beside its guest.

Knows the life of a job in QEMU 7.2 (job.c, blockjob.c): states, verbs, events and their order, transactions,
pace; and what the block jobs, `blockdev-create` and snapshots of the whole machine do. Must not know how the
block graph keeps its nodes (`fakeqemu.block`), nor sockets, clocks or chance but the machine's.

`engine_of` gives a machine's jobs; `fakeqemu.jobs.backup.prepare_backup` is for transactions, and
`fakeqemu.jobs.snapshots` for the human monitor.
"""

from __future__ import annotations

from fakeqemu.jobs.engine import Jobs, engine_of
from fakeqemu.jobs.job import Driver, Job
from fakeqemu.jobs.txn import Txn

__all__ = ["Driver", "Job", "Jobs", "Txn", "engine_of"]
