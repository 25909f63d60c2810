"""The states of a job, what may follow what, and which verb may be said when.

Knows QEMU 7.2's job.c (JobSTT and JobVerbTable). Must not know jobs.
"""

from __future__ import annotations

__all__ = ["BOUND", "COMPLETED", "MOVES", "READY", "STATUSES", "VERBS", "legal"]

#: In the order of qapi/job.json; ``undefined`` is before a job's first state.
STATUSES = (
    "undefined", "created", "running", "paused", "ready", "standby", "waiting", "pending", "aborting",
    "concluded", "null",
)  # fmt: skip

#: The states that may follow each state (JobSTT).
MOVES: dict[str, tuple[str, ...]] = {
    "undefined": ("created",),
    "created": ("running", "aborting", "null"),
    "running": ("paused", "ready", "waiting", "aborting"),
    "paused": ("running",),
    "ready": ("standby", "waiting", "aborting"),
    "standby": ("ready",),
    "waiting": ("pending", "aborting"),
    "pending": ("aborting", "concluded"),
    "aborting": ("aborting", "concluded"),
    "concluded": ("null",),
    "null": (),
}

_ALIVE = ("created", "running", "paused", "ready", "standby")

#: The states in which each verb is accepted (JobVerbTable).
VERBS: dict[str, tuple[str, ...]] = {
    "cancel": (*_ALIVE, "waiting", "pending"),
    "pause": _ALIVE,
    "resume": _ALIVE,
    "set-speed": _ALIVE,
    "complete": ("ready", "standby"),
    "finalize": ("pending",),
    "dismiss": ("concluded",),
}

#: The job's work is over (job_is_completed).
COMPLETED = ("waiting", "pending", "aborting", "concluded", "null")
#: All is copied, and kept in step (job_is_ready).
READY = ("ready", "standby")
#: How many jobs a machine may have at once.
BOUND = 1024


def legal(old: str, new: str) -> bool:
    """Whether a job in one state may enter another."""
    return new in MOVES[old]
