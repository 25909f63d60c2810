"""The machine's run state, and the guest inside it.

Knows softmmu/runstate.c of QEMU 7.2: which events a change sends, and how the -action settings turn a request
into another. The guest is a simple one: it boots, obeys the power button, balloons, and does what a script
says.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import FakeQemu

__all__ = [
    "panic", "power_off", "powerdown", "request_reset", "request_shutdown", "reset", "resume",
    "settle_balloon", "stop", "system_reset",
]  # fmt: skip

#: States from which only a reset leads on (runstate_needs_reset); a guest that panicked may run on.
NEEDS_RESET = ("internal-error", "shutdown")


def resume(machine: FakeQemu) -> None:
    """vm_start(): run, and say so."""
    if machine.runstate == "running":
        return
    machine.change("running")
    machine.emit("RESUME")
    if machine.boot_done is None:
        words = machine.word("guest") or {}
        machine.boot_done = machine.now_ns + words.get("boot", 0)
    if machine.powerdown_pending:
        machine.powerdown_pending = False
        machine.afterwards(lambda: power_off(machine))
    if machine.balloon is not None:
        settle_balloon(machine)


def stop(machine: FakeQemu, state: str = "paused") -> None:
    """vm_stop(): only a running machine changes, and only it says so."""
    if machine.runstate == "running":
        machine.change(state)
        machine.emit("STOP")


def request_shutdown(machine: FakeQemu, reason: str, *, guest: bool) -> None:
    """main_loop_should_exit() on a shutdown request: pause in state shutdown, or leave."""
    machine.emit("SHUTDOWN", {"guest": guest, "reason": reason})
    if machine.actions["shutdown"] == "pause":
        stop(machine, "shutdown")
    else:
        code = 1 if reason == "guest-panic" and machine.actions["panic"] == "exit-failure" else 0
        machine.afterwards(lambda: machine.exit(code))


def request_reset(machine: FakeQemu, reason: str, *, guest: bool) -> None:
    """qemu_system_reset_request(): a reset, or a shutdown where -no-reboot says so."""
    if machine.actions["reboot"] == "shutdown" and reason != "host-qmp-snapshot-load":
        request_shutdown(machine, reason, guest=guest)
        return
    machine.emit("RESET", {"guest": guest, "reason": reason})
    if machine.runstate not in ("running", "inmigrate", "finish-migrate"):
        machine.change("prelaunch")
    else:
        words = machine.word("guest") or {}
        machine.boot_done = machine.now_ns + words.get("boot", 0)
    machine.powerdown_pending = False


def system_reset(machine: FakeQemu) -> None:
    """The reset button."""
    request_reset(machine, "host-qmp-system-reset", guest=False)


def powerdown(machine: FakeQemu) -> None:
    """The power button: an event, and a guest that obeys when it has booted and is told to."""
    machine.emit("POWERDOWN")
    words = machine.word("guest") or {}
    answer = words.get("powerdown", 0)
    booted = machine.boot_done is not None and machine.boot_done <= machine.now_ns
    if answer == "ignore" or not booted:
        if words:
            machine.note(machine.word("rules").get("guest", "script"), "guest: ignores the power button")
        return
    if answer:
        machine.later(int(answer), lambda: _obey(machine))
    else:
        machine.afterwards(lambda: _obey(machine))


def _obey(machine: FakeQemu) -> None:
    if machine.runstate == "running":
        power_off(machine)
    else:
        machine.powerdown_pending = machine.runstate == "paused"


def power_off(machine: FakeQemu) -> None:
    """The guest switches itself off."""
    if machine.runstate == "running":
        request_shutdown(machine, "guest-shutdown", guest=True)


def reset(machine: FakeQemu) -> None:
    """The guest restarts itself."""
    if machine.runstate == "running":
        request_reset(machine, "guest-reset", guest=True)


def panic(machine: FakeQemu) -> None:
    """The guest's kernel panics and pvpanic reports it (qemu_system_guest_panicked)."""
    action, shutdown = machine.actions["panic"], machine.actions["shutdown"]
    if action == "none":
        machine.emit("GUEST_PANICKED", {"action": "run"})
    elif action == "pause" or (action == "shutdown" and shutdown == "pause"):
        machine.emit("GUEST_PANICKED", {"action": "pause"})
        stop(machine, "guest-panicked")
    else:
        machine.emit("GUEST_PANICKED", {"action": "poweroff"})
        stop(machine, "guest-panicked")
        request_shutdown(machine, "guest-panic", guest=True)


def settle_balloon(machine: FakeQemu) -> None:
    """The guest's balloon driver moves to the target."""
    from fakeqemu.model import model_of

    model = model_of(machine)
    target = min(machine.balloon or machine.line.ram, machine.line.ram)
    if target != model.actual:
        model.actual = target
        machine.afterwards(lambda: machine.emit("BALLOON_CHANGE", {"actual": target}))
