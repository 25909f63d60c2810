"""Backups: what is on a disk at one moment, copied while the guest goes on.

Knows QEMU 7.2's block/backup.c and do_backup_common. Must not know states of jobs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.jobs.job import Job
    from fakeqemu.jobs.txn import Txn
    from fakeqemu.machine import FakeQemu

__all__ = ["prepare_backup"]


def prepare_backup(machine: FakeQemu, arguments: dict[str, Any], *, drive: bool, txn: Txn) -> Job:
    """Make a backup job that does not run yet: for ``transaction``.

    ``Job.launch`` lets it run when all actions have succeeded; ``Job.cancel(force=True)`` gives it up.

    Args:
        machine: the machine.
        arguments: of ``blockdev-backup``, or of ``drive-backup``.
        drive: whether it is ``drive-backup``.
        txn: the jobs that are grouped with it; a fresh `Txn` for one of its own.

    Raises:
        CommandError: what QEMU says against it.
    """
    raise NotImplementedError
