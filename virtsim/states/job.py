"""The kinds of jobs on a domain, and which may run beside which.

Source: libvirt 8.5.0 ``qemu_domainjob.h`` (``VIR_JOB_*``, ``VIR_ASYNC_JOB_*``, ``QEMU_JOB_DEFAULT_MASK``).
"""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["DEFAULT_MASK", "MASKS", "AgentJob", "AsyncJob", "Job", "nested_allowed"]


class Job(Enum):
    """Normal jobs: at most one at a time for a domain."""

    QUERY = auto()
    DESTROY = auto()
    SUSPEND = auto()
    MODIFY = auto()
    ABORT = auto()
    MIGRATION_OP = auto()
    ASYNC = auto()
    """The start of an asynchronous job."""
    ASYNC_NESTED = auto()
    """A step of the asynchronous job that is under way."""


class AgentJob(Enum):
    """Jobs that talk to the guest agent: a slot of their own since libvirt 4.5.0."""

    QUERY = auto()
    MODIFY = auto()


class AsyncJob(Enum):
    """Jobs that take long: at most one at a time, with normal jobs beside them as far as the mask allows."""

    START = auto()
    DUMP = auto()
    SAVE = auto()
    SNAPSHOT = auto()
    MIGRATION_OUT = auto()
    MIGRATION_IN = auto()
    BACKUP = auto()


#: What may run beside an asynchronous job unless it says otherwise.
DEFAULT_MASK = frozenset({Job.QUERY, Job.DESTROY, Job.ABORT})

#: What may run beside each; DESTROY always may.
MASKS: dict[AsyncJob, frozenset[Job]] = {
    AsyncJob.START: frozenset({Job.DESTROY}),
    AsyncJob.DUMP: DEFAULT_MASK | {Job.SUSPEND, Job.MIGRATION_OP},
    AsyncJob.SAVE: DEFAULT_MASK | {Job.SUSPEND, Job.MIGRATION_OP},
    AsyncJob.SNAPSHOT: DEFAULT_MASK | {Job.SUSPEND, Job.MIGRATION_OP},
    AsyncJob.MIGRATION_OUT: DEFAULT_MASK | {Job.SUSPEND, Job.MIGRATION_OP},
    AsyncJob.MIGRATION_IN: frozenset({Job.DESTROY}),
    AsyncJob.BACKUP: DEFAULT_MASK | {Job.SUSPEND, Job.MODIFY},
}


def nested_allowed(running: AsyncJob | None, job: Job | None) -> bool:
    """Whether a job may run beside the asynchronous job that is under way (``virDomainNestedJobAllowed``)."""
    return running is None or job is None or job is Job.ASYNC_NESTED or job in MASKS[running]
