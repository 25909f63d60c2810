"""A machine that is played once, so that everything its like needs has been loaded.

Knows the calls of a driver. Must not know processes. Imported by the server before it forks.
"""

from __future__ import annotations

from contextlib import suppress

from fakeqemu.actions import Wake
from fakeqemu.machine import FakeQemu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.machine import Step

__all__ = ["rehearse"]

_TALK = (
    "qmp_capabilities", "query-version", "query-status", "query-commands", "query-name", "query-chardev",
    "cont", "stop", "query-cpus-fast", "query-block", "query-blockstats", "query-named-block-nodes",
    "qom-list", "query-balloon", "device_del", "no-such-command",
)  # fmt: skip


def rehearse(program: str) -> None:
    """Start a machine of that program, talk to it, and end it; nothing of it stays but what was loaded."""
    import fakeqemu.driver.process
    import fakeqemu.driver.streams
    import fakeqemu.driver.threads
    import fakeqemu.scripts.script

    del fakeqemu
    for words in (["-version"], ["-S", "-nodefaults", "-qmp", "unix:/m,server=on,wait=off"]):
        machine = FakeQemu([program, *words])
        _take(machine, machine.start(0))
        if getattr(machine, "line", None) is None or not machine.line.monitors:
            continue
        chardev = machine.line.monitors[0].chardev
        _take(machine, machine.connected(0, chardev, 1))
        for command in _TALK:
            with suppress(Exception):  # it would fail in the fake as well, and is told there
                _take(machine, machine.received(0, 1, f'{{"execute": "{command}"}}'.encode()))
        _take(machine, machine.disconnected(0, 1))
        _take(machine, machine.signalled(0, 15, (1, "init")))


def _take(machine: FakeQemu, steps: list[Step]) -> None:
    """Take the steps that only call the machine again, without letting time pass."""
    queue = list(steps)
    for _ in range(1000):
        if not queue:
            return
        delay, action = queue.pop(0)
        if delay == 0 and type(action) is Wake:
            queue += machine.woken(0, action.token)
