"""A disk that fails under the guest, because a script says so.

Knows hw/block/block.c and block/block-backend.c of QEMU 7.2: which policy a device has about errors, and what
follows from it. Must not know when it fails.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.machine import FakeQemu

__all__ = ["io_error"]


def io_error(machine: FakeQemu, words: dict[str, Any]) -> None:
    """The guest reads or writes, and that fails: BLOCK_IO_ERROR, and a stop where the policy says so.

    A guest that does not run does no I/O, and a disk that is not there has no errors: that is noted only.

    Args:
        machine: the machine.
        words: ``device`` (a disk's or drive's id, path or node; the first disk without it), ``operation``,
            ``nospace`` and ``reason``.
    """
    backend = _backend(machine, words.get("device"))
    if backend is None or machine.runstate != "running":
        why = "no such disk" if backend is None else f"the guest is {machine.runstate}"
        machine.note("io_error", why)
        return
    nospace = bool(words.get("nospace"))
    operation = words.get("operation", "write")
    reason = words.get("reason") or ("No space left on device" if nospace else "Input/output error")
    policies = _policies(machine, backend)
    action = _action(policies[operation], nospace=nospace)
    node = backend.node
    data: dict[str, Any] = {"device": backend.name}
    if node is not None:
        data["node-name"] = node.name
    data |= {"operation": operation, "action": action}
    if policies["write"] in ("enospc", "stop") or policies["read"] == "stop":
        data["nospace"] = nospace
    data["reason"] = reason
    if action != "stop":
        machine.emit("BLOCK_IO_ERROR", data)
        return
    if backend.io_status in (None, "ok"):
        backend.io_status = "nospace" if nospace else "failed"
        _healed(machine, backend)
    machine.emit("BLOCK_IO_ERROR", data)
    from fakeqemu.runstate import stop

    stop(machine, "io-error")


def _backend(machine: FakeQemu, name: str | None) -> Backend | None:
    from fakeqemu.block import graph_of

    for backend in graph_of(machine).backends:
        node = backend.node
        if node is None:
            continue
        if name is None or name in (backend.name, backend.ident, backend.path, node.name):
            return backend
    return None


def _policies(machine: FakeQemu, backend: Backend) -> dict[str, str]:
    """What the device does about errors: ``werror`` and ``rerror``, its own or its drive's."""
    from fakeqemu.hardware import registry_of

    device = registry_of(machine).device(backend.ident) if backend.ident else None
    options: dict[str, Any] = dict(device.options) if device is not None else {}
    write, read = str(options.get("werror") or "auto"), str(options.get("rerror") or "auto")
    return {
        "write": "enospc" if write == "auto" else write,
        "read": "report" if read == "auto" else read,
    }


def _action(policy: str, *, nospace: bool) -> str:
    if policy == "enospc":
        return "stop" if nospace else "report"
    return policy if policy in ("stop", "ignore") else "report"


def _healed(machine: FakeQemu, backend: Backend) -> None:
    """`cont` tries again: the status is good until the next error (blk_iostatus_reset)."""
    failed: list[Backend] | None = machine.parts.get("failed-disks")
    if failed is not None:
        failed.append(backend)
        return
    failed = machine.parts["failed-disks"] = [backend]

    def watch(_old: str, new: str) -> None:
        if new == "running":
            for one in failed:
                one.io_status = "ok"
            failed.clear()

    machine.watchers.append(watch)
