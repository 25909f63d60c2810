"""Transactions: several actions, all of them or none.

Knows qmp_transaction of QEMU 7.2 ``blockdev.c``: every action is prepared in order; the first that fails
undoes those before it, the last first. Must not know commands.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.block.graph import Graph

__all__ = ["ACTIONS", "run"]


class _Course:
    """A transaction under way: what is done when all goes well, and when it does not."""

    __slots__ = ("aborts", "cleans", "commits", "graph", "txn")

    def __init__(self, graph: Graph, txn: Any) -> None:
        self.graph, self.txn = graph, txn
        self.commits: list[Callable[[], None]] = []
        self.aborts: list[Callable[[], None]] = []
        self.cleans: list[Callable[[], None]] = []


def run(graph: Graph, actions: list[dict[str, Any]], properties: dict[str, Any]) -> None:
    """Carry out all actions or none.

    Raises:
        CommandError: one of them failed, and nothing has happened.
    """
    from fakeqemu.jobs.txn import Txn

    grouped = properties.get("completion-mode", "individual") == "grouped"
    course = _Course(graph, Txn() if grouped else None)
    if "jobs" in graph.machine.parts:
        graph.machine.parts["jobs"].drain()

    def act() -> None:
        for action in actions:
            kind = action["type"]
            if grouped and kind not in _GROUPABLE:
                text = f"Action '{kind}' does not support Transaction property completion-mode = grouped"
                raise CommandError("GenericError", text)
            ACTIONS[kind](course, action.get("data") or {})

    try:
        graph.attempt(act)
    except CommandError:
        for abort in reversed(course.aborts):
            abort()
        for clean in course.cleans:
            clean()
        raise
    for commit in course.commits + course.cleans:
        commit()


def _backup(course: _Course, data: dict[str, Any], *, drive: bool) -> None:
    from fakeqemu.jobs.backup import prepare_backup
    from fakeqemu.jobs.txn import Txn

    txn = course.txn if course.txn is not None else Txn()
    outer, course.graph.undo = course.graph.undo, None
    try:
        job = prepare_backup(course.graph.machine, data, drive=drive, txn=txn)
    finally:
        course.graph.undo = outer
    course.commits.append(job.launch)
    course.cleans.append(job.release)
    course.aborts.append(lambda: job.cancel(force=True))


def _rest(course: _Course, name: str | None) -> None:
    """Jobs on a node's chain rest until the transaction is over."""
    jobs = course.graph.machine.parts.get("jobs")
    if jobs is None or name is None:
        return
    try:
        node = course.graph.find(name)
    except CommandError:
        return
    course.cleans += [job.release for job in reversed(jobs.hold_around(node))]


def _snapshot(course: _Course, data: dict[str, Any]) -> None:
    from fakeqemu.block.snapshots import overlay

    _rest(course, data["node"])
    overlay(course.graph, data)


def _snapshot_sync(course: _Course, data: dict[str, Any]) -> None:
    from fakeqemu.block.snapshots import overlay_sync

    _rest(course, data.get("device", data.get("node-name")))
    overlay_sync(course.graph, data)


def _internal(course: _Course, data: dict[str, Any]) -> None:
    from fakeqemu.block.snapshots import take_internal

    take_internal(course.graph, data)


def _bitmap(verb: str) -> Callable[[_Course, dict[str, Any]], None]:
    def act(course: _Course, data: dict[str, Any]) -> None:
        from fakeqemu.block import bitmaps

        graph = course.graph
        if verb == "add":
            bitmaps.add(graph, data)
        elif verb == "remove":
            bitmaps.remove(graph, data["node"], data["name"])
        elif verb == "clear":
            bitmaps.clear(graph, data["node"], data["name"])
        elif verb == "merge":
            bitmaps.merge(graph, data["node"], data["target"], data["bitmaps"])
        else:
            bitmaps.set_enabled(graph, data["node"], data["name"], enabled=verb == "enable")

    return act


def _abort(course: _Course, data: dict[str, Any]) -> None:
    del course, data
    raise CommandError("GenericError", "Transaction aborted using Abort action")


ACTIONS: dict[str, Callable[[_Course, dict[str, Any]], None]] = {
    "abort": _abort,
    "block-dirty-bitmap-add": _bitmap("add"),
    "block-dirty-bitmap-remove": _bitmap("remove"),
    "block-dirty-bitmap-clear": _bitmap("clear"),
    "block-dirty-bitmap-enable": _bitmap("enable"),
    "block-dirty-bitmap-disable": _bitmap("disable"),
    "block-dirty-bitmap-merge": _bitmap("merge"),
    "blockdev-backup": lambda course, data: _backup(course, data, drive=False),
    "drive-backup": lambda course, data: _backup(course, data, drive=True),
    "blockdev-snapshot": _snapshot,
    "blockdev-snapshot-sync": _snapshot_sync,
    "blockdev-snapshot-internal-sync": _internal,
}
#: Actions that start jobs, which can wait for each other.
_GROUPABLE = ("blockdev-backup", "drive-backup")
