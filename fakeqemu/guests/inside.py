"""What runs inside: when it boots, sleeps, hangs and ends, and who of it hears.

Knows the order of a guest's life. Must not know what a console or an agent says.

The ``guest:`` word of a script, as far as it is about this:

===========  =========================================================================================
``boot``     how long it boots
``agent``    false: there is none; or ``{after, delay, unresponsive, disabled, commands}``
``panic``    how long after it began to boot its kernel panics
``hang``     how long after it began to boot it stops answering
``watchdog`` how long after it began to boot the watchdog fires, where there is one
===========  =========================================================================================

Steps that rules may be about: ``boot``, ``booted``, ``agent`` (it opens its port), ``poweroff``, ``reset``,
``panic``, and each command of the agent by its name.
"""

from __future__ import annotations

from fakeqemu import runstate
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.chardevs import Backend
    from fakeqemu.guests.agent import Agent
    from fakeqemu.guests.console import Console
    from fakeqemu.guests.system import System
    from fakeqemu.machine import FakeQemu

__all__ = ["AGENT_PORT", "Guest", "guest_of"]

#: The name of the virtio-serial port on which managers expect the agent.
AGENT_PORT = "org.qemu.guest_agent.0"
#: Devices on which a login may wait, with the name that Linux gives them.
_TERMINALS = {
    "serial": "ttyS", "isa-serial": "ttyS", "pci-serial": "ttyS", "virtconsole": "hvc", "spapr-vty": "hvc",
    "sclpconsole": "ttysclp", "sclplmconsole": "ttysclp",
}  # fmt: skip
#: Devices that fire when nobody looks after them.
_WATCHDOGS = ("i6300esb", "ib700", "diag288")
#: What a script may have in store for a boot.
_FATES = ("panic", "hang", "watchdog")
#: Lines that the screen shows.
ROWS = 25


class Guest:
    """The inside of one machine.

    Attributes:
        state: ``off``, ``booting``, ``up``, ``hung`` or ``panicked``.
        boots: how often it has begun to boot; what was planned before the last time is void.
        consoles: the consoles with a login, the one with the boot log first.
        agent: the agent, or None where it has no port or the script wants none.
        screen: the last lines of the first virtual terminal.
    """

    __slots__ = (
        "_system", "_waiting", "agent", "booted_ns", "boots", "consoles", "machine", "screen",
        "state",
    )  # fmt: skip

    def __init__(self, machine: FakeQemu) -> None:
        self.machine = machine
        self.state = "off"
        self.boots = 0
        self.booted_ns = 0
        self.consoles: list[Console] = []
        self.agent: Agent | None = None
        self.screen: list[str] = []
        self._system: System | None = None
        self._waiting: list[Callable[[], None]] = []

    @property
    def words(self) -> dict[str, Any]:
        """The script's words about the guest."""
        return self.machine.word("guest") or {}

    @property
    def system(self) -> System:
        """What the guest knows of itself; made when first asked for."""
        if self._system is None:
            from fakeqemu.guests.system import System

            self._system = System(self)
        return self._system

    @property
    def deaf(self) -> bool:
        """Whether it answers nothing any more."""
        return self.state in ("hung", "panicked")

    @property
    def awake(self) -> bool:
        """Whether it runs and answers."""
        return self.state in ("booting", "up") and self.machine.runstate == "running"

    def later(self, delay_ns: int, what: Callable[[], None]) -> None:
        """Do something after a delay, unless the guest has been started anew; not while it stands still."""
        boots = self.boots

        def due() -> None:
            if boots != self.boots or self.deaf:
                return
            if self.machine.runstate == "running":
                what()
            else:
                self._waiting.append(due)

        if delay_ns:
            self.machine.later(delay_ns, due)
        else:
            self.machine.afterwards(due)

    # -- the life of a guest --------------------------------------------------------------------------------

    def boot(self) -> None:
        """The firmware has started it."""
        self._anew("booting")
        self.machine.at("guest", "boot", self._boot)

    def _anew(self, state: str) -> None:
        self.boots += 1
        self.state = state
        self.booted_ns = self.machine.now_ns
        self._waiting.clear()
        self._find_ports()
        for console in self.consoles:
            console.off()

    def _boot(self) -> None:
        words = self.words
        took = words.get("boot") or 0
        if self.consoles or words.get("log"):
            from fakeqemu.guests.bootlog import play

            play(self, took)
        for name, act in (("panic", runstate.panic), ("hang", runstate.hang), ("watchdog", self._watchdog)):
            if words.get(name) is not None:
                self.later(int(words[name]), lambda act=act: act(self.machine))  # type: ignore[misc]
        self.later(took, lambda: self.machine.at("guest", "booted", self._booted))

    def _booted(self) -> None:
        self.state = "up"
        networks = self.machine.parts.get("networks")
        if networks is not None:
            networks.guest_came_up()
        for console in self.consoles:
            console.login()
        if self.agent is not None:
            self.later(self.agent.after_ns, self._agent_starts)

    def _agent_starts(self) -> None:
        agent = self.agent
        if agent is not None:
            self.machine.at("guest", "agent", agent.start)

    def arrive(self) -> None:
        """It came with a migration, of which nothing more is known: it is up."""
        self._anew("up")
        for console in self.consoles:
            console.login(silent=True)
        if self.agent is not None:
            self.later(0, self.agent.start)

    def resumed(self) -> None:
        """The machine runs again: what came meanwhile is looked at now."""
        waiting, self._waiting = self._waiting, []
        for due in waiting:
            due()
        if self.agent is not None:
            self.agent.awake()

    def shut_down(self, last: str) -> None:
        """It ends in good order: the agent first, then the kernel has the last word."""
        if self.agent is not None:
            self.agent.end()
        if self.consoles:
            from fakeqemu.guests.bootlog import stamped

            self.say("[  OK  ] Reached target Late Shutdown Services.\r\n")
            self.say(stamped(self, f"reboot: {last}"))
        self._anew("off")

    def devices_reset(self) -> None:
        """The machine's devices are reset under it."""
        if self.agent is not None:
            self.agent.end()
        self._anew("off")
        self.screen = []

    def panicked(self) -> None:
        """Its kernel has panicked: it says so and nothing more."""
        from fakeqemu.guests.bootlog import stamped

        for line in (
            "Kernel panic - not syncing: sysrq triggered crash",
            "CPU: 0 PID: 1 Comm: systemd Not tainted",
            "---[ end Kernel panic - not syncing: sysrq triggered crash ]---",
        ):
            self.say(stamped(self, line))
        self.state = "panicked"

    def hang(self) -> None:
        """It answers nothing any more."""
        self.state = "hung"

    def _watchdog(self, machine: FakeQemu) -> None:
        registry = machine.parts.get("hardware")
        devices = registry.devices() if registry is not None else machine.line.devices
        if any(device.kind in _WATCHDOGS for device in devices):
            runstate.watchdog(machine)

    # -- what is plugged in ---------------------------------------------------------------------------------

    def _find_ports(self) -> list[Console]:
        """Look which character devices lead to consoles and to the agent; the consoles that are new."""
        from fakeqemu.chardevs import chardevs_of

        table = chardevs_of(self.machine)
        users = table.users()
        old = {console.backend.id: console for console in self.consoles}
        agent, self.consoles, counts = self.agent, [], dict[str, int]()
        self.agent = None
        for name, user in users.items():
            backend = table.find(name)
            if backend is None:
                continue
            if user.kind == "virtserialport" and user.name == AGENT_PORT:
                if self.agent is None and self.words.get("agent") is not False:
                    self.agent = self._agent(backend, user.id, agent)
            elif user.kind in _TERMINALS:
                sort = _TERMINALS[user.kind]
                number = counts[sort] = counts.get(sort, -1) + 1
                known = old.pop(name) if name in old else self._console(backend, f"{sort}{number}")
                self.consoles.append(known)
        for console in old.values():
            console.backend.front = None
        if agent is not None and agent is not self.agent:
            table.open_ports.discard(agent.backend.id)
        return [console for console in self.consoles if console.fresh]

    def _agent(self, backend: Backend, device: str | None, before: Agent | None) -> Agent:
        if before is not None and before.backend is backend and before.device == device:
            return before
        from fakeqemu.guests.agent import Agent

        backend.front = made = Agent(self, backend, device)
        return made

    def _console(self, backend: Backend, name: str) -> Console:
        from fakeqemu.guests.console import Console

        backend.front = made = Console(self, backend, name)
        return made

    def plugged(self) -> None:
        """A device came or went while it runs, perhaps the first by which anybody notices it."""
        done = self.machine.boot_done
        if not self.boots and done is not None:
            self.boots, self.booted_ns = 1, done
            self.state = "up" if done <= self.machine.now_ns else "booting"
            if self.state == "booting":
                self._find_ports()
                self.later(done - self.machine.now_ns, self._booted)
        if self.state != "up":
            return
        for console in self._find_ports():
            console.login()
        if self.agent is not None and not self.agent.open:
            self.later(self.agent.after_ns, self._agent_starts)

    def say(self, text: str) -> None:
        """The kernel, or who boots, says something on its consoles."""
        self.show(text)
        if self.consoles:
            self.consoles[0].say(text)

    def show(self, text: str) -> None:
        """The same on the screen alone."""
        screen = self.screen
        for line in text.replace("\r", "").split("\n")[: -1 if text.endswith("\n") else None]:
            screen.append(line)
        del screen[:-ROWS]

    def pictured(self) -> list[str]:
        """The lines of its screen; a guest that nobody watched so far has a login on it all the same."""
        if not self.screen and self.state in ("off", "up") and self.machine.boot_done is not None:
            system = self.system
            waiting = self.machine.boot_done > self.machine.now_ns
            if not waiting:
                return [
                    f"{system.os['pretty-name']} {system.hostname} tty1",
                    "",
                    f"{system.hostname} login: ",
                ]
        return self.screen

    def interrupted(self) -> None:
        """An NMI came."""
        from fakeqemu.guests.bootlog import stamped

        for line in (
            "Uhhuh. NMI received for unknown reason 30 on CPU 0.",
            "Dazed and confused, but trying to continue",
        ):
            self.say(stamped(self, line))

    # -- state ----------------------------------------------------------------------------------------------

    def saved(self) -> Any:
        """What moves with the guest."""
        return {
            "state": self.state,
            "screen": self.screen,
            "left": max(0, (self.machine.boot_done or 0) - self.machine.now_ns),
            "up": self.machine.now_ns - self.booted_ns,
            "fates": self._fates(),
            "agent": None if self.agent is None else self.agent.saved(),
            "consoles": {console.name: console.saved() for console in self.consoles},
            "system": None if self._system is None else self._system.saved(),
        }

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Take over what came with the guest; whatever is not as expected is left as it is."""
        if not isinstance(value, dict):
            return
        self._anew(value["state"] if value.get("state") in ("booting", "up", "hung", "panicked") else "up")
        screen = value.get("screen")
        self.screen = [str(line)[:200] for line in screen[-ROWS:]] if isinstance(screen, list) else []
        left = value.get("left")
        machine.boot_done = machine.now_ns + (left if isinstance(left, int) and left > 0 else 0)
        if self.state == "booting":
            self.state = "booting"
            self._later_when_running(left if isinstance(left, int) else 0, self._booted)
        elif self.state == "up":
            for console in self.consoles:
                console.login(silent=True)
        if isinstance(value.get("up"), int):
            self.booted_ns = machine.now_ns - value["up"]
        if isinstance(value.get("system"), dict):
            self.system.restored(value["system"])
        try:
            self._resumed(value)
        except (CommandError, KeyError, OverflowError, TypeError, ValueError):
            return  # whatever is not as expected is left as it is

    def _fates(self) -> dict[str, int]:
        """What the script has in store for this boot, and how soon."""
        up = self.machine.now_ns - self.booted_ns
        found = {name: int(self.words[name]) - up for name in _FATES if self.words.get(name) is not None}
        return {name: left for name, left in found.items() if left > 0 and self.state in ("booting", "up")}

    def _resumed(self, value: dict[str, Any]) -> None:
        """What clients of the guest have open in it goes on, and so does what awaits it."""
        consoles, agent, fates = (value.get(name) for name in ("consoles", "agent", "fates"))
        for console in self.consoles:
            if isinstance(consoles, dict) and isinstance(consoles.get(console.name), list):
                console.restored(consoles[console.name])
        if self.agent is not None and isinstance(agent, dict):
            self.agent.restored(agent)
            if agent.get("open") and self.state == "up":
                self._later_when_running(0, self.agent.start)
        deeds = {"panic": runstate.panic, "hang": runstate.hang, "watchdog": self._watchdog}
        for name, left in fates.items() if isinstance(fates, dict) else ():
            if name in deeds and isinstance(left, int):
                act = deeds[name]
                self._later_when_running(left, lambda act=act: act(self.machine))  # type: ignore[misc]

    def _later_when_running(self, delay_ns: int, what: Callable[[], None]) -> None:
        if self.machine.runstate == "running":
            self.later(delay_ns, what)
        else:
            self._waiting.append(lambda: self.later(delay_ns, what))


def guest_of(machine: FakeQemu) -> Guest:
    """The inside of a machine; made when first asked for."""
    found = machine.parts.get("guest")
    if found is None:
        found = machine.parts["guest"] = Guest(machine)
    guest: Guest = found
    return guest
