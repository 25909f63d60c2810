"""The machine's run state, and what a guest does to it.

Knows softmmu/runstate.c, hw/watchdog/watchdog.c and hw/misc/pvpanic.c of QEMU 7.2: which events a change
sends, and how the -action settings turn a request into another. What runs inside (`fakeqemu.guests`) is
told, and asked, only when there is something to notice of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeqemu.guests import Guest
    from fakeqemu.machine import FakeQemu

__all__ = [
    "ACTS", "crash_loaded", "hang", "inside", "panic", "power_off", "powerdown", "request_reset",
    "request_shutdown", "reset", "resume", "stop", "suspend", "suspend_disk",
    "system_reset", "wake_up", "watchdog",
]  # fmt: skip

#: States from which only a reset leads on (runstate_needs_reset); a guest that panicked may run on.
NEEDS_RESET = ("internal-error", "shutdown")


def inside(machine: FakeQemu) -> Guest | None:
    """What runs inside, when somebody could notice: there is a console, an agent, or a script about it."""
    found: Guest | None = machine.parts.get("guest")
    if found is None and _noticeable(machine):
        from fakeqemu.guests import guest_of

        found = guest_of(machine)
    return found


def _noticeable(machine: FakeQemu) -> bool:
    if (
        machine.rules is not None
        or "networks" in machine.parts
        or len(machine.line.chardevs) > len(machine.line.monitors)
    ):
        return True
    words = machine.word("guest")
    return words is not None and not {"boot", "powerdown"}.issuperset(words)


def resume(machine: FakeQemu) -> None:
    """vm_start(): run, and say so; whoever sleeps goes on sleeping."""
    if machine.runstate in ("running", "suspended"):
        return
    machine.change("running")
    machine.emit("RESUME")
    if machine.boot_done is None:
        _boot(machine)
    guest: Guest | None = machine.parts.get("guest")
    if guest is not None:
        guest.resumed()
    if machine.powerdown_pending:
        machine.powerdown_pending = False
        machine.afterwards(lambda: power_off(machine))
    if machine.balloon is not None:
        from fakeqemu.hardware import registry_of
        from fakeqemu.hardware.balloon import settle

        settle(registry_of(machine))


def _boot(machine: FakeQemu) -> None:
    """The firmware starts; a guest that came with a migration is up already."""
    words = machine.word("guest") or {}
    arrived = machine.line.incoming is not None and "guest" not in machine.parts
    machine.boot_done = machine.now_ns + (0 if arrived else words.get("boot") or 0)
    guest = inside(machine)
    if guest is not None:
        guest.arrive() if arrived else guest.boot()


def stop(machine: FakeQemu, state: str = "paused") -> None:
    """vm_stop(): only a running machine changes, and says so; jobs come to rest for a moment anyway."""
    if machine.runstate == "running":
        machine.change(state)
        machine.emit("STOP")
    if "jobs" in machine.parts:
        machine.parts["jobs"].drain()


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
    within: Guest | None = machine.parts.get("guest")
    if within is not None:
        within.devices_reset()
    machine.emit("RESET", {"guest": guest, "reason": reason})
    hardware = machine.parts.get("hardware")
    if hardware is not None:
        machine.afterwards(hardware.reset)
    machine.powerdown_pending = False
    if machine.runstate not in ("running", "inmigrate", "finish-migrate"):
        machine.change("prelaunch")
        machine.boot_done = None
    else:
        _boot(machine)


def system_reset(machine: FakeQemu) -> None:
    """The reset button."""
    request_reset(machine, "host-qmp-system-reset", guest=False)


def powerdown(machine: FakeQemu) -> None:
    """The power button: an event, and a guest that obeys when it has booted and is told to."""
    machine.emit("POWERDOWN")
    words = machine.word("guest") or {}
    answer = words.get("powerdown", 0)
    booted = machine.boot_done is not None and machine.boot_done <= machine.now_ns
    within: Guest | None = machine.parts.get("guest")
    if answer == "ignore" or not booted or (within is not None and within.deaf):
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
        machine.powerdown_pending = machine.runstate in ("paused", "suspended")


def power_off(machine: FakeQemu) -> None:
    """The guest switches itself off."""
    machine.at("guest", "poweroff", lambda: _power_off(machine))


def _power_off(machine: FakeQemu) -> None:
    if machine.runstate == "running":
        within: Guest | None = machine.parts.get("guest")
        if within is not None:
            within.shut_down("Power down")
        request_shutdown(machine, "guest-shutdown", guest=True)


def reset(machine: FakeQemu) -> None:
    """The guest restarts itself."""
    machine.at("guest", "reset", lambda: _reset(machine))


def _reset(machine: FakeQemu) -> None:
    if machine.runstate == "running":
        within: Guest | None = machine.parts.get("guest")
        if within is not None:
            within.shut_down("Restarting system")
        request_reset(machine, "guest-reset", guest=True)


def panic(machine: FakeQemu) -> None:
    """The guest's kernel panics and pvpanic reports it (qemu_system_guest_panicked)."""
    machine.at("guest", "panic", lambda: _panic(machine))


def _panic(machine: FakeQemu) -> None:
    within = inside(machine)
    if within is not None:
        within.panicked()
    action, shutdown = machine.actions["panic"], machine.actions["shutdown"]
    if action == "none":
        machine.emit("GUEST_PANICKED", {"action": "run"})
    elif action == "pause" or (action == "shutdown" and shutdown == "pause"):
        machine.emit("GUEST_PANICKED", {"action": "pause"})
        stop(machine, "guest-panicked")
    else:  # the shutdown is looked at before the stop that was asked for with it
        machine.emit("GUEST_PANICKED", {"action": "poweroff"})
        request_shutdown(machine, "guest-panic", guest=True)


def crash_loaded(machine: FakeQemu) -> None:
    """The guest's kernel panics and starts its crash kernel; pvpanic reports it, and nothing else happens."""
    machine.emit("GUEST_CRASHLOADED", {"action": "run"})


def hang(machine: FakeQemu) -> None:
    """The guest stops answering: console, agent and power button are dead, the CPUs run."""
    within = inside(machine)
    if within is not None:
        within.hang()


def suspend(machine: FakeQemu) -> None:
    """The guest goes to sleep (S3)."""
    if machine.runstate == "running":
        machine.change("suspended")
        machine.emit("SUSPEND")


def suspend_disk(machine: FakeQemu) -> None:
    """The guest writes itself to its disk and switches off (S4)."""
    if machine.runstate == "running":
        machine.emit("SUSPEND_DISK")
        request_shutdown(machine, "guest-shutdown", guest=True)


def wake_up(machine: FakeQemu) -> None:
    """Something wakes a sleeping guest up."""
    if machine.runstate != "suspended":
        return
    machine.change("running")
    machine.emit("WAKEUP")
    guest: Guest | None = machine.parts.get("guest")
    if guest is not None:
        guest.resumed()
    if machine.powerdown_pending:
        machine.powerdown_pending = False
        machine.afterwards(lambda: power_off(machine))


def watchdog(machine: FakeQemu) -> None:
    """The watchdog device fires (watchdog_perform_action)."""
    if machine.runstate != "running":
        return
    action = machine.actions["watchdog"]
    machine.emit("WATCHDOG", {"action": action})
    if action == "reset":
        request_reset(machine, "guest-reset", guest=True)
    elif action == "shutdown":
        powerdown(machine)
    elif action == "poweroff":  # exit(0), no more words
        machine.afterwards(lambda: machine.exit(0))
    elif action == "pause":
        stop(machine, "watchdog")
    elif action == "debug":
        from fakeqemu.actions import Stderr

        machine.do(0, Stderr("watchdog: timer fired\n"))


#: What a script's ``guest:`` may make the guest do.
ACTS: dict[str, Callable[[FakeQemu], None]] = {
    "poweroff": power_off,
    "reset": reset,
    "panic": panic,
    "crash-loaded": crash_loaded,
    "hang": hang,
    "suspend": suspend,
    "suspend-disk": suspend_disk,
    "wakeup": wake_up,
    "watchdog": watchdog,
}
