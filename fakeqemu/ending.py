"""How a machine ends: signals, and the last steps of the process.

Knows os-posix.c of QEMU 7.2: which signals end it, and what it says then. Must not know why a machine ends.
"""

from __future__ import annotations

from fakeqemu.actions import Close, CloseListener, Exit, Kill, Stderr, Unlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu, Step

__all__ = ["QMP_SIGNALS", "last_steps", "signalled"]

#: Signals on which QEMU shuts down in good order: SIGHUP, SIGINT, SIGTERM (os-posix.c).
QMP_SIGNALS = (1, 2, 15)
#: Signals that a QEMU survives: handled inside (USR1), ignored, or of no consequence to it.
_HARMLESS = (10, 13, 14, 17, 18, 21, 22, 23, 28)


def signalled(machine: FakeQemu, signum: int, sender: tuple[int, str] | None) -> None:
    """A signal has reached the process: the script first, then QEMU's handlers."""
    if signum in (machine.word("ignore") or ()):
        machine.note(machine.word("rules").get("ignore", "script"), f"ignore signal {signum}")
        return
    machine.at("signal", str(signum), lambda: _obey(machine, signum, sender))


def _obey(machine: FakeQemu, signum: int, sender: tuple[int, str] | None) -> None:
    if signum in QMP_SIGNALS:
        origin = "" if sender is None else f" from pid {sender[0]} ({sender[1]})"
        machine.do(0, Stderr(f"{machine.line.program}: terminating on signal {signum}{origin}\n"))
        machine.emit("SHUTDOWN", {"guest": False, "reason": "host-signal"})
        machine.exit(0)
    elif signum not in _HARMLESS:
        machine.kill(signum)


def last_steps(
    machine: FakeQemu, code: int | None, stderr: str | None, *, signum: int, clean: bool, linger: bool
) -> list[Step]:
    """Last words, closed connections and listeners, removed files; then the exit or the signal."""
    steps: list[Step] = []
    if stderr:
        steps.append((0, Stderr(stderr if stderr.endswith("\n") else stderr + "\n")))
    steps += [(0, Close(conn)) for conn in {**machine.conns, **machine.channels}]
    for chardev in machine.listeners:
        steps.append((0, CloseListener(chardev.id)))
        if clean and chardev.path is not None:
            steps.append((0, Unlink(chardev.path)))
    if clean and machine.line.pidfile is not None:
        steps.append((0, Unlink(machine.line.pidfile)))
    wait = machine.linger_ns if linger else 0
    if wait:  # a listener that was handed in and not looked at yet goes with the other descriptors
        served = [chardev.id for chardev in machine.listeners]
        for chardev in machine.line.chardevs.values():
            if chardev.fd is not None and chardev.id not in served:
                steps.append((0, CloseListener(chardev.id)))
    steps.append((wait, Exit(code) if code is not None else Kill(signum)))
    return steps
